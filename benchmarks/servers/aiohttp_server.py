"""aiohttp on uvloop with its C extensions, no access log; event streams as plain streamed responses."""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web

from .options import HELLO, MAX_MESSAGE, READY, READY_EVENT, EventQueues, Options, event, read_options

receivers: set[web.WebSocketResponse] = set()
streams = EventQueues()


def web_socket(request: web.Request) -> web.WebSocketResponse:
    return web.WebSocketResponse(compress=request.app["options"].compresses, max_msg_size=MAX_MESSAGE)


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web_socket(request)
    await ws.prepare(request)
    async for message in ws:
        if message.type is web.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        else:
            await ws.send_str(message.data)
    return ws


async def receive(request: web.Request) -> web.WebSocketResponse:
    ws = web_socket(request)
    await ws.prepare(request)
    receivers.add(ws)
    await ws.send_str(READY)
    async for _ in ws:
        pass
    receivers.discard(ws)
    return ws


async def publish(request: web.Request) -> web.WebSocketResponse:
    ws = web_socket(request)
    await ws.prepare(request)
    async for message in ws:
        if request.app["options"].case == "sse":
            streams.publish(event(message.data))
            continue
        for receiver in receivers:
            await receiver.send_str(message.data)
    return ws


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    queue = streams.subscribe()
    await response.write(READY_EVENT)
    while True:
        await response.write(await streams.take(queue))


async def index(request: web.Request) -> web.Response:
    return web.Response(text=HELLO)


async def main(options: Options) -> None:
    app = web.Application()
    app["options"] = options
    app.router.add_get("/", index)
    app.router.add_get("/ws", echo)
    app.router.add_get("/receive", receive)
    app.router.add_get("/publish", publish)
    app.router.add_get("/events", events)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, backlog=options.backlog, ssl_context=options.ssl_context())
    await site.start()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(read_options()))
