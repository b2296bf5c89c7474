"""Requests that become WebSockets or event streams, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from elio import (
    ConnectionClosed,
    ConnectionClosedError,
    EventStream,
    HTTPError,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    Router,
    Server,
    StreamClosed,
    WebSocket,
)
from support.frames import frame
from support.raw import DEADLINE, connect, serve, until

TEXT, CLOSE = 0x81, 0x88


def make_router() -> Router:
    router = Router()

    @router.websocket("/ws", subprotocols=["json", "chat"])
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.get("/ws")
    async def page(request: Request) -> Response:
        return Response.text("a page")

    @router.get("/page")
    async def only_page(request: Request) -> Response:
        return Response.text("only a page")

    @router.websocket("/rooms/:room")
    async def room(ws: WebSocket) -> None:
        await ws.send(f"{ws.params['room']} {ws.request.query.get('a') if ws.request else ''}")

    @router.websocket("/reject")
    async def reject(ws: WebSocket) -> None:
        await asyncio.sleep(0)
        await ws.reject(403, "not you", {"X-Why": "because"})

    @router.websocket("/raise")
    async def refuse(ws: WebSocket) -> None:
        raise HTTPError(401, "who are you?", headers=[("WWW-Authenticate", "Bearer")])

    @router.websocket("/bug")
    async def bug(ws: WebSocket) -> None:
        raise RuntimeError("before the handshake")

    @router.websocket("/late-bug")
    async def late_bug(ws: WebSocket) -> None:
        await ws.send("fine")
        raise RuntimeError("behind the handshake")

    @router.websocket("/late-refusal")
    async def late_refusal(ws: WebSocket) -> None:
        await ws.send("fine")
        raise HTTPError(403, "changed my mind")

    @router.websocket("/return")
    async def nothing(ws: WebSocket) -> None:
        pass

    @router.websocket("/accept")
    async def accept(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError, match="was not offered"):
            await ws.accept(subprotocol="other")
        with pytest.raises(LocalProtocolError, match="was not offered"):
            await ws.accept(subprotocol="elio.ticket.x")
        await ws.accept(subprotocol="chat", headers={"Set-Cookie": "a=b"})

    @router.websocket("/bad-reject")
    async def bad_reject(ws: WebSocket) -> None:
        await ws.reject(200)

    @router.websocket("/open", origins=["*"])
    async def anywhere(ws: WebSocket) -> None:
        await ws.send("hello")

    return router


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(make_router(), limits=Limits(close_timeout=0.5, commit_delay=0.1)) as running:
        yield running


async def test_the_handshake_of_the_rfc(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade()
        assert answer.status == 101
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert answer.headers["upgrade"] == "websocket"
        assert "sec-websocket-protocol" not in answer.headers
        assert "sec-websocket-extensions" not in answer.headers
        raw.frame(TEXT, b"hi")
        assert await raw.receive_frame() == (TEXT, b"hi")
        raw.frame(CLOSE, b"\x03\xe8")
        assert await raw.receive_close() == (1000, "")
        assert await raw.read_all() == b""


async def test_frames_right_behind_the_handshake_are_not_lost(server: Server) -> None:
    async with connect(server) as raw:
        await raw.upgrade(behind=frame(TEXT, b"early"))
        assert await raw.receive_frame() == (TEXT, b"early")
        raw.frame(CLOSE, b"\x03\xe8")
        assert await raw.receive_close() == (1000, "")


async def test_bad_frames_right_behind_the_handshake_fail_the_connection(server: Server) -> None:
    async with connect(server) as raw:
        assert (await raw.upgrade(behind=b"\xff\xff\xff\xff")).status == 101
        assert (await raw.receive_close())[0] == 1002


async def test_one_path_can_be_a_page_and_a_websocket(server: Server) -> None:
    async with connect(server) as raw:
        assert (await raw.get("/ws")).body == b"a page"
        assert (await raw.upgrade()).status == 101


async def test_a_page_ignores_the_wish_for_an_upgrade(server: Server) -> None:
    async with connect(server) as raw:
        assert (await raw.upgrade("/page")).body == b"only a page"
        assert (await raw.get("/page")).body == b"only a page"


async def test_a_websocket_that_is_not_asked_for_is_426(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.get("/open")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.headers["sec-websocket-version"] == "13"


async def test_parameters_and_query_reach_the_handler(server: Server) -> None:
    async with connect(server) as raw:
        await raw.upgrade("/rooms/a%2Fb?a=1")
        assert await raw.receive_frame() == (TEXT, b"a/b 1")
        assert (await raw.receive_close())[0] == 1000


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
        (b"Host: localhost\r\n", b"Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
        (b"Host: localhost\r\n", b"Host: localhost\r\nOrigin: null\r\n", 403),
        (b"Host: localhost\r\n", b"Host: localhost\r\nSec-WebSocket-Protocol: a b\r\n", 400),
        (b"Host: localhost\r\n", b"Host: localhost\r\nContent-Length: 3\r\n", 400),
        (b"GET /ws", b"GET /no", 404),
    ],
)
async def test_bad_handshakes_are_refused_in_clear_words(server: Server, old: bytes, new: bytes, status: int) -> None:
    good = (
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with connect(server) as raw:
        raw.send(good.replace(old, new) + (b"abc" if b"Content-Length" in new else b""))
        answer = await raw.answer()
        assert answer.status == status
        assert answer.body.startswith(b"%d " % status)
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13"


async def test_the_own_origin_may_connect_and_others_where_a_route_says_so(server: Server) -> None:
    async with connect(server) as raw:
        assert (await raw.upgrade(headers="Origin: http://localhost\r\n")).status == 101
    async with connect(server) as raw:
        assert (await raw.upgrade("/open", headers="Origin: http://evil.example\r\n")).status == 101


async def test_origins_of_the_server_hold_for_routes_without_their_own() -> None:
    async with serve(make_router(), origins=["https://good.example"]) as server, connect(server) as raw:
        assert (await raw.upgrade(headers="Origin: https://bad.example\r\n")).status == 403
        assert (await raw.upgrade(headers="Origin: https://good.example\r\n")).status == 101


async def test_the_first_subprotocol_of_the_client_that_we_speak_is_agreed_on(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade(headers="Sec-WebSocket-Protocol: x, chat, json\r\n")
        assert answer.headers["sec-websocket-protocol"] == "chat"


async def test_compression_is_agreed_on_when_it_is_offered(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade(headers="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        assert answer.headers["sec-websocket-extensions"].startswith("permessage-deflate")


async def test_a_handler_can_reject_with_status_body_and_headers(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade("/reject")
        assert (answer.status, answer.body, answer.headers["x-why"]) == (403, b"not you", "because")
        assert (await raw.get("/page")).body == b"only a page"


async def test_a_rejection_without_a_body_says_its_status() -> None:
    router = Router()

    @router.websocket("/")
    async def handler(ws: WebSocket) -> None:
        await ws.reject(404)

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.upgrade("/")).body == b"404 Not Found"


async def test_an_http_error_before_the_handshake_is_its_status(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade("/raise")
        assert (answer.status, answer.body) == (401, b"who are you?")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_exception_before_the_handshake_is_500(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(server) as raw:
        assert (await raw.upgrade("/bug")).status == 500
        assert (await raw.upgrade("/bad-reject")).status == 500
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_an_exception_behind_the_handshake_is_1011_and_logged_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(server) as raw:
        await raw.upgrade("/late-bug")
        assert await raw.receive_frame() == (TEXT, b"fine")
        assert await raw.receive_close() == (1011, "")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "behind the handshake" in (caplog.records[0].exc_text or "")


async def test_an_http_error_behind_the_handshake_is_1008(server: Server) -> None:
    async with connect(server) as raw:
        await raw.upgrade("/late-refusal")
        await raw.receive_frame()
        assert await raw.receive_close() == (1008, "changed my mind")


async def test_a_handler_that_returns_closes_with_1000(server: Server) -> None:
    async with connect(server) as raw:
        assert (await raw.upgrade("/return")).status == 101
        assert await raw.receive_close() == (1000, "")
        raw.frame(CLOSE, b"\x03\xe8")
        assert await raw.read_all() == b""


async def test_a_handler_can_accept_with_a_subprotocol_and_headers(server: Server) -> None:
    async with connect(server) as raw:
        answer = await raw.upgrade("/accept", headers="Sec-WebSocket-Protocol: chat\r\n")
        assert answer.headers["sec-websocket-protocol"] == "chat"
        assert answer.headers["set-cookie"] == "a=b"


async def test_middleware_can_refuse_and_add_headers_to_the_101() -> None:
    router = make_router()

    @router.middleware
    async def guard(request: Request, handler: object) -> Response:
        if "secret" not in request.query:
            raise HTTPError(401)
        response = await handler(request)  # type: ignore[operator]
        response.headers.add("X-Guard", "passed")
        return response

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.upgrade()).status == 401
        answer = await raw.upgrade("/ws?secret=1")
        assert (answer.status, answer.headers["x-guard"]) == (101, "passed")


# -- ends --------------------------------------------------------------------------------------------------------------


async def test_a_handler_that_never_receives_is_cancelled_when_its_client_leaves() -> None:
    router = Router()
    ended: list[str] = []

    @router.websocket("/idle")
    async def idle(ws: WebSocket) -> None:
        await ws.send("hello")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade("/idle")
        await raw.receive_frame()
        raw.reset()
        await until(lambda: ended)
        await until(lambda: not server.connections)


async def test_a_handler_that_works_on_a_message_may_finish_its_work() -> None:
    router = Router()
    ended: list[str] = []
    go_on = asyncio.Event()

    @router.websocket("/work")
    async def work(ws: WebSocket) -> None:
        async for message in ws:
            await go_on.wait()
            ended.append(str(message))

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade("/work", behind=frame(TEXT, b"1") + frame(TEXT, b"2") + frame(CLOSE, b"\x03\xe8"))
        await raw.receive_close()
        go_on.set()
        await until(lambda: ended == ["1", "2"])
        await until(lambda: not server.connections)


async def test_a_handler_that_works_on_for_ever_is_cancelled_after_the_grace() -> None:
    router = Router()
    ended: list[str] = []

    @router.websocket("/work")
    async def work(ws: WebSocket) -> None:
        await ws.receive()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with serve(router, limits=Limits(disconnect_grace=0.05)) as server, connect(server) as raw:
        await raw.upgrade("/work", behind=frame(TEXT, b"1"))
        await until(lambda: server.connections)
        raw.reset()
        await until(lambda: ended)


async def test_an_end_that_the_handler_does_not_catch_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()
    seen: list[ConnectionClosed] = []

    @router.websocket("/")
    async def handler(ws: WebSocket) -> None:
        try:
            while True:
                await ws.receive()
        except ConnectionClosed as error:
            seen.append(error)
            raise

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade("/")
        raw.reset()
        await until(lambda: seen and not server.connections)
    assert isinstance(seen[0], ConnectionClosedError)
    assert caplog.records == []


async def test_the_end_of_another_connection_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()
    others: list[WebSocket] = []

    @router.websocket("/other")
    async def other(ws: WebSocket) -> None:
        others.append(ws)
        await ws.close()

    @router.websocket("/")
    async def handler(ws: WebSocket) -> None:
        await ws.receive()
        await others[0].send("into the void")

    async with serve(router) as server, connect(server) as first, connect(server) as second:
        await first.upgrade("/other", behind=frame(CLOSE, b"\x03\xe8"))
        await first.read_all()
        await second.upgrade("/", behind=frame(TEXT, b"go"))
        assert (await second.receive_close())[0] == 1011
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_closing_the_server_says_so_to_every_websocket() -> None:
    for returning, code in ((False, 1001), (True, 1012)):
        async with serve(make_router()) as server, connect(server) as raw:
            await raw.upgrade()
            closing = asyncio.ensure_future(server.drain(window=0.0, grace=DEADLINE, returning=returning))
            assert (await raw.receive_close())[0] == code
            raw.frame(CLOSE, code.to_bytes(2, "big"))
            await closing


async def test_a_websocket_that_does_not_answer_is_cut_at_the_end_of_the_grace() -> None:
    async with serve(make_router()) as server, connect(server) as raw:
        await raw.upgrade()
        await server.close(grace=0.1)
        assert (await raw.receive_close())[0] == 1001
        assert await raw.read_all() == b""


# -- event streams -----------------------------------------------------------------------------------------------------


async def test_an_event_stream_has_the_headers_that_keep_it_whole() -> None:
    router = Router()

    @router.sse("/events", methods=["GET", "POST"])
    async def events(stream: EventStream) -> None:
        stream.headers.add("X-A", "b")
        await stream.send((await stream.request.body()).decode() or "nothing")
        await stream.close()
        with pytest.raises(StreamClosed):
            stream.send("late")

    async with serve(router) as server, connect(server) as raw:
        answer = await raw.get("/events")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-a"] == "b"
        assert answer.body == b"data: nothing\n\n"
        raw.send(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
        assert (await raw.answer()).body == b"data: abc\n\n"
        head = await raw.get("/events", method="HEAD")
        assert head.status == 200
        assert (await raw.get("/events")).status == 200


async def test_what_fails_before_the_first_event_is_an_honest_status(caplog: pytest.LogCaptureFixture) -> None:
    router = Router()

    @router.sse("/refused")
    async def refused(stream: EventStream) -> None:
        raise HTTPError(403, "not you")

    @router.sse("/bug")
    async def bug(stream: EventStream) -> None:
        raise RuntimeError("before")

    @router.sse("/empty")
    async def empty(stream: EventStream) -> None:
        pass

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/refused")).body == b"403 Forbidden: not you\n"
        assert caplog.records == []
        assert (await raw.get("/bug")).status == 500
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert (await raw.get("/empty")).status == 200


async def test_what_fails_behind_the_first_event_ends_the_stream_without_an_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Router()

    @router.sse("/bug")
    async def bug(stream: EventStream) -> None:
        await stream.send("a")
        raise RuntimeError("behind")

    @router.sse("/refusal")
    async def refusal(stream: EventStream) -> None:
        await stream.send("a")
        raise HTTPError(403)

    async with serve(router) as server:
        for path in ("/bug", "/refusal"):
            async with connect(server) as raw:
                raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                data = await raw.read_all()
                assert b"data: a\n\n" in data
                assert not data.endswith(b"0\r\n\r\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_tight_producer_starves_nobody_and_ends_with_its_reader() -> None:
    router = Router()
    ended: list[int] = []

    @router.sse("/flood")
    async def flood(stream: EventStream) -> None:
        try:
            while True:
                await stream.send("x" * 1000)
        finally:
            ended.append(1)

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    async with serve(router) as server, connect(server) as reader, connect(server) as other:
        reader.send(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.read(1_000_000)
        assert (await other.get("/")).body == b"hello"
        reader.reset()
        await until(lambda: ended)


async def test_closing_the_server_ends_event_streams() -> None:
    router = Router()

    @router.sse("/")
    async def events(stream: EventStream) -> None:
        await stream.send("a")
        await asyncio.Event().wait()

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await raw.read_until(b"data: a\n\n")
        await server.close(grace=DEADLINE)
        await raw.read_all()
        assert server.connections == 0
