"""An ASGI application without a framework, for uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .options import HELLO, READY, READY_EVENT, EventQueues, event

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY = HELLO.encode()
HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")],
}
STREAM_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")],
}

receivers: set[Send] = set()
streams = EventQueues()


async def echo(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        else:
            await send({"type": "websocket.send", "text": message["text"]})


async def receiver(receive: Receive, send: Send) -> None:
    receivers.add(send)
    await send({"type": "websocket.send", "text": READY})
    while (await receive())["type"] == "websocket.receive":
        pass
    receivers.discard(send)


async def publisher(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        streams.publish(event(message["text"]))
        out = {"type": "websocket.send", "text": message["text"]}
        for send_to in receivers:
            await send_to(out)


async def events(send: Send) -> None:
    queue = streams.subscribe()
    await send(STREAM_HEAD)
    await send({"type": "http.response.body", "body": READY_EVENT, "more_body": True})
    while True:
        await send({"type": "http.response.body", "body": await streams.take(queue), "more_body": True})


async def stream(receive: Receive, send: Send) -> None:
    task = asyncio.ensure_future(events(send))
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await {"/receive": receiver, "/publish": publisher}.get(path, echo)(receive, send)
    elif path == "/events":
        await stream(receive, send)
    else:
        await send(HEAD)
        await send({"type": "http.response.body", "body": BODY})
