"""``connect``: its options, its three forms, coming back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import elio
from elio import (
    Change,
    ConfigurationError,
    ConnectError,
    ConnectionClosed,
    ConnectionState,
    DeflateOptions,
    HandshakeError,
    InvalidHeader,
    InvalidURL,
    Limits,
    LocalProtocolError,
    Reconnect,
    Request,
    Response,
    Router,
    Server,
    StreamClosed,
    WebSocket,
)
from elio.version import VERSION
from elio.websocket.handshake import accept_key
from support.clock import VirtualLoop
from support.raw import serve, until

QUICK = Reconnect(first_delay=0.001, max_delay=0.002, restart_delay=(0.0, 0.001))


class Place:
    """An echo server that remembers what it was asked and how its connections ended."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.ends: list[tuple[int | None, str | None]] = []
        self.got: list[str | bytes] = []
        self.router = Router()
        self.router.websocket("/ws", subprotocols=["chat", "json"], origins=["*"])(self.echo)
        self.router.get("/moved")(self.moved)

    async def echo(self, ws: WebSocket) -> None:
        if ws.request is not None:
            self.requests.append(ws.request)
        try:
            async for message in ws:
                self.got.append(message)
                await ws.send(message)
        finally:
            self.ends.append((ws.close_code, ws.close_reason))

    async def moved(self, request: Request) -> Response:
        return Response.redirect("/ws", status=307)


@pytest.fixture
def place() -> Place:
    return Place()


def url_of(server: Server, path: str = "/ws") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


# -- three forms -------------------------------------------------------------------------------------------------------


async def test_as_a_context_manager(place: Place) -> None:
    async with serve(place.router) as server:
        async with elio.connect(url_of(server)) as ws:
            await ws.send("text")
            await ws.send(b"bytes")
            assert [await ws.receive(), await ws.receive()] == ["text", b"bytes"]
            assert repr(ws) == "<WebSocket client open>"
        assert (ws.is_open, ws.close_code, ws.end) == (False, 1000, None)
        await until(lambda: place.ends == [(1000, "")])


async def test_by_awaiting_it(place: Place) -> None:
    async with serve(place.router) as server:
        connector = elio.connect(url_of(server))
        first, second = await connector, await connector
        assert first is not second
        await first.close()
        await second.close(4000, "enough")
        await until(lambda: place.ends == [(1000, ""), (4000, "enough")])


async def test_a_block_that_raises_says_so(place: Place) -> None:
    async with serve(place.router) as server:
        with pytest.raises(ZeroDivisionError):
            async with elio.connect(url_of(server)):
                raise ZeroDivisionError
        await until(lambda: place.ends == [(1011, "")])


async def test_a_block_that_is_cancelled_says_so(place: Place) -> None:
    async with serve(place.router) as server:
        entered = asyncio.Event()

        async def program() -> None:
            async with elio.connect(url_of(server)):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(program())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: place.ends == [(1001, "")])


async def test_a_block_is_entered_once(place: Place) -> None:
    async with serve(place.router) as server:
        connector = elio.connect(url_of(server))
        async with connector:
            with pytest.raises(LocalProtocolError, match="begun already"):
                await connector.__aenter__()


async def test_as_an_iteration_that_is_left(place: Place) -> None:
    changes: list[Change] = []
    async with serve(place.router) as server:
        async for ws in elio.connect(url_of(server), on_change=changes.append):
            await ws.send("hi")
            assert await ws.receive() == "hi"
            break
        await until(lambda: place.ends == [(1000, "")])
        await until(lambda: len(changes) == 3)
    assert [change.state.value for change in changes] == ["connecting", "open", "closed"]


# -- options -----------------------------------------------------------------------------------------------------------


async def test_what_is_sent_by_default(place: Place) -> None:
    async with serve(place.router) as server, elio.connect(url_of(server)):
        pass
    headers = place.requests[0].headers
    assert headers["user-agent"] == f"elio/{VERSION}"
    assert headers["sec-websocket-extensions"].startswith("permessage-deflate")
    assert not any(name in headers for name in ("origin", "authorization", "sec-websocket-protocol", "cookie"))


async def test_options_become_headers(place: Place) -> None:
    async with serve(place.router) as server:
        options: dict[str, Any] = {
            "subprotocols": ["json", "chat"],
            "origin": "https://example.com",
            "headers": [("X-One", "1"), ("X-One", "2")],
            "user_agent": "robot",
            "auth": ("me", "secret"),
            "compression": False,
        }
        async with elio.connect(url_of(server), **options) as ws:
            assert ws.subprotocol == "json"
            assert ws.response_headers is not None
            assert ws.response_headers["sec-websocket-protocol"] == "json"
    headers = place.requests[0].headers
    assert headers.get_all("x-one") == ["1", "2"]
    assert headers["origin"] == "https://example.com"
    assert headers["user-agent"] == "robot"
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert "sec-websocket-extensions" not in headers


async def test_a_user_in_the_url_a_token_and_no_user_agent(place: Place) -> None:
    async with serve(place.router) as server:
        async with elio.connect(f"ws://me:secret@127.0.0.1:{server.port}/ws"):
            pass
        async with elio.connect(url_of(server), auth="token", user_agent=None, headers={"Host": "localhost"}):
            pass
    assert place.requests[0].headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert place.requests[1].headers["authorization"] == "Bearer token"
    assert place.requests[1].headers["host"] == "localhost"
    assert "user-agent" not in place.requests[1].headers


async def test_compression_is_offered_as_told(place: Place) -> None:
    async with serve(place.router) as server:
        options = DeflateOptions(client_max_window_bits=9)
        async with elio.connect(url_of(server), compression=options) as ws:
            await ws.send("abc" * 1000)
            assert await ws.receive() == "abc" * 1000
    assert "client_max_window_bits=9" in place.requests[0].headers["sec-websocket-extensions"]


async def test_bounds_by_name_and_as_limits(place: Place) -> None:
    async with serve(place.router) as server:
        async with elio.connect(url_of(server), limits=Limits(max_message_size=10), compression=False) as ws:
            await ws.send("x" * 11)
            with pytest.raises(ConnectionClosed, match="message of 11 bytes, limit 10"):
                await ws.receive()
        async with elio.connect(url_of(server), limits=Limits(max_queue=1), max_message_size=None) as ws:
            assert (ws.runtime.limits.max_message_size, ws.runtime.limits.max_queue) == (None, 1)
    with pytest.raises(ConfigurationError, match="ping_interval is 0"):
        elio.connect("ws://localhost/", ping_interval=0)


async def test_redirects_are_followed_with_a_new_key(place: Place) -> None:
    keys: list[str] = []

    async def moved(request: Request) -> Response:
        keys.append(request.headers["sec-websocket-key"])
        return await place.moved(request)

    place.router.get("/again")(moved)
    async with serve(place.router) as server:
        async with elio.connect(url_of(server, "/again")) as ws:
            await ws.send("hi")
            assert await ws.receive() == "hi"
        with pytest.raises(HandshakeError, match="redirect number 1, limit 0") as caught:
            await elio.connect(url_of(server, "/again"), limits=Limits(max_redirects=0))
        assert caught.value.status == 307
    assert place.requests[0].headers["sec-websocket-key"] != keys[0]


async def test_a_refusal_carries_status_headers_and_body(place: Place) -> None:
    async with serve(place.router) as server:
        with pytest.raises(HandshakeError, match="status 404 instead of 101") as caught:
            await elio.connect(url_of(server, "/nowhere"))
    assert (caught.value.status, caught.value.body) == (404, b"404 Not Found\n")
    assert dict(caught.value.headers)["Content-Type"] == "text/plain; charset=utf-8"


async def test_over_a_unix_socket_and_over_one_at_hand(place: Place, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    async with serve(place.router, uds=path) as server:
        near = socket.socket(socket.AF_UNIX)
        near.connect(path)
        for connector in (
            elio.connect(f"ws+unix://{path}:/ws"),
            elio.connect("ws://localhost/ws", uds=path),
            elio.connect("ws://localhost/ws", sock=near),
        ):
            async with connector as ws:
                await ws.send("hi")
                assert await ws.receive() == "hi"
        assert server.urls == [f"unix:{path}"]


@pytest.mark.parametrize("url", ["http://localhost/", "https://localhost/", "ws://", "localhost:80", "ws://a/#b"])
async def test_urls_of_something_else_are_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        elio.connect(url)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"Upgrade": "x"}},
        {"headers": {"Sec-WebSocket-Key": "x"}},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a", "a"]},
        {"origin": "a\nb"},
        {"user_agent": "a\nb"},
        {"auth": ("a:b", "c")},
        {"auth": "a\nb"},
    ],
)
async def test_headers_that_would_break_the_wire_are_refused_before_anything_is_opened(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeader):
        elio.connect("ws://localhost/", **options)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ConnectError, match="cannot connect"):
        await elio.connect(f"ws://127.0.0.1:{port}/")


# -- coming back -------------------------------------------------------------------------------------------------------


def in_virtual_time(program: Callable[[], Awaitable[None]]) -> float:
    """Run a program in which sleeping takes no time; returns the seconds that passed in it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        before = loop.time()

        async def run() -> None:
            await program()

        runner.run(run())
        return loop.time() - before


def test_ninety_seconds_of_backoff_take_none() -> None:
    waits: list[float] = []

    def note(change: Change) -> None:
        if change.state is ConnectionState.WAITING:
            waits.append(change.delay)

    async def program() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        policy = Reconnect(first_delay=8.0, max_attempts=9)
        with pytest.raises(ConnectError, match="refused"):
            async for _ in elio.connect(f"ws://127.0.0.1:{port}/", reconnect=policy, on_change=note):
                pass

    passed = 0.0
    while passed < 90.0:  # full jitter: nearly always one round
        passed += in_virtual_time(program)
    assert len(waits) % 8 == 0
    assert all(0 <= wait <= 60 for wait in waits)


def test_it_comes_back_to_a_server_that_comes_back() -> None:
    place = Place()
    changes: list[Change] = []

    async def program() -> None:
        server = Server(place.router, port=0)
        await server.start()
        port = server.port
        seen = 0
        async for ws in elio.connect(url_of(server), on_change=changes.append):
            await ws.send(f"message {seen}")
            assert await ws.receive() == f"message {seen}"
            seen += 1
            if seen == 3:
                break
            await server.drain(window=0.0, returning=True)
            with pytest.raises(ConnectionClosed):
                await ws.receive()
            server = Server(place.router, port=port)
            await server.start()
        await server.close()

    passed = in_virtual_time(program)
    assert place.got == ["message 0", "message 1", "message 2"]
    waits = [change for change in changes if change.state is ConnectionState.WAITING]
    assert len(waits) == 2
    assert all(5.0 <= wait.delay <= 30.0 for wait in waits)  # close code 1012 asks for that
    assert all(isinstance(wait.error, ConnectionClosed) and wait.error.code == 1012 for wait in waits)
    assert passed >= 10.0


def test_retry_after_is_honoured() -> None:
    router = Router()
    answers = iter([503, 101])

    @router.get("/ws")
    async def busy(request: Request) -> Response:
        return Response("busy", status=503, headers={"Retry-After": "120"})

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        if next(answers) == 503:
            await ws.reject(503, "busy", {"Retry-After": "120"})
        async for _ in ws:
            pass

    async def program() -> None:
        async with serve(router) as server:
            async for ws in elio.connect(url_of(server)):
                assert ws.is_open
                break

    assert in_virtual_time(program) >= 120.0


def test_what_is_fatal_ends_the_iteration() -> None:
    changes: list[Change] = []

    async def program() -> None:
        async with serve(Router()) as server:
            with pytest.raises(HandshakeError, match="404"):
                async for _ in elio.connect(url_of(server), on_change=changes.append):
                    pass

    in_virtual_time(program)
    assert [change.state.value for change in changes] == ["connecting", "closed"]
    assert isinstance(changes[-1].error, HandshakeError)


def test_who_decides_what_is_fatal_can_be_replaced() -> None:
    told: list[Exception] = []

    def decide(error: Exception) -> bool:
        told.append(error)
        return len(told) == 3

    async def program() -> None:
        async with serve(Router()) as server:
            with pytest.raises(HandshakeError):
                async for _ in elio.connect(url_of(server), reconnect=Reconnect(is_fatal=decide)):
                    pass

    in_virtual_time(program)
    assert len(told) == 3


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_what_was_queued_arrives_once_after_a_restart(place: Place, kept_port: int) -> None:
    server = Server(place.router, port=kept_port)
    await server.start()
    changes: list[Change] = []
    connector = elio.connect(url_of(server), keep=100, reconnect=QUICK, on_change=changes.append)

    async def iterate() -> None:
        async for ws in connector:
            try:
                async for _ in ws:
                    pass
            except ConnectionClosed:
                continue

    task = asyncio.ensure_future(iterate())
    for number in range(10):  # some of them before there is a connection
        await connector.send(f"{number}")
    await connector.flush()
    await server.drain(window=0.0, returning=True)
    for number in range(10, 20):  # nobody is there
        await connector.send(f"{number}")
    assert connector.kept == 10
    server = Server(place.router, port=kept_port)
    await server.start()
    for number in range(20, 30):
        await connector.send(f"{number}")
    await connector.flush()
    assert place.got == [str(number) for number in range(30)]
    assert [change.state for change in changes].count(ConnectionState.OPEN) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: changes[-1].state is ConnectionState.CLOSED)
    with pytest.raises(StreamClosed):
        await connector.send("late")
    await server.close()


async def test_what_a_broken_connection_took_is_sent_again(place: Place) -> None:
    async with serve(place.router) as server:
        connector = elio.connect(url_of(server), keep=10, reconnect=QUICK)
        rounds = 0
        async for ws in connector:
            rounds += 1
            await connector.send(f"round {rounds}")
            if rounds < 3:
                ws.abort()  # the message is on its way at most
                await ws.wait_closed()
                continue
            await connector.flush()
            break
        assert connector.kept == 0
    order = list(dict.fromkeys(place.got))
    assert order == ["round 1", "round 2", "round 3"]


async def test_without_keep_nothing_is_kept() -> None:
    connector = elio.connect("ws://localhost/")
    assert connector.kept == 0
    assert repr(connector) == "<Connector ws://localhost/>"
    with pytest.raises(LocalProtocolError, match="how many messages to keep"):
        await connector.send("x")
    with pytest.raises(LocalProtocolError, match="how many messages to keep"):
        await connector.flush()


async def test_who_does_not_wait_for_the_closing_handshake_leaves_nothing_open() -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line for line in head.splitlines() if line.lower().startswith("sec-websocket-key:"))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_key(key.partition(": ")[2]).encode()
        )
        await reader.readexactly(8)  # the close frame, which nobody answers
        asked.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        gone.set()

    async def client(port: int) -> None:
        async with elio.connect(f"ws://127.0.0.1:{port}/"):
            pass

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server, asyncio.timeout(20):
        task = asyncio.create_task(client(server.sockets[0].getsockname()[1]))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()
