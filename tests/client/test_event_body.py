"""One body of an event stream, pushed by hand."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from elio.client.event_body import EventBody, Signs
from elio.client.feed import EventFeed
from elio.errors import EventTooBig, RemoteProtocolError, StreamStalled
from elio.http.coding import make_decoder
from elio.limits import Limits
from elio.net.runtime import Runtime
from elio.net.timer import CoarseTimer, Timed
from elio.sse.event import Event
from elio.sse.parser import Parser
from support.event_streams import ways
from support.raw import DEADLINE


class FakeBody:
    """A response that only remembers."""

    def __init__(self) -> None:
        self.reading = True
        self.is_aborted = False

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def abort(self) -> None:
        self.is_aborted = True


class Clock(CoarseTimer):
    """A timer whose time the test sets."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.time = 1000.0
        self.scheduled: dict[Timed, float] = {}

    def now(self) -> float:
        return self.time

    def schedule(self, item: Timed, when: float) -> int:
        self.scheduled[item] = when
        return 0

    def forget(self, item: Timed, bucket: int) -> None:
        self.scheduled.pop(item, None)

    def close(self) -> None:
        self.scheduled.clear()


class Stream:
    """A body with its feed."""

    def __init__(self, *codings: str, limits: Limits | None = None, signs: Signs | None = None) -> None:
        self.clock = Clock()
        limits = limits or Limits(max_queue=4)
        self.runtime = Runtime(asyncio.get_running_loop(), limits, timer=self.clock)
        self.response = FakeBody()
        self.feed = EventFeed(self.runtime)
        self.parser = Parser(max_event_size=self.runtime.limits.max_event_size)
        self.body = EventBody(
            self.response,
            self.feed,
            self.parser,
            self.runtime,
            decoder=make_decoder(codings),
            signs=signs or Signs(),
        )

    def receive(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.body.body_received(piece)

    async def end(self) -> Exception | None:
        async with asyncio.timeout(DEADLINE):
            return await self.body.wait_ended()

    async def take(self, count: int) -> list[str]:
        async with asyncio.timeout(DEADLINE):
            return [(await self.feed.receive()).data for _ in range(count)]

    async def taken(self) -> list[str]:
        """Everything that waits."""
        return await self.take(len(self.feed._ready) + len(self.feed._later))

    def pass_time(self, seconds: float) -> None:
        """Let it pass, and call what is due."""
        self.clock.time += seconds
        for item, when in list(self.clock.scheduled.items()):
            if when <= self.clock.time:
                del self.clock.scheduled[item]
                item.check_time(self.clock.time)  # type: ignore[attr-defined]

    def close(self) -> None:
        self.body.close()
        self.runtime.close()


@pytest.fixture
def stream() -> Any:
    return None


async def test_a_body_becomes_events_and_ends() -> None:
    stream = Stream()
    stream.receive(b"data: 1\n\ndata: 2\n", b"\n")
    stream.body.body_ended(None)
    assert await stream.end() is None
    assert await stream.taken() == ["1", "2"]
    stream.close()


async def test_what_cut_a_body_short_is_told() -> None:
    stream = Stream()
    error = ConnectionResetError("reset")
    stream.body.body_ended(error)
    assert await stream.end() is error
    stream.close()


async def test_reading_pauses_while_the_queue_is_full_and_goes_on_when_it_is_not() -> None:
    stream = Stream()
    stream.receive(b"data: x\n\n" * 5)
    assert not stream.response.reading
    await stream.take(1)
    assert not stream.response.reading
    await stream.take(1)
    assert stream.response.reading
    stream.receive(b"data: x\n\n")
    assert not stream.response.reading
    await stream.taken()
    assert stream.response.reading
    stream.close()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_coded_body_is_decoded_however_it_is_cut(coding: str) -> None:
    import brotli
    import zstandard

    encode = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}
    for pieces in ways(encode[coding](b"data: 1\n\ndata: 2\n\n")):
        stream = Stream(coding)
        stream.receive(*pieces)
        stream.body.body_ended(None)
        assert await stream.end() is None
        assert await stream.taken() == ["1", "2"]
        stream.close()


async def test_a_bomb_of_events_is_decoded_only_as_they_are_taken() -> None:
    number = 200_000
    stream = Stream("gzip")
    stream.receive(gzip.compress(b"data: boom\n\n" * number))
    stream.body.body_ended(None)
    assert not stream.response.reading
    waiting = 0
    count = 0
    while count < number:
        ready = len(stream.feed._ready) + len(stream.feed._later)
        waiting = max(waiting, ready)
        await stream.take(max(1, ready))
        count += max(1, ready)
    assert waiting < 20_000
    assert await stream.end() is None
    stream.close()


async def test_a_bomb_of_comments_lets_the_loop_turn() -> None:
    stream = Stream("gzip")
    bomb = gzip.compress((b":" + bytes(10_000) + b"\n") * 3000 + b"data: after\n\n")
    turns = 0
    stream.receive(bomb)
    stream.body.body_ended(None)
    task = asyncio.ensure_future(stream.take(1))
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert await task == ["after"]
    assert turns > 10
    stream.close()


async def test_corrupt_data_is_fatal_behind_the_events_before_it() -> None:
    stream = Stream("gzip")
    good = zlib.compressobj(wbits=31)
    stream.receive(good.compress(b"data: 1\n\n") + good.flush(zlib.Z_SYNC_FLUSH), b"\xff" * 20)
    error = await stream.end()
    assert isinstance(error, RemoteProtocolError)
    assert stream.body.is_fatal
    assert stream.response.is_aborted
    assert await stream.taken() == ["1"]
    stream.close()


async def test_a_coded_body_that_ends_early_is_no_fault_for_good() -> None:
    stream = Stream("gzip")
    stream.receive(gzip.compress(b"data: 1\n\n")[:-4])
    stream.body.body_ended(None)
    error = await stream.end()
    assert isinstance(error, RemoteProtocolError)
    assert not stream.body.is_fatal
    stream.close()


async def test_an_event_that_is_too_big_is_fatal_behind_those_before_it() -> None:
    stream = Stream(limits=Limits(max_event_size=10))
    stream.receive(b"data: 1\n\ndata: 12345678901\n\ndata: 3\n\n")
    error = await stream.end()
    assert isinstance(error, EventTooBig)
    assert stream.body.is_fatal
    assert stream.response.is_aborted
    assert await stream.taken() == ["1"]
    stream.receive(b"data: 4\n\n")
    assert await stream.taken() == []
    stream.close()


DONE = b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\ndata: [DONE]\n\ndata: late\n\n"


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ("[DONE]", ["1", "2"]),
        ("b", ["1", "2"]),
        ("a", ["1"]),
        (lambda event: event.data == "2", ["1", "2"]),
        (lambda event: event.data == "[DONE]", ["1", "2", "[DONE]"]),
    ],
)
async def test_what_completes_a_stream_is_its_last_event_unless_it_says_only_that(done: Any, expected: Any) -> None:
    for pieces in ways(DONE):
        stream = Stream(signs=Signs(done=done))
        stream.receive(*pieces)
        assert await stream.end() is None
        assert stream.body.is_done
        assert stream.response.is_aborted
        assert await stream.taken() == expected
        stream.close()


async def test_silence_is_noticed() -> None:
    stream = Stream(limits=Limits(liveness_timeout=5.0, progress_timeout=100.0))
    stream.pass_time(4.9)
    assert not stream.response.is_aborted
    stream.pass_time(5.1)
    error = await stream.end()
    assert isinstance(error, StreamStalled)
    assert (error.what, error.seconds) == ("byte", 5.0)
    assert stream.response.is_aborted
    assert not stream.body.is_fatal
    stream.close()


@pytest.mark.parametrize("sign", [b":comment\n\n", b"event: ping\ndata: {}\n\n", b"retry: 10\n\n", b"id: 7\n\n"])
async def test_signs_of_life_are_no_progress(sign: bytes) -> None:
    stream = Stream(limits=Limits(liveness_timeout=5.0, progress_timeout=12.0), signs=Signs(pings=frozenset({"ping"})))
    for _ in range(2):
        stream.receive(sign)
        stream.pass_time(4.0)
    stream.receive(sign)
    assert not stream.response.is_aborted
    stream.pass_time(4.0)
    error = await stream.end()
    assert isinstance(error, StreamStalled)
    assert (error.what, error.seconds) == ("event", 12.0)
    stream.close()


async def test_events_are_progress() -> None:
    stream = Stream(limits=Limits(liveness_timeout=5.0, progress_timeout=5.0, max_queue=100))
    for _ in range(3):
        stream.receive(b"data: x\n\n")
        stream.pass_time(4.9)
    assert not stream.response.is_aborted
    stream.close()


async def test_a_program_that_is_late_is_not_charged_to_the_server() -> None:
    stream = Stream(limits=Limits(liveness_timeout=5.0, progress_timeout=5.0, max_queue=1))
    stream.receive(b"data: x\n\n")
    assert not stream.response.reading
    stream.pass_time(1000.0)
    assert not stream.response.is_aborted
    await stream.taken()
    assert stream.response.reading
    stream.pass_time(4.9)
    assert not stream.response.is_aborted
    stream.close()


async def test_time_outs_can_be_switched_off() -> None:
    stream = Stream(limits=Limits(liveness_timeout=None, progress_timeout=None))
    stream.pass_time(1e9)
    assert not stream.response.is_aborted
    stream.close()


async def test_what_comes_after_the_close_is_dropped() -> None:
    stream = Stream()
    stream.body.close()
    stream.receive(b"data: 1\n\n")
    stream.body.body_ended(None)
    assert stream.response.is_aborted
    assert await stream.end() is None
    assert await stream.taken() == []
    stream.pass_time(1000.0)
    stream.close()


async def test_a_program_may_close_from_within_its_event() -> None:
    stream = Stream()

    async def take() -> Event:
        event = await stream.feed.receive()
        stream.body.close()
        return event

    task = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(stream.receive, b"data: 1\n\ndata: 2\n\n")
    assert (await task).data == "1"
    assert stream.response.is_aborted
    stream.close()
