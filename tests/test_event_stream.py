"""The server's end of an event stream."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable

import pytest

from elio.auth.identity import Identity
from elio.causes import PeerDisconnected
from elio.errors import InvalidHeader, StreamClosed
from elio.event_stream import EventStream
from elio.headers import Headers
from elio.limits import Limits
from elio.net.runtime import Runtime
from elio.sse.event import Event
from support.sessions import make_request
from support.stream import FakeStream


class Body:
    """A response on paper; pieces of its body are put in brackets."""

    def __init__(self) -> None:
        self.heads: list[Headers] = []
        self.expired = asyncio.Event()

    def expire(self) -> None:
        self.expired.set()

    def begin(self, headers: Headers) -> Callable[[bytes], bytes]:
        self.heads.append(headers)
        return lambda data: b"[" + data + b"]"


class Desk:
    """A stream with all that is around it."""

    def __init__(self, limits: Limits | None = None, last_event_id: bytes = b"") -> None:
        self.out = FakeStream()
        self.body = Body()
        self.runtime = Runtime(asyncio.get_running_loop(), limits or Limits())
        request = make_request("/events")
        if last_event_id:
            request.headers.add("Last-Event-ID", last_event_id.decode("latin-1"))
        self.stream = EventStream(request, self.body, self.out, self.runtime)

    def pass_time(self, seconds: float) -> None:
        self.stream.check_time(self.runtime.timer.now() + seconds)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    desk.runtime.close()


async def test_everything_that_can_be_sent(desk: Desk) -> None:
    stream = desk.stream
    await stream.send(Event("a\nb", type="t", id="1", retry=2.0))
    assert bytes(desk.out.take()) == b"[id: 1\nevent: t\nretry: 2000\ndata: a\ndata: b\n\n]"
    await asyncio.sleep(0)
    for send, expected in (
        (lambda: stream.send("plain"), b"[data: plain\n\n]"),
        (lambda: stream.send_data("data"), b"[data: data\n\n]"),
        (lambda: stream.send_event("t", "x"), b"[event: t\ndata: x\n\n]"),
        (lambda: stream.send_event("t", "x", id="7"), b"[id: 7\nevent: t\ndata: x\n\n]"),
        (lambda: stream.send_comment("hi"), b"[: hi\n\n]"),
        (lambda: stream.send_retry(1.5), b"[retry: 1500\n\n]"),
    ):
        await send()
        stream.flush()
        assert desk.out.take() == expected


async def test_a_reader_may_become_somebody_else_and_is_told_when_that_ends(desk: Desk) -> None:
    desk.stream.renew(Identity("ada"))
    assert desk.stream.request.user == "ada"
    desk.stream.renew(Identity("bob", expires=time.time()))
    await asyncio.wait_for(desk.body.expired.wait(), 10)
    desk.stream.request.forget_identity()


async def test_a_stream_that_has_ended_is_not_looked_after(desk: Desk) -> None:
    desk.stream.connection_lost(PeerDisconnected())
    desk.stream.renew(Identity("bob", expires=time.time()))
    assert isinstance(desk.stream.request._identity, Identity)


async def test_the_head_goes_out_with_the_first_event_and_once(desk: Desk) -> None:
    desk.stream.headers.add("X-A", "b")
    assert not desk.stream.has_begun
    await desk.stream.send("a")
    await desk.stream.send("b")
    assert desk.stream.has_begun
    assert [head.items() for head in desk.body.heads] == [[("X-A", "b")]]
    desk.stream.begin()
    assert len(desk.body.heads) == 1


async def test_a_quiet_stream_begins_by_itself_after_a_while() -> None:
    desk = Desk(Limits(commit_delay=60.0))
    desk.pass_time(30.0)
    assert desk.body.heads == []
    desk.pass_time(60.0)
    assert len(desk.body.heads) == 1
    desk.runtime.close()


async def test_an_event_that_would_break_the_wire_is_refused_before_the_head(desk: Desk) -> None:
    with pytest.raises(InvalidHeader):
        desk.stream.send_event("a\nb", "x")
    assert desk.body.heads == []


async def test_events_of_one_turn_leave_in_two_writes(desk: Desk) -> None:
    for number in range(5):
        await desk.stream.send(str(number))
    assert desk.out.writes == [b"[data: 0\n\n]"]
    await asyncio.sleep(0)
    assert desk.out.writes[1:] == [b"[data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n]"]


async def test_a_sender_waits_for_a_slow_reader(desk: Desk) -> None:
    desk.stream.pause_writing()
    waiting = asyncio.ensure_future(desk.stream.send("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    desk.stream.resume_writing()
    await waiting


async def test_a_reader_that_takes_no_byte_is_cut_off() -> None:
    desk = Desk(Limits(send_timeout=5.0))
    desk.out.stalled = True
    desk.stream.send("x" * 100_000)
    desk.stream.pause_writing()
    desk.pass_time(4.0)
    assert not desk.out.is_aborted
    desk.pass_time(5.5)
    assert desk.out.is_aborted
    desk.runtime.close()


async def test_comments_keep_an_idle_stream_alive_and_only_an_idle_one() -> None:
    desk = Desk(Limits(keep_alive_interval=15.0))
    desk.pass_time(60)
    assert desk.out.take() == b""
    await desk.stream.send("a")
    desk.out.take()
    desk.pass_time(14)
    assert desk.out.take() == b""
    desk.pass_time(15.1)
    assert desk.out.take() == b"[:\n\n]"
    desk.stream.pause_writing()
    desk.pass_time(40)
    assert desk.out.take() == b""
    desk.runtime.close()


async def test_comments_can_be_switched_off() -> None:
    desk = Desk(Limits(keep_alive_interval=None))
    await desk.stream.send("a")
    desk.out.take()
    desk.pass_time(1e6)
    assert desk.out.take() == b""
    desk.runtime.close()


async def test_the_last_event_id_is_text_in_utf_8() -> None:
    assert Desk().stream.last_event_id == ""
    assert Desk(last_event_id=b"7").stream.last_event_id == "7"
    assert Desk(last_event_id="ü€".encode()).stream.last_event_id == "ü€"
    assert Desk(last_event_id=b"\xff").stream.last_event_id == "\N{REPLACEMENT CHARACTER}"


async def test_closing_sends_what_was_collected_and_nothing_more(desk: Desk) -> None:
    await desk.stream.send("a")
    await desk.stream.send("b")
    await desk.stream.close()
    assert not desk.stream.is_active
    assert bytes(desk.out.written).endswith(b"[data: b\n\n]")
    with pytest.raises(StreamClosed, match="was closed"):
        desk.stream.send("c")
    await desk.stream.close()
    desk.stream.finish()
    desk.pass_time(1e6)


async def test_closing_before_anything_was_sent_sends_the_head(desk: Desk) -> None:
    await desk.stream.close()
    assert len(desk.body.heads) == 1
    desk.stream.begin()


async def test_a_discarded_stream_sends_nothing(desk: Desk) -> None:
    desk.stream.discard()
    desk.pass_time(10)
    assert desk.body.heads == []
    with pytest.raises(StreamClosed):
        desk.stream.begin()


async def test_a_reader_that_has_gone_is_told_to_whoever_sends(desk: Desk) -> None:
    desk.stream.pause_writing()
    waiting = asyncio.ensure_future(desk.stream.send("a"))
    await asyncio.sleep(0)
    desk.stream.connection_lost(PeerDisconnected())
    with pytest.raises(StreamClosed, match="has gone"):
        await waiting
    with pytest.raises(StreamClosed, match="has gone"):
        desk.stream.send("b")
    assert not desk.stream.is_active
    desk.stream.finish()


async def test_the_end_is_waited_for_inside_a_coroutine(desk: Desk) -> None:
    async def wait() -> str:
        await desk.stream.wait_closed()
        return "closed"

    waiting = asyncio.ensure_future(wait())
    given_up = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert given_up.cancelled()
    desk.stream.finish()
    assert await waiting == "closed"
    assert await wait() == "closed"


async def test_a_wait_that_is_not_awaited_does_nothing(desk: Desk) -> None:
    waiting = desk.stream.wait_closed()
    with pytest.raises(KeyError):
        waiting.throw(KeyError)
    with pytest.raises(KeyError):
        waiting.throw(KeyError("a"))
    waiting.close()


async def _wait(stream: EventStream) -> asyncio.Task[None]:
    waiting = asyncio.ensure_future(stream.wait_closed())
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_the_end_is_waited_for_by_anybody(desk: Desk) -> None:
    waiting = [await _wait(desk.stream) for _ in range(3)]
    await desk.stream.close()
    await asyncio.gather(*waiting)
    await desk.stream.wait_closed()


async def test_a_reader_that_goes_ends_the_waiting(desk: Desk) -> None:
    waiting = await _wait(desk.stream)
    desk.stream.connection_lost(PeerDisconnected())
    await waiting


async def test_a_discarded_stream_is_waited_for_no_longer(desk: Desk) -> None:
    waiting = await _wait(desk.stream)
    desk.stream.discard()
    await waiting


async def test_who_is_cancelled_waits_no_longer_and_the_others_do(desk: Desk) -> None:
    waiting = [await _wait(desk.stream) for _ in range(2)]
    waiting[0].cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await waiting[0]
    assert not waiting[1].done()
    desk.stream.finish()
    await waiting[1]


async def test_facts(desk: Desk) -> None:
    assert repr(desk.stream) == "<EventStream /events active>"
    assert desk.stream.params == {}
    desk.stream.state["a"] = 1
    assert desk.stream.state == {"a": 1}
    desk.stream.connection_lost(PeerDisconnected())
    assert repr(desk.stream) == "<EventStream /events closed>"


async def test_without_a_delay_a_quiet_stream_does_not_begin() -> None:
    desk = Desk(Limits(commit_delay=None))
    desk.pass_time(1e6)
    assert desk.body.heads == []
    desk.runtime.close()


# -- the end of the server ---------------------------------------------------------------------------------------------


async def test_closing_is_true_once_the_server_goes_away_and_waiting_for_it_ends(desk: Desk) -> None:
    waiting = [asyncio.create_task(desk.stream.wait_closing()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not desk.stream.closing
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert len(desk.runtime.departure._waiters) == 1
    desk.runtime.departure.begin()
    async with asyncio.timeout(10):
        await waiting[1]
        await desk.stream.wait_closing()
    assert (desk.stream.closing, desk.stream.is_active) == (True, True)


async def test_closing_is_true_as_well_at_the_end_of_the_stream_itself(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.stream.wait_closing())
    await asyncio.sleep(0)
    await desk.stream.close()
    async with asyncio.timeout(10):
        await waiting
    assert desk.stream.closing
    assert not desk.runtime.departure._waiters


async def test_a_stream_that_ends_with_the_server_says_when_to_come_back(desk: Desk) -> None:
    await desk.stream.send("a")
    desk.out.take()
    departure = desk.runtime.departure
    departure.window = 4.0
    departure.begin()
    desk.stream.finish()
    found = re.fullmatch(rb"\[retry: (\d+)\n\n\]", bytes(desk.out.take()))
    assert found
    assert 1000 <= int(found[1]) <= 5000
    desk.stream.finish()
    assert not desk.out.take()
