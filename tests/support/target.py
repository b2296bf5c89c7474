"""A server to be attacked, as a program: its memory, its processor time and its log are its own.

Its argument is JSON: ``limits``; ``descriptors``, the bound of the system on open files; ``loop``, which is asyncio's
unless it is "uvloop".
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvloop

from elio import EventStream, Limits, Request, Response, Router, Server, WebSocket, broadcast

router = Router()
members: set[WebSocket] = set()
streams: set[EventStream] = set()


@router.get("/")
async def index(request: Request) -> Response:
    return Response.text("hello")


@router.post("/digest")
async def digest(request: Request) -> Response:
    return Response.text(str(len(await request.body())))


@router.get("/cookies")
async def cookies(request: Request) -> Response:
    return Response.text(str(len(request.cookies)))


@router.get("/wait")
async def wait(request: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


@router.get("/endless")
async def endless(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield bytes(10_000)

    return Response.stream(parts())


@router.get("/members")
async def count(request: Request) -> Response:
    return Response.json([len(members), len(streams)])


@router.post("/broadcast")
async def tell_all(request: Request) -> Response:
    return Response.text(str(broadcast(members, await request.body())))


@router.websocket("/ws", subprotocols=["chat"])
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@router.websocket("/slow")
async def slow(ws: WebSocket) -> None:
    await ws.receive()
    await ws.send("one is enough")
    await asyncio.Event().wait()


@router.websocket("/feed")
async def feed(ws: WebSocket) -> None:
    members.add(ws)
    try:
        while True:
            await ws.send(bytes(10_000))
    finally:
        members.discard(ws)


@router.websocket("/room")
async def room(ws: WebSocket) -> None:
    members.add(ws)
    try:
        await ws.send("welcome")
        async for _ in ws:
            pass
    finally:
        members.discard(ws)


@router.sse("/tight")
async def tight(stream: EventStream) -> None:
    streams.add(stream)
    try:
        while True:
            await stream.send("x" * 100)
    finally:
        streams.discard(stream)


@router.sse("/quiet")
async def quiet(stream: EventStream) -> None:
    streams.add(stream)
    try:
        await stream.send("welcome")
        await asyncio.Event().wait()
    finally:
        streams.discard(stream)


async def main(options: dict[str, Any]) -> None:
    if "descriptors" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["descriptors"],) * 2)
    logging.basicConfig(level=options.get("level", "INFO"))
    async with Server(router, port=0, limits=Limits(**options.get("limits", {}))) as server:
        print(*server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if given.get("loop") == "uvloop" else None) as runner:
        runner.run(main(given))
