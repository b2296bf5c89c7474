"""Publishing on a channel to 1,000 WebSockets of this process, beside ``broadcast`` to the same ones.

    python benchmarks/bench_channels.py

Over streams that cost nothing, in one run and in turns: what remains is what channels cost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from pathlib import Path
from time import perf_counter

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from elio import Channels, Limits, WebSocket, broadcast  # noqa: E402
from elio.channels.members.formats import as_data  # noqa: E402
from elio.net.runtime import Runtime  # noqa: E402
from elio.websocket.connection import Connection, Role  # noqa: E402
from support.sessions import make_request  # noqa: E402
from support.stream import FakeStream  # noqa: E402

SUBSCRIBERS = 1000
ROUNDS = 15
MESSAGES = 20


class Null(FakeStream):
    """A stream that takes everything at no cost."""

    def write(self, data: bytes) -> None:
        return


async def main() -> None:
    async with Channels() as channels:
        runtime = Runtime(asyncio.get_running_loop(), Limits())
        sockets = [
            WebSocket(Connection(Role.SERVER), Null(), runtime, request=make_request()) for _ in range(SUBSCRIBERS)
        ]
        for ws in sockets:
            await channels.join(ws, "bench", encode=as_data)
        text = "x" * 100
        bare: list[float] = []
        published: list[float] = []
        for _ in range(ROUNDS):
            for figures, channel in ((bare, ""), (published, "bench")):
                start = perf_counter()
                for _ in range(MESSAGES):
                    if channel:
                        await channels.publish(channel, text)
                    else:
                        broadcast(sockets, text)
                    await asyncio.sleep(0)
                figures.append((perf_counter() - start) / MESSAGES / SUBSCRIBERS * 1e9)
        one, two = statistics.median(bare), statistics.median(published)
        print(f"broadcast {one:7.0f} ns a delivery")
        print(f"publish   {two:7.0f} ns a delivery, {two / one:.2f} times broadcast (aim: at most 1.3)")
        for ws in sockets:
            ws.connection_lost(None)
        runtime.close()


if __name__ == "__main__":
    asyncio.run(main())
