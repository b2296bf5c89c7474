"""Bodies that come too slowly, and those that only seem to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from elio import HTTPError, Limits, Request, Response, Router
from elio.body import Body
from elio.causes import RequestTimeout
from elio.net.timer import CoarseTimer
from elio.server.watch.pace import Pace
from support.clock import FakeLoop
from support.raw import connect, serve, until


class Watched:
    """A body and its pace, 100 bytes a second over 2 seconds, on a clock of the test."""

    def __init__(self, body: Body) -> None:
        self.loop = FakeLoop()
        self.body = body
        self.slow: list[RequestTimeout] = []
        limits = Limits(min_body_rate=100, body_grace=2.0)
        self.pace = Pace.of(body, CoarseTimer(self.loop), limits, self.slow.append)  # type: ignore[arg-type]

    def pass_time(self, seconds: float, size: int = 0) -> None:
        """Some bytes come, then time passes."""
        if size:
            self.body.feed(bytes(size))
        self.loop.advance(seconds)


def test_a_body_that_drips_is_slow() -> None:
    watched = Watched(Body())
    watched.pass_time(1.9, 199)
    assert watched.slow == []
    watched.pass_time(0.2)
    assert watched.slow == [RequestTimeout("min_body_rate", 100)]
    watched.pass_time(10)
    assert len(watched.slow) == 1


def test_as_many_bytes_as_asked_for_are_enough() -> None:
    watched = Watched(Body())
    for _ in range(5):
        watched.pass_time(2.1, 210)
    assert watched.slow == []


def test_what_came_before_does_not_help() -> None:
    watched = Watched(Body())
    watched.pass_time(2.1, 10_000)
    watched.pass_time(2.1)
    assert len(watched.slow) == 1


def test_a_body_that_is_not_wanted_is_not_slow() -> None:
    waiting = Watched(Body(on_first_read=lambda: None))
    waiting.pass_time(10)
    assert waiting.slow == []
    full = Watched(Body(buffer_size=10, pause=lambda: None, resume=lambda: None))
    full.pass_time(1, 11)
    full.pass_time(10)
    assert full.slow == []


def test_time_counts_anew_from_where_it_is_wanted() -> None:
    watched = Watched(Body())
    watched.pass_time(1.5)
    assert watched.pace is not None
    watched.pace.begin()
    watched.pass_time(1.5, 1)
    assert watched.slow == []
    watched.pass_time(0.6)
    assert len(watched.slow) == 1


def test_after_the_end_nobody_looks() -> None:
    watched = Watched(Body())
    assert watched.pace is not None
    watched.pace.stop()
    watched.pass_time(10)
    assert watched.slow == []


def test_there_is_none_for_a_body_that_is_complete_or_without_a_bound() -> None:
    assert Watched(Body.from_bytes(b"all")).pace is None
    timer = CoarseTimer(FakeLoop())  # type: ignore[arg-type]
    assert Pace.of(Body(), timer, Limits(min_body_rate=None), print) is None


# -- over sockets ------------------------------------------------------------------------------------------------------

POST = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n"


def make_router() -> Router:
    router = Router()

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return Response.bytes(await request.body())

    @router.post("/late")
    async def late(request: Request) -> Response:
        await asyncio.sleep(0.5)
        return Response.bytes(await request.body())

    @router.post("/parts")
    async def parts(request: Request) -> Response:
        received = 0
        try:
            async for part in request.stream():
                received += len(part)
        except HTTPError as error:
            return Response.text(f"{received} bytes, then {error.status}", status=error.status)
        return Response.text(f"{received} bytes")

    return router


async def drip(stopped: asyncio.Event, send: Callable[[bytes], None]) -> None:
    while not stopped.is_set():
        send(b"x")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("target", [b"/echo", b"/parts"])
async def test_a_client_that_drips_gets_408(target: bytes) -> None:
    limits = Limits(min_body_rate=10_000, body_grace=0.2)
    async with serve(make_router(), limits=limits) as server, connect(server) as raw:
        raw.send(POST % (target, 100_000, b""))
        stopped = asyncio.Event()
        dripping = asyncio.create_task(drip(stopped, raw.send))
        assert (await raw.answer()).status == 408
        stopped.set()
        await dripping
        await raw.close()
        await until(lambda: not server.connections)
        assert server.counters.ends == {("http", "request_timeout"): 1}
        assert server.counters.limits == {"min_body_rate": 1}


@pytest.mark.parametrize("rate", [10, None])
async def test_one_that_is_fast_enough_is_served(rate: int | None) -> None:
    limits = Limits(min_body_rate=rate, body_grace=0.2)
    async with serve(make_router(), limits=limits) as server, connect(server) as raw:
        raw.send(POST % (b"/echo", 1000, b""))
        for _ in range(100):
            raw.send(bytes(10))
            await asyncio.sleep(0.003)
        assert (await raw.answer()).status == 200
        assert (await raw.get("/none")).status == 404


async def test_who_waits_to_be_asked_for_the_body_is_not_slow() -> None:
    limits = Limits(min_body_rate=10_000, body_grace=0.2)
    async with serve(make_router(), limits=limits) as server, connect(server) as raw:
        raw.send(POST % (b"/late", 3, b"Expect: 100-continue\r\n"))
        assert (await raw.head()).status == 100
        raw.send(b"abc")
        assert (await raw.answer()).body == b"abc"
