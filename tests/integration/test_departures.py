"""A client that leaves is seen at the speed of the network, by handlers that wait for something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from elio import EventStream, Request, Response, Router, WebSocket
from support.raw import DEADLINE, HANDSHAKE, Raw, connect, serve

AT_ONCE = 0.05
"""Seconds within which a handler hears of it."""

CLOSES = 9

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Departures:
    """When handlers of one server heard of the end of their clients, on the clock of the loop."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()
        self.began.set()

    async def wait(self) -> None:
        self.begin()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.hear()
            raise

    def hear(self) -> None:
        self.heard.set_result(asyncio.get_running_loop().time())


def make_router(departures: Departures) -> Router:
    router = Router()

    @router.get("/http")
    async def http(request: Request) -> Response:
        await departures.wait()
        return Response()

    @router.sse("/sse")
    async def sse(stream: EventStream) -> None:
        await stream.send("one")
        await departures.wait()

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        await ws.accept()
        departures.begin()
        try:
            await ws.receive()
        finally:
            departures.hear()

    @router.websocket("/busy")
    async def busy(ws: WebSocket) -> None:
        await ws.accept()
        await departures.wait()

    return router


@pytest.mark.parametrize("leave", [Raw.send_eof, Raw.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    "request_",
    [GET % b"/http", GET % b"/sse", HANDSHAKE % (b"/ws", b""), HANDSHAKE % (b"/busy", b"")],
    ids=["http", "sse", "websocket", "websocket that does not receive"],
)
async def test_an_idle_handler_hears_of_it_within_50_ms(request_: bytes, leave: Callable[[Raw], None]) -> None:
    departures = Departures()
    loop = asyncio.get_running_loop()
    times = []
    async with serve(make_router(departures)) as server:
        for _ in range(CLOSES):
            departures.began.clear()
            async with connect(server) as raw, asyncio.timeout(DEADLINE):
                raw.send(request_)
                await departures.began.wait()
                left = loop.time()
                leave(raw)
                times.append(await departures.heard - left)
    assert min(times) < AT_ONCE  # other programs of the machine only add to it
