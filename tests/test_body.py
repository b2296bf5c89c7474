"""Tests of elio.body."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from elio.body import EMPTY_BODY, Body
from elio.causes import RequestTimeout
from elio.errors import ClientDisconnected, ConcurrencyError, HTTPError, LocalProtocolError


class Feeder:
    """A body and the record of what it asked its connection for."""

    def __init__(self, *, size: int | None = None, buffer_size: int = 4, timeout: float | None = None) -> None:
        self.asked: list[str] = []
        self.body = Body(
            size=size,
            buffer_size=buffer_size,
            timeout=timeout,
            pause=lambda: self.asked.append("pause"),
            resume=lambda: self.asked.append("resume"),
            on_first_read=lambda: self.asked.append("first read"),
        )


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task[bytes]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def collect(body: Body) -> list[bytes]:
    return [data async for data in body.stream()]


# -- reading the whole ------------------------------------------------------------------------------------------------


async def test_read_waits_for_the_end() -> None:
    body = Feeder().body
    task = asyncio.create_task(body.read())
    for data in (b"ab", b"c"):
        await settle()
        body.feed(data)
    await settle()
    assert not task.done()
    body.feed_eof()
    assert await task == b"abc"


async def test_reading_twice_gives_the_same_bytes() -> None:
    body = Feeder().body
    body.feed(b"abc")
    body.feed_eof()
    first = await body.read()
    assert first == b"abc"
    assert await body.read() is first


async def test_read_wants_it_all_and_so_lifts_the_pause() -> None:
    feeder = Feeder(buffer_size=4)
    feeder.body.feed(b"12345")
    assert feeder.asked == ["pause"]
    task = asyncio.create_task(feeder.body.read())
    await settle()
    feeder.body.feed(b"6" * 100)
    feeder.body.feed_eof()
    assert len(await task) == 105
    assert feeder.asked == ["pause", "resume"]


async def test_a_cancelled_read_loses_nothing() -> None:
    feeder = Feeder(buffer_size=4)
    task = asyncio.create_task(feeder.body.read())
    await settle()
    feeder.body.feed(b"12345")
    await settle()
    await cancel(task)
    assert feeder.asked == ["first read", "pause"]
    feeder.body.feed(b"6")
    feeder.body.feed_eof()
    assert await feeder.body.read() == b"123456"


@pytest.mark.parametrize(("size", "limit", "fits"), [(5, 5, True), (5, 4, False), (0, 0, True), (1, 0, False)])
async def test_the_limit_of_a_reader_holds_for_what_is_here(size: int, limit: int, fits: bool) -> None:
    body = Body.from_bytes(b"x" * size)
    if fits:
        assert len(await body.read(limit)) == size
        return
    with pytest.raises(HTTPError, match=f"^413 request body of {size} bytes, limit {limit}$"):
        await body.read(limit)
    assert len(await body.read()) == size


async def test_the_limit_of_a_reader_holds_for_what_was_announced() -> None:
    feeder = Feeder(size=1000)
    with pytest.raises(HTTPError, match=r"^413 request body of 1000 bytes, limit 999$"):
        await feeder.body.read(999)
    assert feeder.asked == []


async def test_the_limit_of_a_reader_holds_while_it_arrives() -> None:
    body = Feeder().body
    task = asyncio.create_task(body.read(3))
    await settle()
    body.feed(b"123")
    await settle()
    assert not task.done()
    body.feed(b"4")
    with pytest.raises(HTTPError, match=r"^413 request body of 4 bytes, limit 3$"):
        await task


# -- streaming --------------------------------------------------------------------------------------------------------


async def test_a_stream_gives_the_parts_as_they_come() -> None:
    body = Feeder().body
    stream = body.stream()
    body.feed(b"ab")
    assert await anext(stream) == b"ab"
    task = asyncio.ensure_future(anext(stream))
    await settle()
    body.feed(b"c")
    body.feed(b"d")
    assert await task == b"cd"
    body.feed_eof()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_body_is_an_iterable_itself() -> None:
    body = Feeder().body
    body.feed(b"ab")
    body.feed_eof()
    assert [data async for data in body] == [b"ab"]
    stream = body.stream()
    assert aiter(stream) is stream


@pytest.mark.parametrize(("data", "parts"), [(b"abc", [b"abc"]), (b"", [])])
async def test_a_stream_after_read_gives_the_whole_every_time(data: bytes, parts: list[bytes]) -> None:
    body = Body.from_bytes(data)
    assert await body.read() == data
    assert await collect(body) == parts
    assert await collect(body) == parts


async def test_a_stream_can_be_left_and_another_goes_on() -> None:
    body = Feeder().body
    body.feed(b"a")
    async for data in body.stream():
        assert data == b"a"
        break
    body.feed(b"b")
    body.feed_eof()
    assert await collect(body) == [b"b"]


async def test_a_cancelled_part_is_not_lost() -> None:
    body = Feeder().body
    task = asyncio.ensure_future(anext(body.stream()))
    await settle()
    body.feed(b"a")
    await cancel(task)
    body.feed_eof()
    assert await collect(body) == [b"a"]


async def test_streaming_takes_the_pause_away_each_time() -> None:
    feeder = Feeder(buffer_size=4)
    stream = feeder.body.stream()
    feeder.body.feed(b"1234")
    assert feeder.asked == []
    feeder.body.feed(b"5")
    feeder.body.feed(b"6")
    assert feeder.asked == ["pause"]
    assert await anext(stream) == b"123456"
    feeder.body.feed(b"12345")
    assert await anext(stream) == b"12345"
    assert feeder.asked == ["pause", "resume", "pause", "resume"]


async def test_what_was_streamed_cannot_be_read_as_a_whole() -> None:
    body = Feeder().body
    body.feed(b"a")
    await anext(body.stream())
    with pytest.raises(LocalProtocolError, match="streamed already"):
        await body.read()


async def test_an_empty_body_can_be_streamed_then_read() -> None:
    body = Feeder().body
    body.feed_eof()
    assert await collect(body) == []
    assert await body.read() == b""


# -- 100 Continue -----------------------------------------------------------------------------------------------------


async def test_the_first_read_is_told_once() -> None:
    feeder = Feeder()
    task = asyncio.create_task(feeder.body.read())
    await settle()
    assert feeder.asked == ["first read"]
    feeder.body.feed(b"a")
    await settle()
    feeder.body.feed_eof()
    await task
    assert feeder.asked == ["first read"]


async def test_the_first_read_is_not_told_when_the_client_did_not_wait() -> None:
    feeder = Feeder()
    feeder.body.feed(b"a")
    stream = feeder.body.stream()
    await anext(stream)
    task = asyncio.ensure_future(anext(stream))
    await settle()
    feeder.body.feed(b"b")
    await task
    assert feeder.asked == []


async def test_draining_does_not_ask_for_the_body() -> None:
    feeder = Feeder()
    task = asyncio.create_task(feeder.body.drain(10))
    await settle()
    feeder.body.feed_eof()
    assert await task
    assert feeder.asked == []


async def test_it_is_full_between_pause_and_resume() -> None:
    seen: list[bool] = []
    body = Body(buffer_size=4, pause=lambda: seen.append(body.is_full), resume=lambda: seen.append(body.is_full))
    body.feed(b"1234")
    assert not body.is_full
    body.feed(b"5")
    assert body.is_full
    await anext(body.stream())
    assert not body.is_full
    assert seen == [True, False]


async def test_a_body_without_callbacks_works() -> None:
    body = Body(buffer_size=1, timeout=None)
    task = asyncio.ensure_future(anext(body.stream()))
    await settle()
    body.feed(b"abc")
    assert await task == b"abc"


async def test_a_body_that_can_pause_but_not_resume_works() -> None:
    asked: list[str] = []
    body = Body(buffer_size=1, pause=lambda: asked.append("pause"))
    body.feed(b"ab")
    assert await anext(body.stream()) == b"ab"
    assert asked == ["pause"]


# -- how it goes wrong ------------------------------------------------------------------------------------------------


async def test_a_failure_comes_after_what_had_arrived() -> None:
    body = Feeder().body
    body.feed(b"abc")
    body.fail(ClientDisconnected(body.received))
    stream = body.stream()
    assert await anext(stream) == b"abc"
    for _ in range(2):
        with pytest.raises(ClientDisconnected, match=r"^client disconnected after 3 bytes of the request body$"):
            await anext(stream)


async def test_a_failure_wakes_a_reader() -> None:
    body = Feeder().body
    task = asyncio.create_task(body.read())
    await settle()
    body.fail(HTTPError(413, "too much"))
    with pytest.raises(HTTPError, match="413 too much"):
        await task
    with pytest.raises(HTTPError, match="413 too much"):
        await body.read()


async def test_the_first_failure_counts_and_none_after_the_end() -> None:
    body = Feeder().body
    body.fail(ClientDisconnected(0))
    body.fail(HTTPError(413))
    with pytest.raises(ClientDisconnected):
        await body.read()
    complete = Body.from_bytes(b"a")
    complete.fail(HTTPError(413))
    assert await complete.read() == b"a"


async def test_a_paused_feeder_is_resumed_at_the_end_and_at_a_failure() -> None:
    for end in (Body.feed_eof, lambda body: body.fail(ClientDisconnected(5))):
        feeder = Feeder(buffer_size=4)
        feeder.body.feed(b"12345")
        end(feeder.body)
        assert feeder.asked == ["pause", "resume"]


@pytest.mark.parametrize("kind", ["read", "stream"])
async def test_silence_for_too_long_is_408(kind: str) -> None:
    body = Feeder(timeout=0.01).body
    body.feed(b"a")
    stream = body.stream()
    if kind == "stream":
        await anext(stream)
    for _ in range(3):  # what comes later does not mend it: the connection ends with it
        with pytest.raises(HTTPError, match=r"^408 the body of the request paused for 0\.01 s$") as caught:
            await (body.read() if kind == "read" else anext(stream))
        assert caught.value.status == 408
        body.feed(b"late")
        body.feed_eof()
    assert not body.is_complete
    assert f"{1 if kind == 'read' else 0} waiting" in repr(body)


@pytest.mark.parametrize("what", ["data", "end", "failure"])
async def test_what_came_while_the_loop_was_blocked_came_in_time(what: str) -> None:
    loop = asyncio.get_running_loop()
    body = Body(timeout=0.05)
    begin = {"data": lambda: body.feed(b"x"), "end": body.feed_eof, "failure": lambda: body.fail(HTTPError(400, "x"))}
    reading = asyncio.create_task(anext(body.stream(), b"end"))
    await asyncio.sleep(0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        loop.add_reader(ours, lambda: (ours.recv(1), begin[what]()))
        theirs.send(b"x")
        time.sleep(0.1)  # noqa: ASYNC251
        done, _ = await asyncio.wait([reading], timeout=30)
        loop.remove_reader(ours)
    (task,) = done
    if what == "failure":
        with pytest.raises(HTTPError, match=r"^400"):
            await task
    else:
        assert await task == {"data": b"x", "end": b"end"}[what]


async def test_whoever_asked_is_told_of_the_silence() -> None:
    causes: list[RequestTimeout] = []
    body = Body(timeout=0.01, on_silence=causes.append)
    with pytest.raises(HTTPError):
        await body.read()
    assert causes == [RequestTimeout("body_timeout", 0.01)]


@pytest.mark.parametrize(("first", "second"), [("read", "read"), ("read", "next"), ("next", "read"), ("next", "next")])
async def test_two_readers_at_once_are_refused(first: str, second: str) -> None:
    body = Feeder().body

    async def use(kind: str) -> bytes:
        return await (body.read() if kind == "read" else anext(body.stream()))

    task = asyncio.create_task(use(first))
    await settle()
    for _ in range(2):
        with pytest.raises(ConcurrencyError, match="two tasks read one request body at the same time"):
            await use(second)
        body.feed(b"a")
    body.feed_eof()
    assert await task == b"aa"


# -- throwing it away -------------------------------------------------------------------------------------------------


async def test_a_discarded_body_takes_no_room_and_cannot_be_read() -> None:
    feeder = Feeder(buffer_size=4)
    feeder.body.feed(b"12345")
    feeder.body.discard()
    feeder.body.feed(b"6" * 100)
    assert feeder.asked == ["pause", "resume"]
    assert repr(feeder.body) == "<Body arriving, 105 bytes received, 0 waiting>"
    with pytest.raises(LocalProtocolError, match="discarded already"):
        await feeder.body.read()
    with pytest.raises(LocalProtocolError, match="discarded already"):
        await anext(feeder.body.stream())


@pytest.mark.parametrize("kind", ["read", "stream"])
async def test_a_reader_is_told_when_its_body_is_discarded(kind: str) -> None:
    body = Feeder().body
    task = asyncio.create_task(body.read()) if kind == "read" else asyncio.ensure_future(anext(body.stream()))
    await settle()
    body.discard()
    body.feed(b"a")
    body.feed_eof()
    with pytest.raises(LocalProtocolError, match="discarded already"):
        await task


async def test_discarding_what_was_read_changes_nothing() -> None:
    body = Body.from_bytes(b"abc")
    body.discard()
    assert await body.read() == b"abc"
    assert await body.drain(0)


async def test_the_shared_empty_body_stays_as_it_is() -> None:
    EMPTY_BODY.discard()
    EMPTY_BODY.fail(ClientDisconnected(0))
    assert await EMPTY_BODY.drain(0)
    assert await EMPTY_BODY.read() == b""
    assert await collect(EMPTY_BODY) == []
    assert EMPTY_BODY.is_complete


@pytest.mark.parametrize(("rest", "kept"), [(10, True), (11, False)])
async def test_draining_costs_no_more_than_its_limit(rest: int, kept: bool) -> None:
    body = Feeder().body
    body.feed(b"12345")
    task = asyncio.create_task(body.drain(10))
    await settle()
    for _ in range(rest):
        body.feed(b"x")
        await settle()
    body.feed_eof()
    assert await task is kept


async def test_draining_ends_with_the_client() -> None:
    body = Feeder().body
    task = asyncio.create_task(body.drain(10))
    await settle()
    body.fail(ClientDisconnected(0))
    assert not await task


async def test_draining_ends_in_silence() -> None:
    assert not await Feeder(timeout=0.01).body.drain(10)


# -- facts ------------------------------------------------------------------------------------------------------------


def test_size_is_what_was_announced_then_what_came() -> None:
    body = Body()
    assert (body.size, body.received, body.is_complete) == (None, 0, False)
    body.feed(b"abc")
    assert (body.size, body.received, body.is_complete) == (None, 3, False)
    body.feed_eof()
    assert (body.size, body.received, body.is_complete) == (3, 3, True)
    assert Body(size=7).size == 7


def test_repr_shows_the_state() -> None:
    body = Body()
    body.feed(b"abc")
    assert repr(body) == "<Body arriving, 3 bytes received, 3 waiting>"
    body.fail(ClientDisconnected(3))
    assert repr(body) == "<Body failed, 3 bytes received, 3 waiting>"
    assert repr(Body.from_bytes(b"a")) == "<Body complete, 1 bytes received, 0 waiting>"
