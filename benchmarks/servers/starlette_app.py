"""Starlette: WebSocket routes and a StreamingResponse, for uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .options import HELLO, READY, READY_EVENT, EventQueues, event

receivers: set[WebSocket] = set()
streams = EventQueues()


async def index(request: Request) -> PlainTextResponse:
    return PlainTextResponse(HELLO)


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while (message := await ws.receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await ws.send_bytes(message["bytes"])
        else:
            await ws.send_text(message["text"])


async def receive(ws: WebSocket) -> None:
    await ws.accept()
    receivers.add(ws)
    await ws.send_text(READY)
    try:
        await ws.receive_text()
    except WebSocketDisconnect:
        receivers.discard(ws)


async def publish(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        streams.publish(event(text))
        for receiver in receivers:
            await receiver.send_text(text)


async def generate() -> AsyncIterator[bytes]:
    queue = streams.subscribe()
    yield READY_EVENT
    while True:
        yield await streams.take(queue)


async def events(request: Request) -> StreamingResponse:
    return StreamingResponse(generate(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


app = Starlette(
    routes=[
        Route("/", index),
        Route("/events", events),
        WebSocketRoute("/ws", echo),
        WebSocketRoute("/receive", receive),
        WebSocketRoute("/publish", publish),
    ]
)
