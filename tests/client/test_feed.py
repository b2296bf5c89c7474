"""The queue of an event source, without a response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from elio.client.feed import EventFeed
from elio.errors import ConcurrencyError, EventTooBig, StreamClosed
from elio.limits import Limits
from elio.net.runtime import Runtime
from elio.sse.event import Event


@pytest.fixture
async def feed() -> AsyncIterator[EventFeed]:
    runtime = Runtime(asyncio.get_running_loop(), Limits(max_queue=4))
    yield EventFeed(runtime)
    runtime.close()


def events(*texts: str) -> list[Event]:
    return [Event(text, type="message", id="") for text in texts]


async def put_from_loop(feed: EventFeed, *texts: str) -> None:
    """As a read of the socket does it: with no task current."""
    done = asyncio.get_running_loop().create_future()

    def put() -> None:
        feed.put(events(*texts))
        done.set_result(None)

    asyncio.get_running_loop().call_soon(put)
    await done


async def test_events_come_out_in_order_however_they_went_in(feed: EventFeed) -> None:
    feed.put(events("1", "2", "3"))
    assert (await feed.receive()).data == "1"
    feed.put(events("4"))
    feed.put(events("5", "6"))
    assert [(await feed.receive()).data for _ in range(5)] == ["2", "3", "4", "5", "6"]


async def test_a_waiting_task_takes_the_whole_read_inside_the_call_that_brings_it(feed: EventFeed) -> None:
    taken: list[str] = []

    async def take() -> None:
        async for event in feed:
            taken.append(event.data)

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    seen: list[list[str]] = []

    def put() -> None:
        feed.put(events("1", "2", "3"))
        seen.append(list(taken))

    asyncio.get_running_loop().call_soon(put)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == [["1", "2", "3"]]
    feed.end(None)
    await task


async def test_a_task_that_puts_does_not_enter_the_one_that_waits(feed: EventFeed) -> None:
    task = asyncio.ensure_future(feed.receive())
    await asyncio.sleep(0)
    feed.put(events("1"))
    assert not task.done()
    assert (await task).data == "1"


async def test_a_cancelled_receive_loses_nothing(feed: EventFeed) -> None:
    for put_first in (False, True):
        task = asyncio.ensure_future(feed.receive())
        await asyncio.sleep(0)
        if put_first:
            feed.put(events("1", "2"))
            task.cancel()
        else:
            task.cancel()
            feed.put(events("1", "2"))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [(await feed.receive()).data for _ in range(2)] == ["1", "2"]


async def test_a_receive_that_times_out_leaves_the_feed_usable(feed: EventFeed) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(feed.receive(), 0.001)
    await put_from_loop(feed, "1")
    assert (await feed.receive()).data == "1"


async def test_only_one_task_receives(feed: EventFeed) -> None:
    task = asyncio.ensure_future(feed.receive())
    await asyncio.sleep(0)
    with pytest.raises(ConcurrencyError, match="another task is receiving"):
        await feed.receive()
    await put_from_loop(feed, "1")
    assert (await task).data == "1"


async def test_the_end_comes_behind_every_event(feed: EventFeed) -> None:
    feed.put(events("1"))
    feed.end(None)
    feed.end(EventTooBig(size=2, limit=1))
    assert [event.data async for event in feed] == ["1"]
    with pytest.raises(StreamClosed, match="the event stream has ended"):
        await feed.receive()


async def test_an_error_comes_behind_every_event_and_stays(feed: EventFeed) -> None:
    feed.put(events("1"))
    feed.end(EventTooBig(size=2, limit=1))
    assert (await feed.receive()).data == "1"
    for _ in range(2):
        with pytest.raises(EventTooBig):
            await feed.receive()
        with pytest.raises(EventTooBig):
            await anext(feed)


async def test_the_end_wakes_the_task_that_waits(feed: EventFeed) -> None:
    task = asyncio.ensure_future(feed.receive())
    await asyncio.sleep(0)
    feed.end(None)
    with pytest.raises(StreamClosed):
        await task


async def test_it_says_once_when_there_is_room_again(feed: EventFeed) -> None:
    told: list[int] = []
    feed.put(events("1", "2", "3", "4", "5"))
    assert feed.is_full
    feed.when_room(lambda: told.append(1))
    await feed.receive()
    assert told == []
    await feed.receive()
    assert told == [1]
    assert not feed.is_full
    await feed.receive()
    assert told == [1]
