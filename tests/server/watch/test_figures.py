"""What a server says of itself in numbers."""

from __future__ import annotations

import asyncio

import pytest

from elio import EventStream, Router, Server, WebSocket
from elio.server.watch.counters import Counters
from elio.server.watch.figures import Figures
from support.frames import frame
from support.raw import connect, serve, until


def test_before_the_start_all_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELIO_WORKER", raising=False)
    figures = Figures(Counters())
    assert figures.open() == {"http": 0, "sse": 0, "websocket": 0}
    assert (figures.queued_messages(), figures.queued_bytes(), figures.traffic.bytes_sent) == (0, 0, 0)
    assert (figures.worker, figures.lags.counts) == ("0", [0])
    monkeypatch.setenv("ELIO_WORKER", "3")
    assert figures.worker == "3"


def make_router(go_on: asyncio.Event) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        await ws.accept()
        await go_on.wait()
        async for message in ws:
            await ws.send(message)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("first")
        await stream.send("second")
        await go_on.wait()

    return router


async def test_what_is_open_what_waits_and_what_has_gone_by() -> None:
    go_on = asyncio.Event()
    async with serve(make_router(go_on)) as server, connect(server) as one, connect(server) as two:
        figures = server.figures
        async with connect(server):
            await one.upgrade(behind=frame(0x81, b"a") + frame(0x82, b"b"))
            two.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await two.read_until(b"second\n\n")
            await until(lambda: figures.queued_messages() == 2)
            assert figures.open() == {"http": 1, "sse": 1, "websocket": 1}
        assert figures.queued_bytes() == 0
        go_on.set()
        for payload in ((0x81, b"a"), (0x82, b"b")):
            assert await one.receive_frame() == payload
        await until(lambda: figures.open() == {"http": 1, "sse": 0, "websocket": 1})
        traffic = figures.traffic
        assert (traffic.messages_received, traffic.messages_sent, traffic.events_sent) == (2, 2, 2)
        assert traffic.bytes_received > 100
        assert traffic.bytes_sent > 100
        assert sum(traffic.first_events.counts) == 1


async def test_the_server_has_them_before_and_behind_its_life() -> None:
    server = Server(make_router(asyncio.Event()), port=0)
    assert server.figures.counters is server.counters
    async with server:
        assert server.figures.open()["http"] == 0
    assert server.figures.open() == {"http": 0, "sse": 0, "websocket": 0}
