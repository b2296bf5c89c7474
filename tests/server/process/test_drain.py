"""The orderly end of a server over sockets: who is told when, what they are told, and what is cut."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from elio import ConfigurationError, EventStream, Request, Response, Router, Server, WebSocket
from elio.server.process.drain import check_seconds
from support.raw import DEADLINE, Raw, connect, serve, until

ASKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
CLOSE = b"\x03\xe9"


class Site:
    """Routes, and what their handlers have seen."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.router = router = Router()

        @router.post("/echo")
        async def echo(request: Request) -> Response:
            return Response.bytes(await request.body())

        @router.websocket("/ws")
        async def talk(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send(message)

        @router.websocket("/watching")
        async def watching(ws: WebSocket) -> None:
            await ws.send(f"closing {ws.closing}")
            await ws.wait_closing()
            await ws.send(f"closing {ws.closing}")
            await ws.wait_closed()

        @router.sse("/events")
        async def events(stream: EventStream) -> None:
            try:
                await stream.send(f"closing {stream.closing}")
                await asyncio.Event().wait()
            finally:
                self.seen.append("cleaned up")

        @router.sse("/watching-events")
        async def watching_events(stream: EventStream) -> None:
            await stream.send("begun")
            await stream.wait_closing()
            await stream.send(f"closing {stream.closing}")

        @router.sse("/late", commit_delay=None)
        async def late(stream: EventStream) -> None:
            self.seen.append("late")
            await asyncio.Event().wait()


@asynccontextmanager
async def many(server: Server, count: int) -> AsyncIterator[list[Raw]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect(server)) for _ in range(count)]


async def open_events(raw: Raw, target: str = "/events") -> None:
    raw.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target.encode())
    await raw.read_until(b"\n\n\r\n")


async def end_of(raw: Raw) -> tuple[float, int]:
    """When the close frame came, and its code; it is answered."""
    code, _ = await raw.receive_close()
    when = asyncio.get_running_loop().time()
    raw.frame(0x88, code.to_bytes(2, "big"))
    assert await raw.read_all() == b""
    return when, code


# -- the window --------------------------------------------------------------------------------------------------------


async def test_ends_are_spread_over_the_window_and_every_reader_gets_a_farewell() -> None:
    async with serve(Site().router) as server, many(server, 20) as sockets, many(server, 20) as readers:
        for raw in sockets:
            await raw.upgrade()
        for raw in readers:
            await open_events(raw)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        draining = asyncio.ensure_future(server.drain(window=1.0, grace=DEADLINE, returning=True))
        ends = await asyncio.gather(*(end_of(raw) for raw in sockets))
        assert {code for _, code in ends} == {1012}
        retries = []
        for raw in readers:
            farewell = await raw.read_all()
            found = re.fullmatch(rb"[0-9a-f]+\r\nretry: (\d+)\n\n\r\n0\r\n\r\n", farewell)
            assert found, farewell
            retries.append(int(found[1]))
        await draining
        assert min(retries) >= 1000
        assert max(retries) <= 2000
        assert len(set(retries)) > 10
        times = sorted(when - begun for when, _ in ends)
        assert times[0] < 0.5 * times[-1]
        assert times[-1] >= 0.5


async def test_without_a_number_few_connections_do_not_hold_the_end_up() -> None:
    async with serve(Site().router) as server, connect(server) as raw:
        await open_events(raw)
        async with asyncio.timeout(5.0):
            await server.drain()
        assert re.fullmatch(rb"d\r\nretry: 10\d\d\n\n\r\n0\r\n\r\n", await raw.read_all())


async def test_without_a_window_nothing_is_said_about_the_return() -> None:
    async with serve(Site().router) as server, connect(server) as raw:
        await open_events(raw)
        await server.close()
        assert await raw.read_all() == b"0\r\n\r\n"


async def test_a_second_call_may_shorten_the_window() -> None:
    async with serve(Site().router) as server, many(server, 5) as sockets:
        for raw in sockets:
            await raw.upgrade()
        patient = asyncio.ensure_future(server.drain(window=1000.0, grace=1000.0))
        await until(lambda: not server.is_running)
        hasty = asyncio.ensure_future(server.drain(window=0.0, grace=DEADLINE))
        await asyncio.gather(*(end_of(raw) for raw in sockets))
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(patient, hasty)


async def test_until_its_turn_comes_a_connection_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.shuffle", lambda found: None)  # the one that came first goes last
    async with serve(Site().router) as server, many(server, 2) as (raw, first):
        for each in (raw, first):
            await each.upgrade()
        draining = asyncio.ensure_future(server.drain(window=1000.0))
        await end_of(first)
        raw.frame(0x81, b"still there")
        assert await raw.receive_frame() == (0x81, b"still there")
        await asyncio.gather(draining, server.close(grace=0))


async def test_a_websocket_that_is_opened_on_the_way_is_told_as_well() -> None:
    async with serve(Site().router) as server, connect(server) as raw:
        await until(lambda: server.connections == 1)
        closing = asyncio.ensure_future(server.close(grace=DEADLINE))
        await until(lambda: not server.is_running)
        assert (await raw.upgrade()).status == 101
        assert (await end_of(raw))[1] == 1001
        await closing


# -- what handlers see -------------------------------------------------------------------------------------------------


async def test_handlers_see_that_the_end_is_near_and_have_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.shuffle", lambda found: None)
    async with serve(Site().router) as server, many(server, 3) as (events, raw, first):
        await open_events(events, "/watching-events")
        await raw.upgrade("/watching")
        assert await raw.receive_frame() == (0x81, b"closing False")
        await first.get("/nothing")
        draining = asyncio.ensure_future(server.drain(window=1000.0))
        assert await first.read_all() == b""
        assert await raw.receive_frame() == (0x81, b"closing True")
        rest = await events.read_all()
        assert re.search(rb"data: closing True\n\n(\r\n[0-9a-f]+\r\n)?retry: \d+\n\n\r\n0\r\n\r\n$", rest), rest
        await asyncio.gather(draining, server.close(grace=0))


async def test_an_event_stream_that_has_not_begun_ends_as_a_stream_and_not_as_a_refusal() -> None:
    site = Site()
    async with serve(site.router) as server, connect(server) as raw:
        raw.send(b"GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.seen == ["late"])
        await server.drain(window=0.05)
        answer = await raw.head()
        assert answer.status == 200
        assert re.fullmatch(rb"[0-9a-f]+\r\nretry: \d+\n\n\r\n0\r\n\r\n", await raw.read_all())


async def test_handlers_of_event_streams_are_cancelled_behind_the_end_of_the_stream() -> None:
    site = Site()
    async with serve(site.router) as server, connect(server) as raw:
        await open_events(raw)
        await server.close()
        assert site.seen == ["cleaned up"]


# -- the rest ----------------------------------------------------------------------------------------------------------


async def test_a_request_in_progress_is_answered_and_an_idle_connection_closed() -> None:
    async with serve(Site().router) as server, many(server, 2) as (idle, busy):
        assert (await idle.get("/nothing")).status == 404
        busy.send(ASKED)
        assert (await busy.head()).status == 100
        draining = asyncio.ensure_future(server.drain(grace=DEADLINE))
        assert await idle.read_all() == b""
        busy.send(b"12345")
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"12345", "close")
        await draining


async def test_a_request_on_an_idle_connection_before_its_turn_is_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.shuffle", lambda found: None)
    async with serve(Site().router) as server, many(server, 2) as (raw, first):
        for each in (raw, first):
            assert (await each.get("/nothing")).status == 404
        draining = asyncio.ensure_future(server.drain(window=1000.0))
        assert await first.read_all() == b""
        answer = await raw.get("/nothing")
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await raw.read_all() == b""
        await draining


async def test_what_is_cut_is_counted_and_nothing_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serve(Site().router) as server, many(server, 2) as (raw, other):
        await raw.upgrade()
        other.send(ASKED)
        assert (await other.head()).status == 100
        await server.drain(window=0.0, grace=0.05)
        assert (await raw.receive_close())[0] == 1001
        assert await other.read_all() == b""
    found = [record for record in caplog.records if record.name == "elio.server"]
    assert [record.levelname for record in found] == ["WARNING"]
    assert re.fullmatch(r"connections still open after \d\.\d seconds, which are cut: 2", found[0].getMessage())


@pytest.mark.parametrize("options", [{"window": -1.0}, {"grace": float("nan")}, {"window": float("inf")}])
async def test_times_are_checked_before_anything_happens(options: dict[str, float]) -> None:
    async with serve(Site().router) as server:
        with pytest.raises(ConfigurationError, match=r"it must be a number of seconds, at least 0$"):
            await server.drain(**options)
        assert server.is_running
    check_seconds(a=None, b=0.0)
