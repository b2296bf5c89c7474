"""The server that the conformance suites talk to: it echoes every message at ``/``.

It prints its URL in one line once it listens, and serves until it is terminated.
"""

from __future__ import annotations

import asyncio

from elio import Limits, Router, Server, WebSocket

# The suite sends messages of 16 MiB in frames of any size, and nothing at all for seconds.
LIMITS = Limits(max_message_size=32 * 1024 * 1024, ping_interval=None, ping_timeout=None, close_timeout=2.0)

router = Router()


@router.websocket("/")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    async with Server(router, host="127.0.0.1", port=0, limits=LIMITS) as server:
        print(f"ws://127.0.0.1:{server.port}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
