"""What is weak in the C++ library's event streams, HTTP server and router, and is not here."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from elio import (
    ConfigurationError,
    Event,
    EventStream,
    HTTPError,
    InvalidHeader,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    Router,
    Server,
    StreamClosed,
)
from elio.server.router import Handler
from support.raw import connect, serve, until

QUICK = Limits(headers_timeout=0.2, keep_alive_timeout=0.2, send_timeout=0.3, commit_delay=0.05)


class Streams:
    """Routes with event streams, and what became of them."""

    def __init__(self) -> None:
        self.router = Router()
        self.steps: list[str] = []
        self.router.sse("/count")(self.count)
        self.router.sse("/idle")(self.idle)
        self.router.sse("/flood")(self.flood)

    async def count(self, stream: EventStream) -> None:
        """Three events behind the last one seen."""
        first = int(stream.last_event_id or 0) + 1
        for number in range(first, first + 3):
            await stream.send(Event(f"event {number}", id=str(number)))

    async def idle(self, stream: EventStream) -> None:
        """One event and then nothing."""
        await stream.send("only one")
        try:
            await asyncio.Event().wait()
        finally:
            self.steps.append("idle handler has ended")

    async def flood(self, stream: EventStream) -> None:
        try:
            while True:
                await stream.send("x" * 65536)
        finally:
            self.steps.append("flooding handler has ended")


@pytest.fixture
def streams() -> Streams:
    return Streams()


# -- event streams -----------------------------------------------------------------------------------------------------


async def test_an_event_stream_is_a_route_behind_the_same_middleware(streams: Streams) -> None:
    @streams.router.middleware
    async def guard(request: Request, handler: Handler) -> Response:
        if "authorization" not in request.headers:
            raise HTTPError(401)
        return await handler(request)

    async with serve(streams.router) as server, connect(server) as raw:
        assert (await raw.get("/count")).status == 401
        answer = await raw.get("/count", headers="Authorization: Bearer x\r\n")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.body.count(b"data: event") == 3


async def test_an_event_stream_is_chunked_and_its_connection_goes_on(streams: Streams) -> None:
    async with serve(streams.router) as server, connect(server) as raw:
        for _ in range(2):
            answer = await raw.get("/count")
            assert answer.headers["transfer-encoding"] == "chunked"
            assert "connection" not in answer.headers
            assert answer.body == b"".join(b"id: %d\ndata: event %d\n\n" % (n, n) for n in (1, 2, 3))


async def test_the_last_event_id_is_filled_in_and_the_stream_goes_on_behind_it(streams: Streams) -> None:
    async with serve(streams.router) as server, connect(server) as raw:
        answer = await raw.get("/count", headers="Last-Event-ID: 41\r\n")
        assert answer.body.startswith(b"id: 42\ndata: event 42\n\n")


@pytest.mark.parametrize("way", ["fin", "reset"])
async def test_a_reader_that_leaves_is_noticed_though_nothing_is_sent(streams: Streams, way: str) -> None:
    async with serve(streams.router) as server, connect(server) as raw:
        raw.send(b"GET /idle HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await raw.head()
        assert await raw.chunk() == b"data: only one\n\n"
        if way == "fin":
            raw.send_eof()
        else:
            raw.reset()
        await until(lambda: streams.steps)
        await until(lambda: server.connections == 0)
    assert streams.steps == ["idle handler has ended"]


async def test_a_reader_that_takes_nothing_is_cut_off_in_time(streams: Streams) -> None:
    async with serve(streams.router, limits=QUICK) as server, connect(server) as raw:
        raw.send(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: streams.steps)
    assert streams.steps == ["flooding handler has ended"]


async def test_who_sends_to_a_reader_that_has_gone_is_told(streams: Streams) -> None:
    kept: list[EventStream] = []

    @streams.router.sse("/kept")
    async def keep(stream: EventStream) -> None:
        kept.append(stream)
        await stream.send("hello")
        await asyncio.Event().wait()

    async with serve(streams.router) as server:
        async with connect(server) as raw:
            raw.send(b"GET /kept HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await raw.head()
        await until(lambda: not kept[0].is_active)
        with pytest.raises(StreamClosed):
            await kept[0].send("are you there?")


async def test_what_would_break_the_wire_raises_instead_of_being_left_out(streams: Streams) -> None:
    @streams.router.sse("/injection")
    async def inject(stream: EventStream) -> None:
        for bad in ("a\nb", "a\rb", "a\r\ndata: x", "a\x00b"):
            with pytest.raises(InvalidHeader):
                Event("data", id=bad)
        for bad in ("a\nb", "a\rb", "a\r\n\r\ndata: x"):
            with pytest.raises(InvalidHeader):
                await stream.send_event(bad, "data")
        for retry in (-5.0, -0.001, float("nan"), float("inf")):
            with pytest.raises(LocalProtocolError):
                await stream.send_retry(retry)
        await stream.send("one\rtwo\r\nthree\nid: four")
        await stream.send_comment("five\ndata: six")

    async with serve(streams.router) as server, connect(server) as raw:
        body = (await raw.get("/injection")).body
        assert body.startswith(b"data: one\ndata: two\ndata: three\ndata: id: four\n\n")
        assert all(line.startswith((b":", b"data: ")) or not line for line in body.split(b"\n"))
        assert b"\ndata: six" not in body


async def test_another_origin_may_read_only_where_that_was_asked_for(streams: Streams) -> None:
    headers = "Origin: https://example.com\r\n"
    async with serve(streams.router) as server, connect(server) as raw:
        assert "access-control-allow-origin" not in (await raw.get("/count", headers=headers)).headers
    streams.router.cors(allow_origins=["https://example.com"])
    async with serve(streams.router) as server, connect(server) as raw:
        answer = await raw.get("/count", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://example.com"


async def test_a_method_that_a_stream_does_not_have_is_405(streams: Streams) -> None:
    async with serve(streams.router) as server, connect(server) as raw:
        assert (await raw.get("/count", method="DELETE")).status == 405


async def test_an_idle_stream_gets_comments_and_a_busy_one_none() -> None:
    router = Router()

    @router.sse("/idle", keep_alive_interval=0.05)
    async def idle(stream: EventStream) -> None:
        await asyncio.Event().wait()

    async with serve(router, limits=QUICK) as server, connect(server) as raw:
        raw.send(b"GET /idle HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.head()).status == 200
        for _ in range(3):
            assert (await raw.chunk()).startswith(b":")


# -- HTTP --------------------------------------------------------------------------------------------------------------


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    @router.get("/fail")
    async def fail(request: Request) -> Response:
        raise RuntimeError("a bug")

    @router.route("/multi", ["GET", "POST"])
    async def multi(request: Request) -> Response:
        return Response.json([request.query.get_all("a"), request.headers.items()])

    return router


async def test_a_connection_is_kept_and_its_end_is_announced() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        for _ in range(3):
            answer = await raw.get("/")
            assert (answer.body, answer.headers.get("connection")) == (b"hello", None)
        answer = await raw.get("/", headers="Connection: close\r\n")
        assert answer.headers["connection"] == "close"
        assert await raw.read_all() == b""


async def test_pipelined_requests_are_all_answered() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        assert [(await raw.answer()).status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_whatever_is_wrong_with_a_request_is_answered_before_the_connection_closes(
    data: bytes, status: int
) -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        raw.send(data)
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert answer.body.startswith(b"%d " % status)
        raw.send_eof()
        assert await raw.read_all() == b""


async def test_a_slow_head_is_told_so_and_ended() -> None:
    async with serve(make_router(), limits=QUICK) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: loc")
        assert (await raw.answer()).status == 408
        raw.send_eof()
        assert await raw.read_all() == b""


async def test_head_is_answered_like_get() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        answer = await raw.get("/", method="HEAD")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")
        assert (await raw.get("/")).body == b"hello"


async def test_a_method_that_is_not_there_is_405_and_options_lists_those_that_are() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        for method, status in (("DELETE", 405), ("OPTIONS", 204)):
            answer = await raw.get("/multi", method=method)
            assert answer.status == status
            assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_repeated_query_names_and_the_order_of_headers_are_kept() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        answer = await raw.get("/multi?a=1&a=2&a=%C3%A9+x", headers="Zeta: 1\r\nAlpha: 2\r\n")
        assert answer.body.decode() == '[["1","2","é x"],[["Host","localhost"],["Zeta","1"],["Alpha","2"]]]'


async def test_one_connection_too_many_is_503() -> None:
    async with serve(make_router(), limits=Limits(max_connections=1)) as server, connect(server) as first:
        assert (await first.get("/")).status == 200
        async with connect(server) as second:
            answer = await second.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert (await first.get("/")).status == 200


async def test_only_failures_of_ours_are_errors_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="elio")
    async with serve(make_router()) as server:
        for data in (b"nonsense\r\n\r\n", b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            async with connect(server) as raw:
                raw.send(data)
                assert (await raw.answer()).status in (400, 404)
        async with connect(server) as raw:
            assert (await raw.get("/fail")).status == 500
    serious = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.name, str(record.exc_info[1])) for record in serious if record.exc_info] == [
        ("elio.server", "a bug")
    ]
    assert len(serious) == 1


async def test_the_level_of_the_access_log_is_real(caplog: pytest.LogCaptureFixture) -> None:
    for level, lines in ((logging.WARNING, 0), (logging.INFO, 1)):
        caplog.clear()
        caplog.set_level(level, logger="elio.access")
        async with serve(make_router()) as server, connect(server) as raw:
            await raw.get("/")
        assert len([record for record in caplog.records if record.name == "elio.access"]) == lines


# -- routes ------------------------------------------------------------------------------------------------------------


async def test_parameters_of_a_failed_match_do_not_leak_into_the_next_route() -> None:
    router = Router()

    @router.get("/a/:x/b")
    async def first(request: Request) -> Response:
        return Response.json({"first": request.params})

    @router.get("/a/*")
    async def second(request: Request) -> Response:
        return Response.json({"second": request.params})

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/a/1/b")).body == b'{"first":{"x":"1"}}'
        assert b'"x"' not in (await raw.get("/a/1/c")).body


async def test_parameters_are_decoded_and_hold_no_slash_of_the_path() -> None:
    router = Router()

    @router.get("/files/:name")
    async def name(request: Request) -> Response:
        return Response.text(request.params["name"])

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/files/caf%C3%A9%2Fx")).body.decode() == "café/x"
        assert (await raw.get("/files/a/b")).status == 404
        assert (await raw.get("/files/")).status == 404


async def test_routers_are_mounted_with_their_middleware_and_files_are_served(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("a page")
    inner, outer = Router(), Router()
    inner.static("/files", tmp_path)
    outer.mount("/site", inner)

    @inner.middleware
    async def mark(request: Request, handler: Handler) -> Response:
        response = await handler(request)
        response.headers["X-Inner"] = "yes"
        return response

    async with serve(outer) as server, connect(server) as raw:
        answer = await raw.get("/site/files/page.txt")
        assert (answer.body, answer.headers["x-inner"]) == (b"a page", "yes")
        assert (await raw.get("/site/files/../page.txt")).status == 404


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["999.1.1.1", "not an address", "127.0.0.1.example.invalid"])
async def test_an_address_that_is_none_is_refused_and_never_every_interface(host: str) -> None:
    with pytest.raises(ConfigurationError):
        async with Server(Router(), host=host, port=0):
            pass


async def test_the_default_address_is_reached_from_this_machine_only() -> None:
    async with serve(Router()) as server:
        assert server.urls == [f"http://127.0.0.1:{server.port}"]
