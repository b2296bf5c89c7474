"""When things go out, and when a sender waits."""

from __future__ import annotations

import asyncio

import pytest

from elio.errors import StreamClosed
from elio.limits import Limits
from elio.net.outlet import Outlet
from elio.net.ready import READY, YIELD
from elio.net.runtime import Runtime
from support.stream import FakeStream


class Line(Outlet):
    """The simplest outlet: bytes as they are."""

    def __init__(self, stream: FakeStream, runtime: Runtime) -> None:
        super().__init__(stream, runtime)
        self.output = bytearray()

    def send(self, data: bytes) -> object:
        self.output += data
        self._emit(len(data))
        return self._room(len(data))

    def _take_output(self) -> bytes:
        data = bytes(self.output)
        self.output.clear()
        return data

    def _closed_error(self) -> Exception:
        return StreamClosed("gone")


@pytest.fixture
async def line() -> Line:
    return Line(FakeStream(), Runtime(asyncio.get_running_loop(), Limits(send_timeout=5.0)))


def stream_of(line: Line) -> FakeStream:
    stream = line._stream
    if not isinstance(stream, FakeStream):
        raise TypeError
    return stream


async def test_the_first_of_a_turn_goes_out_at_once_and_the_rest_in_one_write(line: Line) -> None:
    line.send(b"a")
    assert stream_of(line).writes == [b"a"]
    line.send(b"b")
    line.send(b"c")
    assert stream_of(line).writes == [b"a"]
    await asyncio.sleep(0)
    assert stream_of(line).writes == [b"a", b"bc"]
    line.send(b"d")
    assert stream_of(line).writes == [b"a", b"bc", b"d"]


async def test_a_large_message_is_not_held_back_and_overtakes_nothing(line: Line) -> None:
    line.send(b"a")
    line.send(b"b")
    line.send(b"c" * 20_000)
    assert stream_of(line).writes == [b"a", b"b" + b"c" * 20_000]
    await asyncio.sleep(0)
    assert len(stream_of(line).writes) == 2


async def test_a_sender_waits_while_the_peer_takes_nothing(line: Line) -> None:
    line.pause_writing()
    waiting = asyncio.ensure_future(line.send(b"a"))  # type: ignore[call-overload]
    await asyncio.sleep(0)
    assert stream_of(line).writes == [b"a"]
    assert not waiting.done()
    line.resume_writing()
    await waiting
    assert line.send(b"b") is READY


async def test_a_waiting_sender_is_told_that_the_connection_is_lost(line: Line) -> None:
    line.pause_writing()
    waiting = asyncio.ensure_future(line.send(b"a"))  # type: ignore[call-overload]
    await asyncio.sleep(0)
    line._lost = True
    line._wake_writers()
    with pytest.raises(StreamClosed):
        await waiting


async def test_a_waiting_sender_can_be_cancelled_alone(line: Line) -> None:
    line.pause_writing()
    one, two = (asyncio.ensure_future(line.send(data)) for data in (b"a", b"b"))  # type: ignore[call-overload]
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.sleep(0)
    line.resume_writing()
    await two
    assert one.cancelled()


async def test_nothing_is_written_to_a_lost_connection(line: Line) -> None:
    line._lost = True
    line.send(b"a")
    assert stream_of(line).writes == []


async def test_a_task_that_only_sends_lets_the_loop_turn_within_64_sends(line: Line) -> None:
    rooms = [line.send(b"x") for _ in range(65)]
    assert rooms.count(YIELD) == 1
    assert rooms[-1] is YIELD
    assert line.send(b"x") is READY


async def test_large_messages_count_for_more(line: Line) -> None:
    rooms = [line.send(b"x" * 65536) for _ in range(8)]
    assert rooms.count(YIELD) == 2


async def test_a_peer_is_stalled_when_it_took_no_byte_for_the_time_out(line: Line) -> None:
    stream = stream_of(line)
    stream.stalled = True
    now = line._runtime.timer.now()
    assert not line._is_stalled(now + 100)
    line.send(b"x" * 100_000)
    line.pause_writing()
    assert not line._is_stalled(now + 4.0)
    line.send(b"y" * 100_000)
    assert not line._is_stalled(now + 4.5)
    assert line._is_stalled(now + 5.5)


async def test_a_peer_that_takes_a_byte_now_and_then_is_not_stalled(line: Line) -> None:
    stream = stream_of(line)
    stream.stalled = True
    now = line._runtime.timer.now()
    line.send(b"x" * 100_000)
    line.pause_writing()
    stream.waiting -= 1
    assert not line._is_stalled(now + 6.0)
    assert not line._is_stalled(now + 10.0)
    assert line._is_stalled(now + 11.5)


async def test_without_a_time_out_nobody_is_stalled() -> None:
    line = Line(FakeStream(), Runtime(asyncio.get_running_loop(), Limits(send_timeout=None)))
    line.pause_writing()
    assert not line._is_stalled(line._runtime.timer.now() + 1e6)


async def test_what_waits_in_the_stream_is_queued(line: Line) -> None:
    assert line.queued == 0
    stream_of(line).waiting = 7
    assert line.queued == 7
