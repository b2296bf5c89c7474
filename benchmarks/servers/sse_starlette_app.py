"""sse-starlette's EventSourceResponse in a Starlette application, for uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from .options import READY

queues: set[asyncio.Queue[str]] = set()


async def publish(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        for queue in queues:
            queue.put_nowait(text)


async def generate() -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    yield ServerSentEvent(READY)
    while True:
        yield ServerSentEvent(await queue.get())


async def events(request: Request) -> EventSourceResponse:
    return EventSourceResponse(generate())


app = Starlette(routes=[Route("/events", events), WebSocketRoute("/publish", publish)])
