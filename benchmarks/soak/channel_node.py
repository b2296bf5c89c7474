"""A node of :mod:`benchmarks.soak.channels`: one server whose clients follow channels, as event streams and WebSockets.

Standard input is watched: a node whose parent has gone ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

from elio import Event, EventStream, Router, Server, WebSocket
from elio.channels.channels import Channels
from elio.channels.message import Gap

PATTERN = "chaos.*"


def text_of(item: object) -> tuple[str, str, str]:
    """Kind, cursor and text of what a subscription gave; what a client needs to count."""
    if isinstance(item, Gap):
        return "gap", item.id, f"{item.channel} {item.reason} {item.missed}"
    return "message", item.id, f"{item.channel} {item.data}"  # type: ignore[attr-defined]


async def serve(url: str, port: int, history: int) -> None:
    channels = Channels(url, history=history, ttl=600.0)
    router = Router()

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        async with channels.subscribe(PATTERN, since=stream.last_event_id or None) as subscription:
            await stream.send(Event("ready", type="ready"))
            async for item in subscription:
                kind, cursor, text = text_of(item)
                await stream.send(Event(text, type=kind, id=cursor))

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        async with channels.subscribe(PATTERN, since=ws.request.query.get("since") or None) as subscription:
            await ws.send("ready  ")
            async for item in subscription:
                await ws.send(" ".join(text_of(item)))

    async with channels, Server(router, host="127.0.0.1", port=port):
        print("ready", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
