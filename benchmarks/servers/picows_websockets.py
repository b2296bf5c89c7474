"""picows' reimplementation of websockets' interface, on uvloop."""

from __future__ import annotations

import asyncio

import uvloop
from picows.websockets.asyncio.server import ServerConnection, broadcast, serve

from .options import MAX_MESSAGE, READY, Options, read_options

receivers: set[ServerConnection] = set()


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def receive(ws: ServerConnection) -> None:
    receivers.add(ws)
    await ws.send(READY)
    await ws.wait_closed()
    receivers.discard(ws)


async def publish(ws: ServerConnection) -> None:
    async for message in ws:
        broadcast(receivers, message)


async def handler(ws: ServerConnection) -> None:
    await {"/receive": receive, "/publish": publish}.get(ws.request.path, echo)(ws)


async def main(options: Options) -> None:
    compression = "deflate" if options.compresses else None
    async with serve(
        handler,
        "127.0.0.1",
        options.port,
        compression=compression,
        ping_interval=None,
        max_size=MAX_MESSAGE,
        backlog=options.backlog,
        ssl=options.ssl_context(),
    ):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(read_options()))
