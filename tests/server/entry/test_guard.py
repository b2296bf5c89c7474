"""Who may in: the same question before HTTP, WebSocket and event-stream routes, answered over real sockets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from elio import (
    ConnectionClosedError,
    EventStream,
    HTTPError,
    Identity,
    Request,
    Response,
    Router,
    Server,
    Tickets,
    Unauthorized,
    WebSocket,
    bearer_token,
)
from support.raw import Raw, connect, serve

TOKENS = {"a": "ada", "b": "bob"}


def add_routes(router: Router, prefix: str = "", **options: Any) -> None:
    @router.get(f"{prefix}/page", **options)
    async def page(request: Request) -> Response:
        return Response.text(f"hello {request.user}")

    @router.websocket(f"{prefix}/ws", **options)
    async def ws(ws: WebSocket) -> None:
        assert ws.request is not None
        await ws.send(f"hello {ws.request.user}")

    @router.sse(f"{prefix}/events", **options)
    async def events(stream: EventStream) -> None:
        await stream.send(f"hello {stream.request.user}")


def make_router() -> Router:
    router = Router()

    @router.authenticate
    async def by_token(request: Request) -> str | None:
        await asyncio.sleep(0)
        token = bearer_token(request)
        if token == "banned":
            raise HTTPError(403, "not you")
        return TOKENS.get(token or "")

    add_routes(router)
    add_routes(router, "/open", auth=None)
    add_routes(router, "/other", auth=lambda request: request.query.get("user"))
    return router


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(make_router()) as running:
        yield running


async def hello(raw: Raw, kind: str, target: str, headers: str = "") -> tuple[int, bytes]:
    """Status and what a route of that kind says."""
    if kind != "ws":
        answer = await raw.get(target, headers=headers)
        return answer.status, answer.body
    answer = await raw.upgrade(target, headers=headers)
    return (answer.status, (await raw.receive_frame())[1]) if answer.status == 101 else (answer.status, answer.body)


EACH_KIND = pytest.mark.parametrize(("kind", "ok"), [("page", 200), ("ws", 101), ("events", 200)])


@EACH_KIND
async def test_nobody_is_answered_401_before_anything_is_opened(server: Server, kind: str, ok: int) -> None:
    async with connect(server) as raw:
        for headers in ("", "Authorization: Bearer x\r\n"):
            target = f"/{kind}"
            answer = await (raw.upgrade(target, headers=headers) if kind == "ws" else raw.get(target, headers=headers))
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert (await raw.get("/open/page")).status == 200  # the connection goes on


@EACH_KIND
async def test_who_is_known_is_the_user(server: Server, kind: str, ok: int) -> None:
    async with connect(server) as raw:
        status, body = await hello(raw, kind, f"/{kind}", "Authorization: Bearer a\r\n")
        assert (status, b"hello ada" in body) == (ok, True)


@EACH_KIND
async def test_who_is_known_and_may_not_is_answered_403(server: Server, kind: str, ok: int) -> None:
    async with connect(server) as raw:
        status, body = await hello(raw, kind, f"/{kind}", "Authorization: Bearer banned\r\n")
        assert (status, body) == (403, b"403 Forbidden: not you\n")


@EACH_KIND
async def test_a_route_may_be_open(server: Server, kind: str, ok: int) -> None:
    async with connect(server) as raw:
        status, body = await hello(raw, kind, f"/open/{kind}")
        assert (status, b"hello None" in body) == (ok, True)


@EACH_KIND
async def test_a_route_may_ask_somebody_else(server: Server, kind: str, ok: int) -> None:
    async with connect(server) as raw:
        assert (await hello(raw, kind, f"/other/{kind}"))[0] == 401
        status, body = await hello(raw, kind, f"/other/{kind}?user=eve")
        assert (status, b"hello eve" in body) == (ok, True)


async def ask(authenticate: Any, target: str = "/page") -> tuple[int, bytes, str | None]:
    router = Router()
    router.authenticate(authenticate)
    add_routes(router)
    async with serve(router) as server, connect(server) as raw:
        answer = await raw.get(target)
        return answer.status, answer.body, answer.headers.get("www-authenticate")


async def test_a_comparison_that_fails_lets_nobody_in() -> None:
    assert (await ask(lambda request: "x" == "y"))[0] == 401
    assert (await ask(lambda request: True))[:2] == (200, b"hello True")


async def test_users_may_be_anything_else_that_is_false() -> None:
    assert (await ask(lambda request: 0))[:2] == (200, b"hello 0")


async def test_a_401_has_a_challenge_whoever_raises_it() -> None:
    def without(request: Request) -> None:
        raise HTTPError(401, "who are you?")

    def with_another(request: Request) -> None:
        raise Unauthorized(challenge='Basic realm="site"')

    assert await ask(without) == (401, b"401 Unauthorized: who are you?\n", "Bearer")
    assert await ask(with_another) == (401, b"401 Unauthorized\n", 'Basic realm="site"')


async def test_an_answer_of_its_own_goes_before_the_handler() -> None:
    router = Router()
    router.authenticate(lambda request: Response.redirect("/login"))
    add_routes(router)
    async with serve(router) as server, connect(server) as raw:
        answer = await raw.upgrade("/ws")
        assert (answer.status, answer.headers["location"]) == (303, "/login")


async def test_who_has_expired_already_is_nobody() -> None:
    status, body, challenge = await ask(lambda request: Identity("ada", expires=time.time() - 1))
    assert (status, body, challenge) == (401, b"401 Unauthorized: the authentication has expired\n", "Bearer")


async def test_a_bug_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    def bug(request: Request) -> str:
        raise KeyError("a bug")

    assert (await ask(bug))[0] == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_files_are_guarded_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    router = Router()
    router.authenticate(lambda request: None)
    router.static("/secret", tmp_path)
    router.static("/open", tmp_path, auth=None)
    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/secret/a.txt", method="HEAD")).status == 401
        assert (await raw.get("/secret/a.txt")).status == 401
        assert (await raw.get("/open/a.txt")).status == 200


async def test_it_is_asked_behind_the_middleware_and_before_the_body_is_read() -> None:
    seen: list[str] = []
    router = Router()
    router.cors(allow_origins=["https://example.com"])

    @router.authenticate
    def nobody(request: Request) -> None:
        seen.append("asked")

    @router.post("/")
    async def handler(request: Request) -> Response:
        seen.append("called")
        return Response()

    async with serve(router) as server, connect(server) as raw:
        raw.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.com\r\nContent-Length: 5\r\n\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, "https://example.com")
    assert seen == ["asked"]


async def test_a_mounted_router_asks_the_nearest_function() -> None:
    outer, inner, own = Router(), Router(), Router()
    outer.authenticate(lambda request: "outer")
    own.authenticate(lambda request: "own")
    for router in (outer, inner, own):
        add_routes(router)
    inner.mount("/own", own)
    outer.mount("/inner", inner)
    async with serve(outer) as server, connect(server) as raw:
        found = [(await raw.get(target)).body for target in ("/page", "/inner/page", "/inner/own/page")]
    assert found == [b"hello outer", b"hello outer", b"hello own"]


async def test_what_has_no_route_has_no_secrets() -> None:
    router = Router()
    router.authenticate(lambda request: None)
    add_routes(router)
    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/nothing")).status == 404
        assert (await raw.get("/page", method="OPTIONS")).status == 204


# -- tickets -----------------------------------------------------------------------------------------------------------


async def test_a_ticket_opens_one_connection_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.access")
    tickets = Tickets()
    router = Router()
    router.authenticate(tickets.redeem)

    @router.websocket("/ws", subprotocols=["chat"])
    async def ws(ws: WebSocket) -> None:
        assert ws.request is not None
        await ws.send(f"hello {ws.request.user}")

    ticket = tickets.issue("ada")
    async with serve(router) as server:
        async with connect(server) as raw:
            assert await hello(raw, "ws", f"/ws?a=1&ticket={ticket}") == (101, b"hello ada")
        async with connect(server) as raw:
            assert (await raw.upgrade(f"/ws?a=1&%74icket={ticket}")).status == 401
            second = tickets.issue("bob")
            protocols = f"Sec-WebSocket-Protocol: elio.ticket.{second}, chat\r\n"
            answer = await raw.upgrade("/ws", headers=protocols)
            assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "chat")
    assert [message.split("'")[1] for message in caplog.messages] == [
        "GET /ws?a=1&ticket=...",
        "GET /ws?a=1&%74icket=...",
        "GET /ws",
    ]


# -- the end of an identity --------------------------------------------------------------------------------------------


async def test_a_websocket_is_closed_when_its_user_expires() -> None:
    told: asyncio.Future[ConnectionClosedError] = asyncio.get_running_loop().create_future()
    router = Router()
    router.authenticate(lambda request: Identity("ada", expires=time.time() + 0.2))

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        try:
            async for message in ws:
                await ws.send(message)
        except ConnectionClosedError as error:
            told.set_result(error)

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.upgrade()).status == 101
        assert await raw.receive_close() == (3000, "the authentication has expired")
        raw.frame(0x88, b"\x0b\xb8")
        assert await raw.read_all() == b""
        error = await asyncio.wait_for(told, 10)
        assert (error.code, error.by_peer) == (3000, False)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_an_event_stream_ends_in_order_and_its_reader_then_gets_401(
    caplog: pytest.LogCaptureFixture, stubborn: bool
) -> None:
    users = ["ada"]
    ended = asyncio.Event()
    router = Router()
    router.authenticate(lambda request: Identity(users.pop(), expires=time.time() + 0.3) if users else None)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        try:
            await stream.send("hello")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if stubborn:
                await stream.send("one more")
            raise
        finally:
            ended.set()

    async with serve(router) as server, connect(server) as raw:
        answer = await raw.get("/events")
        assert (answer.status, answer.body) == (200, b"data: hello\n\n")
        await asyncio.wait_for(ended.wait(), 10)
        assert (await raw.get("/events")).status == 401
    assert caplog.records == []


async def test_a_stream_that_has_not_begun_ends_as_well() -> None:
    router = Router()
    router.authenticate(lambda request: Identity("ada", expires=time.time() + 0.1))

    @router.sse("/events", commit_delay=None)
    async def events(stream: EventStream) -> None:
        await asyncio.Event().wait()

    async with serve(router) as server, connect(server) as raw:
        assert (await raw.get("/events")).body == b""


async def test_a_client_may_bring_a_new_token_along() -> None:
    router = Router()

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        assert ws.request is not None
        async for name in ws:
            assert isinstance(name, str)
            ws.renew(Identity(name, expires=time.time() + (0.2 if name == "eve" else 1000)))
            await ws.send(f"hello {ws.request.user}")

    async with serve(router) as server, connect(server) as raw:
        await raw.upgrade()
        for name in (b"ada", b"eve"):
            raw.frame(0x81, name)
            assert await raw.receive_frame() == (0x81, b"hello " + name)
        assert (await raw.receive_close())[0] == 3000
