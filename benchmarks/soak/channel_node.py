"""A node of :mod:`benchmarks.soak.channels`: one server whose clients follow channels, as event streams and WebSockets.

It listens beside others on their port. Standard input is watched: a node whose parent has gone ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys

from elio import Channels, EventStream, Router, Server, WebSocket

RETRY = 0.3
"""Seconds that event sources are asked to wait."""


def listening(port: int) -> socket.socket:
    """A socket on the port of all nodes: the kernel chooses one of them for each connection."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


async def serve(url: str, port: int, history: int) -> None:
    channels = Channels(url, history=history, ttl=600.0)
    router = Router(channels=channels)

    @router.sse("/events/:group", channel="soak.{group}.*")
    async def events(stream: EventStream) -> None:
        await stream.send_retry(RETRY)

    @router.websocket("/ws/:group")
    async def ws(ws: WebSocket) -> None:
        group = ws.request.params["group"]
        cursor = await ws.join(f"soak.{group}.*", since=ws.request.query.get("since") or None)
        await ws.send(json.dumps({"joined": cursor}))
        async for _ in ws:
            pass

    with listening(port) as listener:
        async with Server(router, fd=listener.fileno()):
            print("ready", flush=True)
            reader = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            await reader.read()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
