"""What is weak in the C++ library's WebSocket server and is not here: handshake, frames, close, sending, pings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

import elio
from elio import ConnectionClosed, ConnectionClosedError, HTTPError, Limits, LocalProtocolError, Router, WebSocket
from support.frames import frame, header
from support.raw import HANDSHAKE, Raw, connect, serve, until

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
BEGIN, CONTINUE, END = 0x01, 0x00, 0x80
QUICK = Limits(close_timeout=0.2, commit_delay=0.05, send_timeout=0.3)


class Room:
    """A router with an echo at ``/ws``, and how its connections ended."""

    def __init__(self) -> None:
        self.router = Router()
        self.ends: list[tuple[int | None, str | None, Exception | None]] = []
        self.router.websocket("/ws", subprotocols=["chat", "json"])(self.echo)

    async def echo(self, ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(await ws.receive())
        except ConnectionClosed as closed:
            self.ends.append((ws.close_code, ws.close_reason, closed))


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
async def raw(room: Room) -> AsyncIterator[Raw]:
    """A connection whose opening handshake is done."""
    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        assert (await raw.upgrade()).status == 101
        yield raw


# -- opening handshake -------------------------------------------------------------------------------------------------


async def test_another_version_is_426_and_told_which_one_is_spoken(room: Room) -> None:
    async with serve(room.router) as server, connect(server) as raw:
        raw.send(HANDSHAKE.replace(b"Version: 13", b"Version: 8") % (b"/ws", b""))
        answer = await raw.answer()
        assert answer.status == 426
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"HTTP/1.1", b"HTTP/1.0", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZQ==", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZ!==", 400),
        (b"GET", b"POST", 426),
    ],
)
async def test_a_bad_handshake_is_refused_with_a_reason(room: Room, old: bytes, new: bytes, status: int) -> None:
    async with serve(room.router) as server, connect(server) as raw:
        raw.send((HANDSHAKE % (b"/ws", b"")).replace(old, new, 1))
        answer = await raw.answer()
        assert answer.status in (status, 426)
        assert answer.body.strip()


async def test_the_101_has_a_date_like_every_other_answer(room: Room) -> None:
    async with serve(room.router) as server, connect(server) as raw:
        assert "date" in (await raw.upgrade()).headers


async def test_another_origin_is_403_unless_it_is_allowed(room: Room) -> None:
    for allowed, status in ((None, 403), (["https://example.com"], 101), (["https://example.org"], 403)):
        async with serve(room.router, origins=allowed) as server, connect(server) as raw:
            assert (await raw.upgrade(headers="Origin: https://example.com\r\n")).status == status


async def test_compression_is_agreed_on_when_it_is_offered(room: Room) -> None:
    async with serve(room.router) as server, connect(server) as raw:
        answer = await raw.upgrade(headers="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
        assert answer.headers["sec-websocket-extensions"].startswith("permessage-deflate")


async def test_a_get_route_and_a_websocket_route_share_a_path(room: Room) -> None:
    @room.router.get("/ws")
    async def page(request: elio.Request) -> elio.Response:
        return elio.Response.text("a page")

    async with serve(room.router) as server, connect(server) as raw:
        assert (await raw.get("/ws")).body == b"a page"
        assert (await raw.upgrade("/ws")).status == 101


async def test_the_handler_sees_who_asked_and_for_what(room: Room) -> None:
    told: list[object] = []

    @room.router.websocket("/rooms/:name")
    async def note(ws: WebSocket) -> None:
        request = ws.request
        assert request is not None
        told.extend([ws.params, request.query.get("q"), request.cookies, request.headers["x-token"]])
        told.append(request.client.startswith("127.0.0.1:"))

    async with serve(room.router) as server, connect(server) as raw:
        headers = "X-Token: secret\r\nCookie: a=1\r\n"
        assert (await raw.upgrade("/rooms/caf%C3%A9?q=x+y", headers=headers)).status == 101
        assert await raw.receive_close() == (1000, "")
    assert told == [{"name": "café"}, "x y", {"a": "1"}, "secret", True]


async def test_a_handler_may_refuse_before_the_101_or_add_headers_to_it(room: Room) -> None:
    @room.router.websocket("/guarded")
    async def guarded(ws: WebSocket) -> None:
        assert ws.request is not None
        if "authorization" not in ws.request.headers:
            raise HTTPError(401, "who are you?", headers=[("WWW-Authenticate", "Basic")])
        await ws.accept(headers={"Set-Cookie": "seen=1"})

    async with serve(room.router) as server, connect(server) as raw:
        answer = await raw.upgrade("/guarded")
        assert (answer.status, answer.headers["www-authenticate"], answer.body) == (401, "Basic", b"who are you?")
        answer = await raw.upgrade("/guarded", headers="Authorization: Basic eDp5\r\n")
        assert (answer.status, answer.headers["set-cookie"]) == (101, "seen=1")


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(0x83), 1002),
        (frame(0xC1), 1002),
        (frame(CONTINUE), 1002),
        (frame(0x09), 1002),
        (header(PING, 126, masked=True) + b"1234", 1002),
        (header(TEXT, 5, masked=True, form=126) + b"1234", 1002),
        (frame(TEXT, b"x", key=None), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(CLOSE, b"\x03\xee"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (header(BINARY, 2 * 1024 * 1024, masked=True), 1009),
    ],
)
async def test_messages_before_a_bad_frame_are_delivered(raw: Raw, bad: bytes, code: int) -> None:
    raw.send(frame(TEXT, b"GOOD") + frame(BINARY, b"also good") + bad)
    assert await raw.receive_frame() == (TEXT, b"GOOD")
    assert await raw.receive_frame() == (BINARY, b"also good")
    found, reason = await raw.receive_close()
    assert found == code
    assert reason
    raw.send_eof()
    assert await raw.read_all() == b""


async def test_messages_behind_the_handshake_and_before_a_bad_frame_are_delivered(room: Room) -> None:
    received: list[str | bytes] = []

    @room.router.websocket("/note")
    async def note(ws: WebSocket) -> None:
        with suppress(ConnectionClosed):
            while True:
                received.append(await ws.receive())

    async with serve(room.router) as server, connect(server) as raw:
        await raw.upgrade("/note", behind=frame(TEXT, b"GOOD") + frame(BINARY, b"also good") + frame(0x83))
        assert (await raw.receive_close())[0] == 1002
        await until(lambda: len(received) == 2)
    assert received == ["GOOD", b"also good"]


@pytest.mark.parametrize("start", [b"ok\xff", b"ok\xed\xa0", b"ok\xc0\x80", b"ok\xf4\x90"])
async def test_bad_utf_8_fails_at_its_first_byte_inside_an_unfinished_frame(raw: Raw, start: bytes) -> None:
    whole = frame(TEXT, start + b"x" * 60_000)
    raw.send(whole[: len(whole) - 60_000])
    assert (await raw.receive_close())[0] == 1007


async def test_bad_utf_8_fails_in_its_fragment_before_the_message_ends(raw: Raw) -> None:
    raw.send(frame(BEGIN, "é".encode()[:1]) + frame(CONTINUE, b"\x20"))
    assert (await raw.receive_close())[0] == 1007


async def test_messages_keep_their_kind_and_their_order_whatever_stands_between_them(raw: Raw) -> None:
    sent = [(TEXT, b"1"), (PING, b"2"), (BINARY, b"3\x00\xff"), (PING, b"4"), (TEXT, "5é".encode()), (BINARY, b"")]
    raw.send(b"".join(frame(head, payload) for head, payload in sent))
    received = [await raw.receive_frame() for _ in sent]
    assert [each for each in received if each[0] != PONG] == [each for each in sent if each[0] != PING]
    assert [payload for head, payload in received if head == PONG] == [b"2", b"4"]


async def test_control_frames_between_fragments_do_not_disturb(raw: Raw) -> None:
    raw.send(frame(BEGIN, b"a") + frame(PING, b"p") + frame(CONTINUE, b"b") + frame(PONG) + frame(END, b"c"))
    assert await raw.receive_frame() == (PONG, b"p")
    assert await raw.receive_frame() == (TEXT, b"abc")


# -- close -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [(b"\x03\xe8", 1000, ""), (b"\x0f\xa0too late", 4000, "too late"), (b"\x0b\xb8\xc3\xa9", 3000, "é")],
)
async def test_the_handler_sees_code_and_reason_of_the_peer(
    room: Room, raw: Raw, payload: bytes, code: int, reason: str
) -> None:
    raw.frame(CLOSE, payload)
    assert (await raw.receive_close())[0] == code
    await until(lambda: room.ends)
    assert room.ends[0][:2] == (code, reason)


async def test_a_close_without_a_code_is_1005_to_the_handler(room: Room, raw: Raw) -> None:
    raw.frame(CLOSE)
    assert (await raw.receive_frame())[0] == CLOSE
    await until(lambda: room.ends)
    assert room.ends[0][:2] == (1005, "")


async def test_the_cause_of_a_lost_connection_is_told(room: Room, raw: Raw) -> None:
    raw.reset()
    await until(lambda: room.ends)
    code, _, closed = room.ends[0]
    assert code == 1006
    assert isinstance(closed, ConnectionClosedError)
    assert closed.code == 1006


async def test_the_violation_of_the_peer_is_told(room: Room, raw: Raw) -> None:
    raw.frame(0x83)
    await until(lambda: room.ends)
    closed = room.ends[0][2]
    assert isinstance(closed, ConnectionClosedError)
    assert isinstance(closed.__cause__, elio.RemoteProtocolError)
    assert "reserved opcode 0x3" in str(closed)


async def test_close_waits_for_the_closing_handshake_and_closes_the_stream_then(room: Room) -> None:
    steps: list[str] = []

    @room.router.websocket("/close")
    async def close(ws: WebSocket) -> None:
        await ws.accept()
        steps.append("closing")
        await ws.close(4000, "enough")
        steps.append(f"closed with {ws.close_code}")

    async with serve(room.router) as server, connect(server) as raw:
        await raw.upgrade("/close")
        assert await raw.receive_close() == (4000, "enough")
        assert steps == ["closing"]
        raw.frame(CLOSE, b"\x0f\xa0")
        assert await raw.read_all() == b""
        await until(lambda: steps[1:])
    assert steps == ["closing", "closed with 4000"]


async def test_a_peer_that_never_answers_a_close_is_cut_after_its_time(room: Room) -> None:
    codes: list[int | None] = []

    @room.router.websocket("/close")
    async def close(ws: WebSocket) -> None:
        await ws.close()
        codes.append(ws.close_code)

    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        await raw.upgrade("/close")
        assert await raw.receive_close() == (1000, "")
        assert await raw.read_all() == b""
        await until(lambda: codes)
    assert codes == [1006]


@pytest.mark.parametrize(
    ("code", "reason"),
    [*((code, "") for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)), (1000, "x" * 124), (1000, "é" * 62)],
)
async def test_what_no_close_frame_may_carry_raises_and_nothing_is_sent(room: Room, code: int, reason: str) -> None:
    @room.router.websocket("/illegal")
    async def illegal(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.close(code, reason)
        assert ws.is_open
        await ws.send("still open")
        await ws.close(1000, "x" * 123)

    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        await raw.upgrade("/illegal")
        assert await raw.receive_frame() == (TEXT, b"still open")
        assert await raw.receive_close() == (1000, "x" * 123)


async def test_a_handler_that_returns_is_1000_and_one_that_fails_1011(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    @room.router.websocket("/return")
    async def nothing(ws: WebSocket) -> None:
        await ws.receive()

    @room.router.websocket("/fail")
    async def fail(ws: WebSocket) -> None:
        await ws.receive()
        raise RuntimeError("a bug")

    async with serve(room.router, limits=QUICK) as server:
        for path, code in (("/return", 1000), ("/fail", 1011)):
            async with connect(server) as raw:
                await raw.upgrade(path, behind=frame(TEXT, b"go"))
                assert await raw.receive_close() == (code, "")
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a bug"]


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_what_is_no_utf_8_or_too_long_a_ping_raises_and_the_connection_goes_on(room: Room) -> None:
    @room.router.websocket("/bad")
    async def bad(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.send("lone surrogate \ud800")
        with pytest.raises(LocalProtocolError):
            await ws.ping(b"x" * 126)
        await ws.send("fine")

    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        await raw.upgrade("/bad")
        assert await raw.receive_frame() == (TEXT, b"fine")
        assert await raw.receive_close() == (1000, "")


async def test_a_message_can_be_sent_in_fragments_while_it_is_made(room: Room) -> None:
    async def parts() -> AsyncIterator[str]:
        for part in ("one", "two", "three"):
            yield part

    @room.router.websocket("/parts")
    async def send(ws: WebSocket) -> None:
        await ws.send_fragments(parts())

    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        await raw.upgrade("/parts")
        frames = [await raw.receive_frame() for _ in range(4)]
        assert [head for head, _ in frames] == [BEGIN, CONTINUE, CONTINUE, END]
        assert b"".join(payload for _, payload in frames) == b"onetwothree"


async def test_a_peer_that_takes_nothing_is_cut_off_in_time(room: Room) -> None:
    ended: list[int | None] = []

    @room.router.websocket("/flood")
    async def flood(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(b"x" * 65536)
        finally:
            ended.append(ws.close_code)

    async with serve(room.router, limits=QUICK) as server, connect(server) as raw:
        await raw.upgrade("/flood")
        await until(lambda: ended)
    assert ended == [1006]


async def test_a_broadcast_reaches_everyone_whoever_leaves_meanwhile(room: Room) -> None:
    members: set[WebSocket] = set()

    @room.router.websocket("/all")
    async def join(ws: WebSocket) -> None:
        await ws.accept()
        members.add(ws)
        try:
            async for message in ws:
                elio.broadcast(members, message)
        except ConnectionClosed:
            pass
        finally:
            members.discard(ws)

    async with (
        serve(room.router, limits=QUICK) as server,
        connect(server) as first,
        connect(server) as second,
        connect(server) as third,
    ):
        for raw in (first, second, third):
            await raw.upgrade("/all")
        await until(lambda: len(members) == 3)
        third.reset()
        first.frame(TEXT, b"one")
        for raw in (first, second):
            assert await raw.receive_frame() == (TEXT, b"one")
        await until(lambda: len(members) == 2)
        second.frame(BINARY, b"two")
        for raw in (first, second):
            assert await raw.receive_frame() == (BINARY, b"two")


# -- keep-alive pings --------------------------------------------------------------------------------------------------


async def test_pings_come_at_every_interval_however_long_the_time_out_is(room: Room) -> None:
    async with (
        serve(room.router, limits=Limits(ping_interval=0.05, ping_timeout=60.0)) as server,
        connect(server) as raw,
    ):
        await raw.upgrade()
        for _ in range(5):  # a period of interval and time-out together would be a minute
            head, payload = await raw.receive_frame()
            assert head == PING
            raw.frame(PONG, payload)


async def test_pongs_are_seen_while_the_handler_only_sends(room: Room) -> None:
    latencies: list[float | None] = []

    @room.router.websocket("/ticker")
    async def ticker(ws: WebSocket) -> None:
        with suppress(ConnectionClosed):
            while True:
                await ws.send("tick")
                latencies.append(ws.latency)
                await asyncio.sleep(0.01)

    async with (
        serve(room.router, limits=Limits(ping_interval=0.05, ping_timeout=0.3)) as server,
        connect(server) as raw,
    ):
        await raw.upgrade("/ticker")
        pings = 0
        while pings < 10:
            head, payload = await raw.receive_frame()
            if head == PING:
                pings += 1
                raw.frame(PONG, payload)
            else:
                assert head == TEXT
    assert latencies[-1] is not None
    assert 0 < latencies[-1] < 1


async def test_pongs_are_seen_while_the_handler_does_something_else(room: Room) -> None:
    proceed = asyncio.Event()

    @room.router.websocket("/busy")
    async def busy(ws: WebSocket) -> None:
        message = await ws.receive()
        await proceed.wait()
        await ws.send(message)

    async with (
        serve(room.router, limits=Limits(ping_interval=0.05, ping_timeout=0.3)) as server,
        connect(server) as raw,
    ):
        await raw.upgrade("/busy", behind=frame(TEXT, b"work"))
        for _ in range(10):
            head, payload = await raw.receive_frame()
            assert head == PING
            raw.frame(PONG, payload)
        proceed.set()
        while (received := await raw.receive_frame())[0] == PING:
            raw.frame(PONG, received[1])
        assert received == (TEXT, b"work")


async def test_any_traffic_counts_as_life(room: Room) -> None:
    async with (
        serve(room.router, limits=Limits(ping_interval=0.05, ping_timeout=0.3)) as server,
        connect(server) as raw,
    ):
        await raw.upgrade()
        pings = 0
        raw.frame(TEXT, b"here")
        while pings < 10:  # none of which is answered
            head, payload = await raw.receive_frame()
            if head == TEXT:
                await asyncio.sleep(0.01)
                raw.frame(TEXT, payload)
            pings += head == PING


async def test_a_silent_peer_gets_a_close_frame_that_says_why(room: Room) -> None:
    async with (
        serve(room.router, limits=Limits(ping_interval=0.05, ping_timeout=0.1)) as server,
        connect(server) as raw,
    ):
        await raw.upgrade()
        while (received := await raw.receive_frame())[0] == PING:
            pass
        assert received == (CLOSE, b"\x03\xf3keep-alive ping timed out")
        assert await raw.read_all() == b""


# -- what is logged ----------------------------------------------------------------------------------------------------


async def test_mistakes_and_departures_of_peers_are_no_errors_of_ours(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="elio")
    async with serve(room.router, limits=QUICK) as server:
        for data in (frame(0x83), frame(TEXT, b"\xff"), frame(CLOSE, b"\x00\x00"), header(TEXT, 1 << 40, masked=True)):
            async with connect(server) as raw:
                await raw.upgrade(behind=data)
                assert (await raw.receive_close())[0] in (1002, 1007, 1009)
        async with connect(server) as raw:
            await raw.upgrade()
            raw.reset()
        await until(lambda: len(room.ends) == 5)
        async with connect(server) as raw:
            raw.send(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert (await raw.answer()).status == 400
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
