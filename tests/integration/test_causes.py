"""Every way to end a connection has its cause: on the object, in the exception, in the log, in the counters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import elio
from elio import (
    Cause,
    ConnectionClosed,
    EventStream,
    HTTPError,
    Limits,
    Request,
    Response,
    Router,
    Server,
    StreamClosed,
    WebSocket,
    causes,
)
from support.raw import DEADLINE, Raw, connect, serve, until


@dataclass
class Seen:
    """What handlers have seen of the end."""

    sockets: list[WebSocket] = field(default_factory=list)
    streams: list[EventStream] = field(default_factory=list)
    told: list[Cause | None] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)


def make_router(seen: Seen) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def read(ws: WebSocket) -> None:
        seen.sockets.append(ws)
        try:
            async for message in ws:
                if message == "return":
                    return
                if message == "close":
                    await ws.close(4000, "enough")
                if message == "cut":
                    ws.abort()
                if message == "fail":
                    raise ValueError("no")
                if message == "refuse":
                    raise HTTPError(403, "not you")
        except ConnectionClosed as error:
            seen.told.append(error.cause)

    @router.websocket("/deaf")
    async def deaf(ws: WebSocket) -> None:
        seen.sockets.append(ws)
        await ws.accept()
        await wait()

    @router.websocket("/flood")
    async def flood(ws: WebSocket) -> None:
        seen.sockets.append(ws)
        while True:
            await ws.send(bytes(100_000))

    @router.sse("/sse")
    async def stream(stream: EventStream) -> None:
        seen.streams.append(stream)
        await stream.send("one")
        await wait()

    @router.sse("/sse/short")
    async def short(stream: EventStream) -> None:
        seen.streams.append(stream)
        await stream.send("one")

    @router.sse("/sse/fail")
    async def fail(stream: EventStream) -> None:
        seen.streams.append(stream)
        await stream.send("one")
        raise ValueError("no")

    @router.get("/http")
    async def slow(request: Request) -> Response:
        await wait()
        return Response()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.cancelled += error.args
            raise

    return router


@pytest.fixture
def seen() -> Seen:
    return Seen()


def leave(raw: Raw) -> None:
    raw.send_eof()


def reset(raw: Raw) -> None:
    raw.reset()


def text(message: str) -> Callable[[Raw], None]:
    return lambda raw: raw.frame(0x81, message.encode())


def close_frame(raw: Raw) -> None:
    raw.frame(0x88, b"\x0f\xa0bye")


def bad_opcode(raw: Raw) -> None:
    raw.frame(0x83)


def too_big(raw: Raw) -> None:
    raw.frame(0x82, bytes(1001))


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        (close_frame, causes.PeerClosed(4000, "bye")),
        (leave, causes.PeerDisconnected()),
        (reset, causes.PeerReset()),
        (bad_opcode, causes.ProtocolError("reserved opcode 0x3", 1002)),
        (too_big, causes.OverLimit("max_message_size", 1001, 1000)),
        (text("return"), causes.Closed(1000, "")),
        (text("close"), causes.Closed(4000, "enough")),
        (text("cut"), causes.Aborted()),
        (text("fail"), causes.HandlerError("ValueError")),
        (text("refuse"), causes.Closed(1008, "not you")),
    ],
    ids=lambda value: value.word if isinstance(value, Cause) else None,
)
async def test_a_websocket_knows_why_it_has_ended(
    seen: Seen, act: Callable[[Raw], None], cause: Cause, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="elio.server")
    limits = Limits(max_message_size=1000, close_timeout=0.2)
    async with serve(make_router(seen), limits=limits) as server, connect(server) as raw:
        await raw.upgrade("/ws")
        act(raw)
        await until(lambda: server.counters.ends)
        assert server.counters.ends == {("websocket", cause.word): 1}
        assert seen.sockets[0].cause == cause
        await until(lambda: not server.connections)
    assert all(told == cause for told in seen.told)
    lines = [record for record in caplog.records if " ended after " in record.getMessage()]
    assert [line.getMessage().endswith(f", {cause}") for line in lines] == [True]
    assert "'/ws'" in lines[0].getMessage()
    assert lines[0].levelno == (logging.DEBUG if cause.is_ordinary else logging.INFO)


@pytest.mark.parametrize("act", [leave, reset])
@pytest.mark.parametrize("target", ["/deaf", "/sse", "/http"])
async def test_a_client_that_leaves_cancels_the_handler_with_the_word(
    seen: Seen, act: Callable[[Raw], None], target: str, caplog: pytest.LogCaptureFixture
) -> None:
    word = "peer_disconnected" if act is leave else "peer_reset"
    protocol = {"/deaf": "websocket", "/sse": "sse", "/http": "http"}[target]
    async with serve(make_router(seen)) as server, connect(server) as raw:
        if target == "/deaf":
            await raw.upgrade(target)
        else:
            raw.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await until(lambda: seen.sockets or seen.streams or target == "/http")
        if target == "/sse":
            await raw.read_until(b"data: one\n\n")
        act(raw)
        await until(lambda: seen.cancelled)
        assert seen.cancelled == [word]
        await until(lambda: (protocol, word) in server.counters.ends)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_end_of_the_server_is_a_cause(seen: Seen) -> None:
    async with serve(make_router(seen)) as server:
        async with connect(server) as ws, connect(server) as sse, connect(server) as http:
            await ws.upgrade("/deaf")
            sse.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await sse.read_until(b"data: one\n\n")
            await http.get("/")
            await server.close(grace=0.1)
        ends = server.counters.ends
    assert ends == {("websocket", "drain"): 1, ("sse", "drain"): 1, ("http", "drain"): 2}
    assert sorted(seen.cancelled) == ["drain", "drain"]
    assert seen.streams[0].cause == seen.sockets[0].cause == causes.Drain(returning=False)


async def test_a_reader_that_takes_nothing_is_a_slow_consumer(seen: Seen) -> None:
    async with serve(make_router(seen), limits=Limits(send_timeout=0.1)) as server, connect(server) as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        raw.send(b"")
        await asyncio.sleep(0)
        raw.writer.write(UPGRADE_TO_FLOOD)
        await until(lambda: server.counters.ends)
        cause = seen.sockets[0].cause
        assert isinstance(cause, causes.SlowConsumer)
        assert (cause.bound, cause.allowed) == ("send_timeout", 0.1)
        assert cause.queued > 0
        assert server.counters.limits == {"send_timeout": 1}


UPGRADE_TO_FLOOD = (
    b"GET /flood HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_a_ping_without_an_answer_says_how_it_was(seen: Seen) -> None:
    limits = Limits(ping_interval=0.1, ping_timeout=0.2)
    async with serve(make_router(seen), limits=limits) as server, connect(server) as raw:
        await raw.upgrade("/ws")
        await until(lambda: server.counters.ends)
        cause = seen.sockets[0].cause
        assert isinstance(cause, causes.PingTimeout)
        assert (cause.round_trip, cause.seconds >= 0.2) == (None, True)
        assert server.counters.limits == {"ping_timeout": 1}
        assert seen.told == [cause]


@pytest.mark.parametrize(
    ("target", "word"), [("/sse/short", "closed"), ("/sse/fail", "handler_error")], ids=["returned", "failed"]
)
async def test_an_event_stream_knows_why_it_has_ended(seen: Seen, target: str, word: str) -> None:
    async with serve(make_router(seen)) as server, connect(server) as raw:
        raw.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await raw.read_until(b"data: one\n\n")
        await until(lambda: server.counters.ends)
        assert server.counters.ends.get(("sse", word)) == 1
        stream = seen.streams[0]
        assert stream.cause is not None
        assert stream.cause.word == word
        with pytest.raises(StreamClosed) as caught:
            stream.send("two")
        assert caught.value.cause == stream.cause


async def end_of(server: Server) -> str:
    await until(lambda: server.counters.ends)
    [(protocol, word)] = server.counters.ends
    assert protocol == "http"
    return word


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "closed"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "idle_timeout"),
        (b"GET / HTTP/1.1\r\nHos", "request_timeout"),
        (b"", "request_timeout"),
        (b"nonsense\r\n\r\n", "protocol_error"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n", "over_limit"),
    ],
    ids=["closed", "idle", "half a head", "nothing", "nonsense", "too many headers"],
)
async def test_an_http_connection_knows_why_it_has_ended(seen: Seen, data: bytes, word: str) -> None:
    limits = Limits(headers_timeout=0.1, keep_alive_timeout=0.1)
    async with serve(make_router(seen), limits=limits) as server, connect(server) as raw:
        raw.send(data)
        await raw.read_all()
        raw.send_eof()
        assert await end_of(server) == word


async def test_a_client_knows_it_too(seen: Seen) -> None:
    async with serve(make_router(seen)) as server:
        async with elio.connect(f"ws://127.0.0.1:{server.port}/ws") as ws:
            await ws.send("close")
            with pytest.raises(ConnectionClosed) as caught:
                async with asyncio.timeout(DEADLINE):
                    await ws.receive()
        assert caught.value.cause == ws.cause == causes.PeerClosed(4000, "enough")
