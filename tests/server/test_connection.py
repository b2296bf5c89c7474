"""HTTP connections of a server, over real sockets: requests, answers, bad input, limits and time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator

import pytest

from elio import ClientDisconnected, EventStream, HTTPError, Limits, Request, Response, Router, Server
from elio.server.connection import HttpConnection
from support.raw import DEADLINE, Raw, connect, serve, until

QUICK = Limits(headers_timeout=0.2, keep_alive_timeout=0.2, body_timeout=0.2, send_timeout=0.3, commit_delay=0.05)


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return Response.bytes(await request.body())

    @router.post("/ignore")
    async def ignore(request: Request) -> Response:
        return Response.text("ignored")

    @router.get("/stream")
    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"part %d\n" % number

        return Response.stream(parts())

    @router.get("/broken")
    async def broken(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise RuntimeError("half way")

        return Response.stream(parts())

    @router.get("/fail")
    async def fail(request: Request) -> Response:
        raise RuntimeError("secret")

    @router.get("/teapot")
    async def teapot(request: Request) -> Response:
        raise HTTPError(418, "short and stout", headers=[("X-Pot", "tea")])

    @router.get("/large")
    async def large(request: Request) -> Response:
        return Response.bytes(b"x" * 30_000_000)

    return router


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(make_router()) as running:
        yield running


@pytest.fixture
async def raw(server: Server) -> AsyncIterator[Raw]:
    async with connect(server) as connection:
        yield connection


@pytest.fixture
async def quick() -> AsyncIterator[Raw]:
    async with serve(make_router(), limits=QUICK) as running, connect(running) as connection:
        yield connection


# -- requests and answers ----------------------------------------------------------------------------------------------


async def test_a_connection_serves_one_request_after_the_other(raw: Raw) -> None:
    for _ in range(3):
        answer = await raw.get("/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert "connection" not in answer.headers
        assert answer.headers["date"].endswith("GMT")


async def test_pipelined_requests_are_answered_in_order(raw: Raw) -> None:
    raw.send(
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    bodies = [(await raw.answer()).body for _ in range(4)]
    assert bodies == [b"abc", b"hello", b"de", b"part 0\npart 1\npart 2\n"]
    assert await raw.read_all() == b""


async def test_more_pipelined_requests_than_are_read_ahead_are_all_answered(raw: Raw) -> None:
    count = 5000
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
    for _ in range(count):
        assert (await raw.answer()).body == b"hello"


async def test_head_has_the_headers_of_get_and_no_body(raw: Raw) -> None:
    answer = await raw.get("/", method="HEAD")
    assert answer.headers["content-length"] == "5"
    assert (await raw.get("/")).body == b"hello"


async def test_head_of_a_stream_has_no_body(raw: Raw) -> None:
    assert (await raw.get("/stream", method="HEAD")).status == 200
    assert (await raw.get("/")).body == b"hello"


async def test_a_body_is_asked_for_with_100_when_the_handler_wants_it(raw: Raw) -> None:
    raw.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert (await raw.head()).status == 100
    raw.send(b"abc")
    assert (await raw.answer()).body == b"abc"


async def test_a_body_that_nobody_wants_is_not_asked_for(raw: Raw) -> None:
    raw.send(b"POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    answer = await raw.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await raw.read_all() == b""


async def test_a_small_body_that_nobody_read_does_not_become_the_next_request(raw: Raw) -> None:
    body = b"GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n"
    raw.send(b"POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await raw.answer()).body == b"ignored"
    assert (await raw.get("/")).body == b"hello"


async def test_http_1_0_is_answered_and_closed(raw: Raw) -> None:
    raw.send(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
    data = await raw.read_all()
    assert data.endswith(b"\r\n\r\npart 0\npart 1\npart 2\n")
    assert b"chunked" not in data


async def test_a_client_that_sends_no_more_is_still_answered(raw: Raw) -> None:
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    raw.send_eof()
    assert (await raw.answer()).body == b"hello"
    assert await raw.read_all() == b""


async def test_an_upgrade_to_something_else_is_ignored_and_its_body_read(raw: Raw) -> None:
    raw.send(
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert (await raw.answer()).body == b"abc"
    assert (await raw.get("/")).body == b"hello"


async def test_an_exception_is_500_and_tells_nothing_of_itself(raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    answer = await raw.get("/fail")
    assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    records = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(records) == 1
    assert "secret" in (records[0].exc_text or "")
    assert (await raw.get("/")).body == b"hello"


async def test_an_http_error_is_its_status_with_text_that_is_no_markup(raw: Raw) -> None:
    answer = await raw.get("/teapot")
    assert (answer.status, answer.body) == (418, b"418 I'm a Teapot: short and stout\n")
    assert answer.headers["x-pot"] == "tea"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_stream_that_fails_ends_without_an_end(raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    raw.send(b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
    data = await raw.read_all()
    assert b"3\r\none\r\n" in data
    assert b"0\r\n\r\n" not in data
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n", 505),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 40000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 120, 431),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ],
)
async def test_bad_input_gets_a_clear_answer_and_an_end(server: Server, data: bytes, status: int) -> None:
    async with connect(server) as raw:
        raw.send(data)
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert answer.body.startswith(b"%d " % status)
        assert await raw.read_all() == b""
    async with connect(server) as raw:
        assert (await raw.get("/")).status == 200


async def test_the_answer_arrives_though_the_client_goes_on_sending(raw: Raw) -> None:
    raw.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 1_000_000)
    assert (await raw.answer()).status == 413
    raw.send(b"x" * 100_000)
    assert await raw.read_all() == b""


async def test_a_body_over_the_limit_is_413_though_nothing_announced_it(server: Server) -> None:
    async with serve(make_router(), limits=Limits(max_body_size=100)) as small, connect(small) as raw:
        chunked = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.send(chunked + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n")
        assert (await raw.answer()).status == 200
        raw.send(chunked + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
        assert (await raw.answer()).status == 413


async def test_bad_chunks_behind_a_good_head_are_400(raw: Raw) -> None:
    raw.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert (await raw.answer()).status == 400
    assert await raw.read_all() == b""


async def test_a_host_that_is_not_ours_is_refused(raw: Raw) -> None:
    raw.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    answer = await raw.answer()
    assert answer.status == 421
    assert b"'evil.example' is not served here" in answer.body


async def test_other_hosts_can_be_allowed() -> None:
    async with serve(make_router(), allowed_hosts=["*.example"]) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n")
        assert (await raw.answer()).status == 200
        assert (await raw.get("/")).status == 421


async def test_one_connection_too_many_is_told_so() -> None:
    async with serve(make_router(), limits=Limits(max_connections=1)) as server:
        async with connect(server) as first:
            assert (await first.get("/")).status == 200
            async with connect(server) as second:
                answer = await second.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert await second.read_all() == b""
        await until(lambda: not server.connections)
        async with connect(server) as third:
            assert (await third.get("/")).status == 200


@pytest.mark.parametrize("target", ["/", "/teapot", "/nothing"])
async def test_a_connection_that_has_ended_is_nothing_for_the_collector(target: str) -> None:
    async with serve(make_router()) as server:
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            async with connect(server) as raw:
                raw.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target.encode())
                assert (await raw.read_all()).startswith(b"HTTP/1.1")
            await until(lambda: not server.connections)
            gc.collect()
            assert not [found for found in gc.garbage if isinstance(found, HttpConnection)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_head_that_does_not_end_is_408(quick: Raw) -> None:
    quick.send(b"GET / HTTP/1.1\r\nHost: local")
    assert (await quick.answer()).status == 408
    assert await quick.read_all() == b""


async def test_a_connection_that_says_nothing_is_closed(quick: Raw) -> None:
    assert await quick.read_all() == b""


async def test_a_kept_connection_that_says_nothing_more_is_closed(quick: Raw) -> None:
    assert (await quick.get("/")).status == 200
    assert await quick.read_all() == b""


async def test_a_body_that_stops_coming_is_408(quick: Raw) -> None:
    quick.send(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
    assert (await quick.answer()).status == 408


async def held(server: Server, target: str) -> int:
    """Ask, and take nothing. Returns how many bytes wait in the server when nothing moves any more."""
    assert server._context is not None
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await loop.sock_sendall(sock, b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target.encode())
        before, unsent = -1, 0
        while before != unsent:
            await asyncio.sleep(0.05)
            before, unsent = unsent, sum(connection.unsent for connection in server._context.connections)
        await until(lambda: not server.connections)
    return unsent


@pytest.mark.parametrize("target", ["/sized", "/sized-last", "/events", "/events-left"])
async def test_a_client_that_takes_nothing_of_the_rest_is_cut_off(target: str) -> None:
    router = Router()

    @router.get("/sized")
    async def sized(request: Request) -> Response:
        return Response.text("x" * int(request.query["n"]))

    @router.get("/sized-last")
    async def sized_last(request: Request) -> Response:
        return Response.text("x" * int(request.query["n"]), headers={"Connection": "close"})

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send_data("x" * int(stream.request.query["n"]))

    @router.sse("/events-left")
    async def events_left(stream: EventStream) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await stream.send_data("x" * 10_000_000)

    async with serve(router, limits=QUICK) as server:
        # The system takes so many, and the rest is too little for the server to pause for.
        taken = 10_000_000 - await held(server, "/sized?n=10000000")
        await held(server, f"{target}?n={taken + 20_000}")


async def test_a_handler_that_lets_a_body_that_stopped_pass_answers_for_the_last_time() -> None:
    router = Router()

    @router.post("/")
    async def take(request: Request) -> Response:
        with pytest.raises(HTTPError):
            await request.body()
        return Response.text("what there was")

    async with serve(router, limits=QUICK) as server, connect(server) as raw:
        raw.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
        answer = await raw.answer()
        assert (answer.body, answer.headers["connection"]) == (b"what there was", "close")
        raw.send(b"7 more..GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await raw.read_all() == b""
        await until(lambda: not server.connections)
        assert server.counters.ends == {("http", "request_timeout"): 1}


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    async with serve(make_router(), limits=QUICK) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: server.connections)
        await until(lambda: not server.connections)
        writer.transport.abort()
        del reader


# -- departures --------------------------------------------------------------------------------------------------------


async def test_a_handler_that_reads_the_body_of_a_client_that_left_is_told() -> None:
    router = Router()
    told: asyncio.Future[ClientDisconnected] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    @router.post("/")
    async def handler(request: Request) -> Response:
        begun.set()
        try:
            return Response.bytes(await request.body())
        except ClientDisconnected as error:
            told.set_result(error)
            raise

    async with serve(router) as server:
        for leave in (Raw.reset, Raw.send_eof):
            told = asyncio.get_running_loop().create_future()
            begun.clear()
            async with connect(server) as raw:
                raw.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
                await begun.wait()
                leave(raw)
                async with asyncio.timeout(DEADLINE):
                    assert (await told).received == 3


async def test_a_stream_is_closed_when_its_client_leaves() -> None:
    router = Router()
    closed = asyncio.Event()

    @router.get("/")
    async def handler(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 10_000
            finally:
                closed.set()

        return Response.stream(parts())

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await raw.read(100_000)
        raw.reset()
        async with asyncio.timeout(DEADLINE):
            await closed.wait()


async def test_an_event_stream_handler_is_cancelled_when_its_reader_leaves() -> None:
    router = Router()
    cancelled = asyncio.Event()

    @router.sse("/")
    async def handler(stream: EventStream) -> None:
        await stream.send("one")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serve(router) as server:
        for leave in (Raw.reset, Raw.send_eof):
            cancelled.clear()
            async with connect(server) as raw:
                raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await raw.read_until(b"data: one\n\n")
                leave(raw)
                async with asyncio.timeout(DEADLINE):
                    await cancelled.wait()


# -- the end of the server ---------------------------------------------------------------------------------------------


async def test_closing_answers_what_was_asked_and_closes_idle_connections() -> None:
    router = Router()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @router.get("/slow")
    async def slow(request: Request) -> Response:
        begun.set()
        await go_on.wait()
        return Response.text("done")

    async with serve(router) as server, connect(server) as busy, connect(server) as idle:
        busy.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await begun.wait()
        closing = asyncio.ensure_future(server.close(grace=DEADLINE))
        assert await idle.read_all() == b""
        go_on.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        await closing


async def test_what_does_not_end_within_the_grace_is_cut() -> None:
    router = Router()
    begun = asyncio.Event()
    cancelled = asyncio.Event()

    @router.get("/slow")
    async def slow(request: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Response.text("never")

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await begun.wait()
        await server.close(grace=0.05)
        assert await raw.read_all() == b""
        assert cancelled.is_set()
