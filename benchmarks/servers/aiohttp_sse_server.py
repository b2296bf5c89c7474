"""aiohttp-sse on aiohttp and uvloop."""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from .options import READY, Options, read_options

queues: set[asyncio.Queue[str]] = set()


async def publish(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        for queue in queues:
            queue.put_nowait(message.data)
    return ws


async def events(request: web.Request) -> EventSourceResponse:
    async with sse_response(request) as response:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        await response.send(READY)
        while True:
            await response.send(await queue.get())
    return response


async def main(options: Options) -> None:
    app = web.Application()
    app.router.add_get("/publish", publish)
    app.router.add_get("/events", events)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port, backlog=options.backlog).start()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(read_options()))
