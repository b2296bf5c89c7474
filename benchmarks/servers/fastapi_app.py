"""FastAPI: its own event streams and WebSocket routes, for uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from .options import HELLO, READY

app = FastAPI(openapi_url=None)
queues: set[asyncio.Queue[str]] = set()
receivers: set[WebSocket] = set()


@app.get("/", response_class=PlainTextResponse)
async def index() -> PlainTextResponse:
    return PlainTextResponse(HELLO)


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterable[ServerSentEvent]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    yield ServerSentEvent(raw_data=READY)
    while True:
        yield ServerSentEvent(raw_data=await queue.get())


@app.websocket("/ws")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while (message := await ws.receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await ws.send_bytes(message["bytes"])
        else:
            await ws.send_text(message["text"])


@app.websocket("/receive")
async def receive(ws: WebSocket) -> None:
    await ws.accept()
    receivers.add(ws)
    await ws.send_text(READY)
    try:
        await ws.receive_text()
    except WebSocketDisconnect:
        receivers.discard(ws)


@app.websocket("/publish")
async def publish(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        for queue in queues:
            queue.put_nowait(text)
        for receiver in receivers:
            await receiver.send_text(text)
