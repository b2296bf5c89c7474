"""The client that the Autobahn suite tests: it runs every case of a fuzzing server and echoes whatever comes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import elio
from elio import ConnectionClosed, Limits, Reconnect

# Its largest messages have 16 MiB, and there is nothing at all for seconds.
LIMITS = Limits(max_message_size=32 * 1024 * 1024, ping_interval=None, close_timeout=2.0, open_timeout=60.0)
# The suite may still be starting.
PATIENCE = Reconnect(first_delay=0.1, max_delay=0.5, max_attempts=200)


async def count_cases(url: str) -> int:
    async for ws in elio.connect(f"{url}/getCaseCount", reconnect=PATIENCE):
        return int(await ws.receive())
    return 0


async def run_case(url: str, case: int) -> None:
    with suppress(ConnectionClosed):
        async with elio.connect(f"{url}/runCase?case={case}&agent=client", limits=LIMITS) as ws:
            async for message in ws:
                await ws.send(message)


async def main(url: str) -> None:
    for case in range(1, await count_cases(url) + 1):
        await run_case(url, case)
    async with elio.connect(f"{url}/updateReports?agent=client", limits=LIMITS) as ws:
        await ws.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
