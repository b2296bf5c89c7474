"""The half of a WebSocket that a program talks to."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

import pytest

from elio.auth.identity import Identity
from elio.errors import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    LocalProtocolError,
)
from elio.limits import Limits
from elio.session import WebSocket
from elio.websocket.connection import Role
from support.frames import frame
from support.raw import until
from support.sessions import FakeOpening, Session

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
place: ContextVar[str] = ContextVar("place", default="nowhere")

Make = Callable[..., Session]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Session] = []

    def build(**options: object) -> Session:
        made.append(Session(**options))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for session in made:
        await session.lose()
        session.close()


@pytest.fixture
async def session(make: Make) -> Session:
    return make()


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


# -- receiving ---------------------------------------------------------------------------------------------------------


async def test_text_is_str_and_binary_is_bytes(session: Session) -> None:
    await session.feed(frame(TEXT, "grüß".encode()) + frame(BINARY, b"\x00\x01"))
    assert await session.ws.receive() == "grüß"
    assert await session.ws.receive() == b"\x00\x01"


async def test_a_waiting_handler_runs_inside_the_read_and_its_answer_leaves_with_it(session: Session) -> None:
    async def echo() -> None:
        async for message in session.ws:
            await session.ws.send(message)

    task = asyncio.create_task(echo())
    await asyncio.sleep(0)
    answered: list[bytes] = []

    def read() -> None:
        session.ws.data_received(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c"))
        answered.extend(session.stream.writes)

    await session.call(read)
    assert answered == [b"\x81\x01a\x81\x01b\x81\x01c"]
    task.cancel()


async def test_two_tasks_cannot_receive_at_once(session: Session) -> None:
    first = asyncio.create_task(session.ws.receive())
    await asyncio.sleep(0)
    with pytest.raises(ConcurrencyError, match="another task is receiving"):
        await session.ws.receive()
    await session.feed(frame(TEXT, b"a"))
    assert await first == "a"


async def test_iteration_ends_with_an_agreed_close(session: Session) -> None:
    await session.feed(frame(TEXT, b"a") + close_frame(1001, "bye"))
    assert [message async for message in session.ws] == ["a"]
    assert (session.ws.close_code, session.ws.close_reason) == (1001, "bye")
    with pytest.raises(ConnectionClosedOK) as caught:
        await session.ws.receive()
    assert (caught.value.code, caught.value.reason, caught.value.by_peer) == (1001, "bye", True)


async def test_iteration_ends_with_a_close_without_a_code(session: Session) -> None:
    await session.feed(frame(CLOSE))
    assert [message async for message in session.ws] == []
    assert session.ws.close_code == 1005


@pytest.mark.parametrize(("data", "code"), [(close_frame(1011, "oops"), 1011), (b"", 1006)])
async def test_iteration_raises_after_any_other_end(session: Session, data: bytes, code: int) -> None:
    await session.feed(data)
    if not data:
        await session.call(session.ws.eof_received)
    with pytest.raises(ConnectionClosedError) as caught:
        async for _ in session.ws:
            pass
    assert caught.value.code == code


async def test_a_violation_is_told_behind_the_messages_before_it(session: Session) -> None:
    await session.feed(frame(TEXT, b"good") + frame(0x83, b"bad"))
    assert await session.ws.receive() == "good"
    with pytest.raises(ConnectionClosedError, match="opcode") as caught:
        await session.ws.receive()
    assert caught.value.code == 1006
    assert caught.value.__cause__ is not None
    assert session.stream.eof_written


async def test_a_waiting_receiver_is_told_of_the_end(session: Session) -> None:
    waiting = asyncio.create_task(session.ws.receive())
    await asyncio.sleep(0)
    await session.lose()
    with pytest.raises(ConnectionClosedError):
        await waiting


async def test_a_cancelled_receive_loses_nothing(session: Session) -> None:
    waiting = asyncio.create_task(session.ws.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await session.feed(frame(TEXT, b"a"))
    assert await session.ws.receive() == "a"


async def test_a_receive_cancelled_between_the_message_and_its_task_loses_nothing(session: Session) -> None:
    waiting = asyncio.create_task(session.ws.receive())
    await asyncio.sleep(0)
    # From a task: the message is with the waiting one, which runs only at the next turn of the loop.
    session.ws.data_received(frame(TEXT, b"a") + frame(TEXT, b"b"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [await session.ws.receive(), await session.ws.receive()] == ["a", "b"]


@pytest.mark.parametrize("seed", range(20))
async def test_no_message_is_lost_or_doubled_whatever_is_cancelled(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    session = make(limits=Limits(max_queue=4))
    received: list[int] = []
    count = 300

    async def take() -> None:
        while len(received) < count:
            try:
                async with asyncio.timeout(rng.choice([0, 0, 0.0005, None])):
                    received.append(int(await session.ws.receive()))
            except TimeoutError:
                pass
            if rng.random() < 0.2:
                await asyncio.sleep(0)

    task = asyncio.create_task(take())
    sent = 0
    async with asyncio.timeout(20):
        while sent < count:
            burst = b""
            for _ in range(min(rng.randint(1, 9), count - sent)):
                burst += frame(TEXT, b"%d" % sent)
                sent += 1
            if rng.random() < 0.3:
                session.ws.data_received(burst)
            else:
                await session.feed(burst)
            while not session.stream.reading:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await task
    assert received == list(range(count))


async def test_the_handler_keeps_its_context_across_messages(session: Session) -> None:
    seen: list[str] = []

    async def handler() -> None:
        place.set("inside")
        async for _ in session.ws:
            seen.append(place.get())

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    await session.feed(frame(TEXT, b"a"))
    await session.feed(frame(TEXT, b"b"))
    assert seen == ["inside", "inside"]
    assert place.get() == "nowhere"
    task.cancel()


async def test_a_handler_may_start_tasks_close_and_raise_inside_the_read(session: Session) -> None:
    other: list[asyncio.Task[None]] = []

    async def work() -> None:
        await asyncio.sleep(0)
        await session.ws.send("from a task")

    async def handler() -> None:
        await session.ws.receive()
        other.append(asyncio.create_task(work()))
        await session.ws.receive()
        await asyncio.gather(*other)
        session.ws.close_soon(1000)
        raise RuntimeError("handler's own")

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    await session.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    with pytest.raises(RuntimeError, match="own"):
        await task
    await asyncio.sleep(0)
    assert bytes(session.stream.written) == b"\x81\x0bfrom a task\x88\x02\x03\xe8"


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_sending_by_type(session: Session) -> None:
    ws = session.ws
    await ws.send("text")
    await ws.send(b"bytes")
    await ws.send(bytearray(b"array"))
    await ws.send(memoryview(b"view"))
    await ws.send_text("t")
    await ws.send_binary(b"b")
    await asyncio.sleep(0)
    expected = b"\x81\x04text\x82\x05bytes\x82\x05array\x82\x04view\x81\x01t\x82\x01b"
    assert bytes(session.stream.written) == expected


@pytest.mark.parametrize("message", [1, None, ["a"], {"a": 1}])
async def test_what_is_no_message_is_a_type_error(session: Session, message: object) -> None:
    with pytest.raises(TypeError):
        session.ws.send(message)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        session.ws.send_text(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        session.ws.send_binary("text")  # type: ignore[arg-type]
    assert session.stream.writes == []


async def test_a_message_is_on_its_way_even_if_nobody_waits_for_it(session: Session) -> None:
    session.ws.pause_writing()
    session.ws.send("a")
    assert bytes(session.stream.written) == b"\x81\x01a"


async def test_sending_after_the_end_raises_and_sends_nothing(session: Session) -> None:
    await session.feed(close_frame(4000, "why"))
    session.stream.take()
    with pytest.raises(ConnectionClosedError, match=r"4000 \(why\)"):
        session.ws.send("a")
    with pytest.raises(ConnectionClosed):
        await session.ws.ping()
    with pytest.raises(ConnectionClosed):
        await session.ws.pong()
    assert session.stream.writes == []


async def test_a_waiting_sender_is_told_of_the_end(session: Session) -> None:
    session.ws.pause_writing()
    waiting = asyncio.ensure_future(session.ws.send("a"))
    await asyncio.sleep(0)
    await session.lose()
    with pytest.raises(ConnectionClosedError):
        await waiting


# -- pings -------------------------------------------------------------------------------------------------------------


async def test_a_ping_waits_for_its_pong_and_measures(session: Session) -> None:
    assert session.ws.latency is None
    waiting = asyncio.create_task(session.ws.ping(b"mine"))
    await asyncio.sleep(0)
    assert bytes(session.stream.written) == b"\x89\x04mine"
    await session.feed(frame(PONG, b"another"))
    assert not waiting.done()
    await session.feed(frame(PONG, b"mine"))
    assert await waiting == session.ws.latency
    assert session.ws.latency > 0


async def test_a_pong_answers_earlier_pings_too(session: Session) -> None:
    first, second = (asyncio.create_task(session.ws.ping(payload)) for payload in (b"1", b"2"))
    third = asyncio.create_task(session.ws.ping())
    await asyncio.sleep(0)
    await session.feed(frame(PONG, b"2"))
    await asyncio.gather(first, second)
    assert not third.done()
    await session.lose()
    with pytest.raises(ConnectionClosed):
        await third


async def test_pings_with_equal_payloads_share_one_pong(session: Session) -> None:
    first, second, third = (asyncio.create_task(session.ws.ping(b"x")) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    await session.feed(frame(PONG, b"x"))
    assert await first == await third == session.ws.latency
    fourth, fifth = (asyncio.create_task(session.ws.ping(b"x")) for _ in range(2))
    await asyncio.sleep(0)
    await session.lose()
    for task in (fourth, fifth):
        with pytest.raises(ConnectionClosed):
            await task


async def test_a_cancelled_ping_is_forgotten(session: Session) -> None:
    waiting = asyncio.create_task(session.ws.ping(b"x"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await session.feed(frame(PONG, b"x"))
    assert session.ws.latency is None


async def test_an_unasked_pong_is_sent(session: Session) -> None:
    await session.ws.pong(b"hi")
    assert bytes(session.stream.written) == b"\x8a\x02hi"


@pytest.mark.parametrize("payload", [b"x" * 126])
async def test_a_control_payload_over_125_bytes_is_refused(session: Session, payload: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        await session.ws.ping(payload)
    with pytest.raises(LocalProtocolError):
        await session.ws.pong(payload)
    assert session.ws.is_open


# -- closing -----------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_the_peer_and_then_for_the_stream(session: Session) -> None:
    closing = asyncio.create_task(session.ws.close(4001, "enough"))
    await asyncio.sleep(0)
    assert bytes(session.stream.written) == b"\x88\x08\x0f\xa1enough"
    assert not session.ws.is_open
    assert not session.stream.is_closed
    await session.feed(close_frame(4001))
    assert session.stream.is_closed
    assert not closing.done()
    await session.lose()
    await closing
    assert session.ws.close_code == 4001


async def test_a_client_lets_the_server_close_the_stream(make: Make) -> None:
    session = make(role=Role.CLIENT)
    session.ws.close_soon()
    await session.feed(b"\x88\x02\x03\xe8")
    assert not session.stream.is_closed
    await session.pass_time(11)
    assert session.stream.is_aborted


async def test_a_second_close_waits_along_and_a_late_one_returns(session: Session) -> None:
    both = [asyncio.create_task(session.ws.close()) for _ in range(2)]
    await asyncio.sleep(0)
    await session.feed(close_frame(1000))
    await session.lose()
    await asyncio.gather(*both)
    await session.ws.close()
    await session.ws.wait_closed()
    assert bytes(session.stream.written).count(b"\x88") == 1


async def test_a_close_that_is_cancelled_can_be_waited_for_again(session: Session) -> None:
    closing = asyncio.create_task(session.ws.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await session.feed(close_frame(1000))
    await session.lose()
    await session.ws.wait_closed()


@pytest.mark.parametrize(
    ("code", "reason"), [(0, ""), (999, ""), (1005, ""), (1006, ""), (1015, ""), (1000, "x" * 124)]
)
async def test_what_may_not_be_sent_raises_before_anything_is_sent(session: Session, code: int, reason: str) -> None:
    with pytest.raises(LocalProtocolError):
        await session.ws.close(code, reason)
    assert session.ws.is_open
    assert session.stream.writes == []


async def test_messages_that_come_behind_our_close_can_still_be_received(session: Session) -> None:
    session.ws.close_soon()
    await session.feed(frame(TEXT, b"late") + close_frame(1000))
    assert await session.ws.receive() == "late"


async def test_what_nobody_takes_behind_our_close_is_bounded(make: Make) -> None:
    session = make(limits=Limits(max_queue=2))
    session.ws.close_soon()
    for _ in range(100):
        await session.feed(frame(TEXT, b"late"))
    assert session.stream.reading
    await session.feed(close_frame(1000))
    assert len([message async for message in session.ws]) == 2


async def test_abort_cuts_the_stream(session: Session) -> None:
    session.ws.abort()
    assert session.stream.is_aborted


# -- the opening handshake ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda ws: ws.accept(),
        lambda ws: ws.send("a"),
        lambda ws: ws.pong(),
        lambda ws: ws.ping(),
        lambda ws: ws.receive(),
        lambda ws: ws.close(),
    ],
)
async def test_the_first_use_accepts(make: Make, use: Callable[[WebSocket], object]) -> None:
    opening = FakeOpening()
    session = make(opening=opening)
    assert session.ws.is_opening
    assert not session.ws.is_open
    task = asyncio.ensure_future(use(session.ws))  # type: ignore[call-overload]
    await asyncio.sleep(0)
    assert len(opening.accepted) == 1
    assert not session.ws.is_opening
    task.cancel()


async def test_accepting_twice_is_an_error(make: Make) -> None:
    opening = FakeOpening()
    session = make(opening=opening)
    await session.ws.accept(subprotocol="chat", headers={"X-A": "b"})
    assert opening.accepted == [("chat", {"X-A": "b"})]
    assert session.ws.subprotocol == "chat"
    with pytest.raises(LocalProtocolError, match="answered already"):
        await session.ws.accept()
    with pytest.raises(LocalProtocolError, match="close the connection instead"):
        await session.ws.reject()


async def test_what_came_behind_the_handshake_is_received(make: Make) -> None:
    session = make(opening=FakeOpening(frame(TEXT, b"early")))
    assert await session.ws.receive() == "early"


async def test_a_rejected_handshake_is_the_end(make: Make) -> None:
    opening = FakeOpening()
    session = make(opening=opening)
    await session.ws.reject(403, "no")
    assert opening.rejected == [(403, "no")]
    with pytest.raises(ConnectionClosed):
        session.ws.send("a")
    with pytest.raises(ConnectionClosed):
        await session.ws.receive()


async def test_a_handler_that_does_nothing_has_accepted_after_a_while(make: Make) -> None:
    opening = FakeOpening()
    session = make(opening=opening, limits=Limits(commit_delay=60.0))
    await session.pass_time(30.0)
    assert opening.accepted == []
    await session.pass_time(60.0)
    assert len(opening.accepted) == 1
    assert not session.stream.is_aborted


async def test_without_a_delay_a_handler_that_does_nothing_accepts_nothing(make: Make) -> None:
    opening = FakeOpening()
    session = make(opening=opening, limits=Limits(commit_delay=None))
    await session.pass_time(1000)
    assert opening.accepted == []


async def test_a_client_that_leaves_before_the_answer_cannot_be_accepted(make: Make) -> None:
    session = make(opening=FakeOpening())
    await session.lose()
    with pytest.raises(ConnectionClosed):
        session.ws.send("a")


# -- facts -------------------------------------------------------------------------------------------------------------


async def test_facts(make: Make) -> None:
    session = make()
    ws = session.ws
    assert repr(ws) == "<WebSocket /ws open>"
    assert ws.params == {}
    assert ws.close_code is None
    assert ws.close_reason is None
    assert ws.runtime is session.runtime
    ws.state["user"] = 1
    assert ws.state == {"user": 1}
    assert not ws.knows_the_end
    await session.feed(close_frame(1000))
    assert repr(ws) == "<WebSocket /ws closed 1000>"
    assert repr(make(opening=FakeOpening()).ws) == "<WebSocket /ws opening>"
    client = make(role=Role.CLIENT).ws
    assert repr(client) == "<WebSocket client open>"
    assert client.params == {}


async def test_the_end_is_called_back_once(session: Session) -> None:
    called: list[int] = []
    session.ws.when_lost(lambda: called.append(1))
    await session.lose()
    assert called == [1]


# -- fragments ---------------------------------------------------------------------------------------------------------


async def test_a_message_can_be_sent_in_fragments_while_it_is_made(session: Session) -> None:
    async def parts() -> AsyncIterator[str]:
        yield "one "
        await session.ws.pong(b"between")
        yield "two"

    await session.ws.send_fragments(parts())
    await session.ws.send("next")
    await asyncio.sleep(0)
    assert bytes(session.stream.written) == b"\x01\x04one \x8a\x07between\x00\x03two\x80\x00\x81\x04next"


async def test_a_fragmented_message_may_be_empty(session: Session) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in ():
            yield part

    await session.ws.send_fragments(parts())
    assert bytes(session.stream.written) == b"\x82\x00"


async def test_nothing_else_can_be_sent_inside_a_fragmented_message(session: Session) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        with pytest.raises(LocalProtocolError, match="not finished"):
            session.ws.send("x")

    await session.ws.send_fragments(parts())
    await session.ws.send("y")


async def test_fragments_stop_with_the_connection(session: Session) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        await session.lose()
        yield b"two"

    with pytest.raises(ConnectionClosedError):
        await session.ws.send_fragments(parts())


async def test_the_end_tells_how_the_peer_or_the_network_ended_it(session: Session) -> None:
    assert session.ws.end is None
    await session.feed(frame(0x88, b"\x03\xf4bye"))
    end = session.ws.end
    assert isinstance(end, ConnectionClosedError)
    assert (end.code, end.reason, end.by_peer) == (1012, "bye", True)


async def test_the_end_is_no_error_if_this_side_closed(session: Session) -> None:
    session.ws.close_soon()
    await session.feed(frame(0x88, b"\x03\xe8"))
    assert (session.ws.end, session.ws.close_code) == (None, 1000)


# -- the end of the server ---------------------------------------------------------------------------------------------


async def test_closing_is_true_once_the_server_goes_away_and_waiting_for_it_ends() -> None:
    session = Session()
    ws = session.ws
    waiting = [asyncio.create_task(ws.wait_closing()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not ws.closing
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    session.runtime.departure.begin()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting[1:])
        await ws.wait_closing()
    assert (ws.closing, ws.is_open, ws.is_leaving) == (True, True, False)
    await session.lose()
    session.close()


async def test_closing_is_true_as_well_at_the_end_of_the_connection_itself() -> None:
    session = Session()
    ws = session.ws
    waiting = asyncio.create_task(ws.wait_closing())
    await asyncio.sleep(0)
    ws.close_soon()
    assert (ws.closing, ws.is_leaving) == (True, True)
    await session.lose()
    async with asyncio.timeout(10):
        await waiting
    assert ws.closing
    assert not session.runtime.departure._waiters
    session.close()


# -- who the peer is ---------------------------------------------------------------------------------------------------


async def test_the_end_of_an_identity_closes_with_3000(session: Session) -> None:
    assert session.ws.request is not None
    session.ws.renew(Identity("ada"))
    assert session.ws.request.user == "ada"
    session.ws.renew(Identity("ada", expires=time.time()))
    await until(lambda: session.stream.written)
    assert session.stream.written == b"\x88\x20\x0b\xb8the authentication has expired"
    session.ws.request.forget_identity()


async def test_a_connection_that_has_ended_is_not_looked_after(session: Session) -> None:
    assert session.ws.request is not None
    await session.lose()
    session.ws.renew(Identity("ada", expires=time.time()))
    assert isinstance(session.ws.request._identity, Identity)


async def test_a_client_does_not_know_its_server_by_an_identity(make: Make) -> None:
    client = make(role=Role.CLIENT)
    with pytest.raises(LocalProtocolError, match="only a server"):
        client.ws.renew(Identity("ada"))
