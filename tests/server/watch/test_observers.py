"""Functions of the program that hear of begins and ends."""

from __future__ import annotations

import pytest

from elio import EventStream, HTTPError, Request, Response, Router, WebSocket
from elio.causes import Cause, Closed
from elio.server.watch.observers import Observers
from support.raw import connect, serve, until
from support.request import make_request


def test_all_are_called_in_their_order_and_one_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []
    observers = Observers()

    def fail(*arguments: object) -> None:
        raise RuntimeError("a bug")

    observers.start += [lambda *start: seen.append(start), fail, lambda *start: seen.append(start)]
    observers.end += [fail, lambda *end: seen.append(end)]
    request = make_request()
    observers.started(request, "sse")
    observers.ended(request, "sse", Closed(), 1.5)
    assert seen == [(request, "sse"), (request, "sse"), (request, "sse", Closed(), 1.5)]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_each_connection_begins_and_ends_once() -> None:
    seen: list[tuple[str, str, str]] = []
    router = Router()

    @router.on_connection_start
    def started(request: Request, protocol: str) -> None:
        seen.append(("start", protocol, request.path))

    @router.on_connection_end
    def ended(request: Request, protocol: str, cause: Cause, seconds: float) -> None:
        assert seconds >= 0
        seen.append((cause.word, protocol, request.path))

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        await ws.send("hello")

    @router.websocket("/refused")
    async def refused(ws: WebSocket) -> None:
        raise HTTPError(403)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("hello")

    @router.get("/page")
    async def page(request: Request) -> Response:
        return Response()

    async with serve(router) as server, connect(server) as raw:
        await raw.get("/page")
        await raw.get("/events")
        await raw.upgrade("/refused")
        await raw.upgrade("/ws")
        await raw.receive_frame()
        assert await raw.receive_close() == (1000, "")
        raw.frame(0x88, b"\x03\xe8")
        await raw.read_all()
        await until(lambda: len(seen) == 4)
    assert seen == [
        ("start", "sse", "/events"),
        ("closed", "sse", "/events"),
        ("start", "websocket", "/ws"),
        ("closed", "websocket", "/ws"),
    ]
