"""Elio. BENCH_LOOP is the event loop, `uvloop` or `asyncio`; ELIO_PURE=1 runs the Python twins, ELIO_REACTOR=0 the
loop's own transports."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import elio
from elio import Event, EventStream, Limits, Request, Response, Router, Server, WebSocket

from .options import HELLO, MAX_MESSAGE, READY, Options, read_options

receivers: set[WebSocket] = set()
streams: set[EventStream] = set()


def make_router(options: Options) -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text(HELLO)

    @router.websocket("/ws", max_message_size=MAX_MESSAGE, compression=options.compresses)
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.websocket("/receive", compression=False)
    async def receive(ws: WebSocket) -> None:
        receivers.add(ws)
        await ws.send(READY)
        async for _ in ws:
            pass
        receivers.discard(ws)

    @router.websocket("/publish", compression=False)
    async def publish(ws: WebSocket) -> None:
        async for message in ws:
            if receivers:
                elio.broadcast(receivers, message)
            if streams:
                elio.broadcast(streams, Event(message))

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        streams.add(stream)
        try:
            await stream.send(READY)
            await stream.wait_closed()
        finally:
            streams.discard(stream)

    return router


def settings(options: Options) -> dict[str, Any]:
    tls = (options.certificate, options.key) if options.uses_tls else None
    return {"port": options.port, "tls": tls, "limits": replace(Limits(), backlog=options.backlog)}


async def main(options: Options) -> None:
    async with Server(make_router(options), **settings(options)) as server:
        await server.serve_forever()


if __name__ == "__main__":
    options = read_options()
    if os.environ.get("BENCH_LOOP") == "asyncio":
        asyncio.run(main(options))
    else:
        elio.run(make_router(options), **settings(options))
