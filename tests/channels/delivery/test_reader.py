"""The way of a subscriber to where the live ones are. All of it together: ``tests/channels/test_subscription.py``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

import pytest

from elio.channels.backend import GapReason, History, Position
from elio.channels.cursor import Cursor
from elio.channels.delivery import reader as module
from elio.channels.delivery.hub import Hub
from elio.channels.delivery.reader import Reader
from elio.channels.engines.memory import MemoryBackend
from elio.channels.message import Gap, Message
from support.deliveries import hub_over, publish
from support.lagging import LaggingBackend


async def reader_at(hub: Hub, *patterns: str, **offsets: int) -> Reader:
    feed = await hub.acquire(patterns)
    epoch = next(iter(feed.positions.values())).epoch
    reader = hub.reader(feed, {name: Position(epoch, offset) for name, offset in offsets.items()})
    feed.follow(reader)
    return reader


async def read_all(reader: Reader) -> list[str]:
    found = []
    while items := await reader.read():
        for item in items:
            found.append(str(item.data) if isinstance(item, Message) else f"{item.channel} {item.reason}")
    return found


async def test_it_reads_what_the_hub_has_without_asking_the_engine() -> None:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await hub.acquire(("a",))
        await publish(hub, "a", "1", "2", "3")
        await backend.settle()
        reader = await reader_at(hub, "a", a=1)
        assert await read_all(reader) == ["2", "3"]
        assert backend.reads == 0


async def test_it_reads_pages_of_history_while_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 3)
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a", *map(str, range(20)))
        reader = await reader_at(hub, "a", a=0)
        publishing = asyncio.ensure_future(publish(hub, "a", *map(str, range(20, 40))))
        found = await read_all(reader)
        await publishing
        await backend.settle()
        found += await read_all(reader)
        assert found == [str(number) for number in range(40)]


async def test_a_position_that_was_seen_elsewhere_first_is_waited_for() -> None:
    backend = LaggingBackend(random.Random(3), most=9)
    async with hub_over(backend) as hub:
        feed = await hub.acquire(("a",))
        sent: list[object] = []
        backend._deliver = sent.append  # type: ignore[method-assign]
        await publish(hub, "a", "1", "2")
        reader = hub.reader(feed, {"a": Position(feed.positions["a"].epoch, 2)})
        reading = asyncio.ensure_future(reader.read())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not reading.done()
        hub.records(sent)  # type: ignore[arg-type]
        assert await reading == []


async def test_an_engine_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", (0.0, 0.0))
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a", "1")
        reader = await reader_at(hub, "a", a=0)
        backend.failing = 3
        assert await read_all(reader) == ["1"]
        assert backend.reads == 4


async def test_cancelling_it_loses_nothing() -> None:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a", *"12345")
        reader = await reader_at(hub, "a", a=0)
        found = []
        for turns in range(6):
            reading = asyncio.ensure_future(reader.read())
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            found += [] if reading.cancelled() else [item.data for item in reading.result()]  # type: ignore[union-attr]
        assert found + await read_all(reader) == list("12345")


async def test_an_engine_that_lost_its_memory_meanwhile() -> None:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a.1", "1", "2")
        reader = await reader_at(hub, "a.*", **{"a.1": 0, "a.*": 0})
        backend.forget_everything()
        await publish(hub, "a.1", "new")
        await publish(hub, "a.2", "other")
        await backend.settle()
        assert await read_all(reader) == ["a.* epoch", "a.1 epoch", "new", "other"]


async def test_an_old_cursor_of_a_pattern_is_a_gap_and_all_there_is() -> None:
    async with hub_over(MemoryBackend()) as hub:
        await publish(hub, "a.1", "1")
        reader = await reader_at(hub, "a.*")
        reader.begin(Cursor({"a.*": Position("other", 0), "a.1": Position("other", 7)}))
        assert await read_all(reader) == ["a.* epoch", "1"]


async def test_what_a_cursor_names_and_nobody_knows_any_more_is_a_gap() -> None:
    async with hub_over(MemoryBackend()) as hub:
        reader = await reader_at(hub, "a.*")
        epoch = (await hub.acquire(("a.*",))).positions["a.*"].epoch
        named = {"a.*": Position(epoch, 0), "a.1": Position(epoch, 7), "b": Position(epoch, 1)}
        reader.begin(Cursor(named))
        assert await read_all(reader) == ["a.1 history"]
        assert "~" not in reader.cursor()


async def test_a_short_cursor_of_a_pattern_is_a_gap_for_what_it_does_not_name() -> None:
    async with hub_over(MemoryBackend()) as hub:
        await publish(hub, "a.1", "1")
        await publish(hub, "a.2", "2")
        reader = await reader_at(hub, "a.*")
        epoch = (await hub.acquire(("a.*",))).positions["a.*"].epoch
        reader.begin(Cursor({"a.*": Position(epoch, 0), "a.1": Position(epoch, 0)}, is_whole=False))
        assert sorted(await read_all(reader)) == ["1", "a.2 cursor"]


async def test_a_new_channel_of_which_history_lost_the_beginning_is_a_gap() -> None:
    async with hub_over(MemoryBackend(history=2)) as hub:
        reader = await reader_at(hub, "a.*")
        epoch = (await hub.acquire(("a.*",))).positions["a.*"].epoch
        feed = await hub.acquire(("a.*",))
        feed.unfollow(reader)
        await publish(hub, "a.1", *"123")
        reader.begin(Cursor({"a.*": Position(epoch, 0)}))
        assert await read_all(reader) == ["a.1 history", "2", "3"]


async def test_the_newest_of_each_channel() -> None:
    async with hub_over(MemoryBackend()) as hub:
        await publish(hub, "a.1", *"123")
        await publish(hub, "a.2", *"4")
        reader = await reader_at(hub, "a.*", "b")
        await reader.begin_with_newest(2)
        assert sorted(await read_all(reader)) == ["2", "3", "4"]


async def test_gaps_have_cursors_and_numbers() -> None:
    async with hub_over(MemoryBackend(history=2)) as hub:
        await publish(hub, "a", *"12345")
        reader = await reader_at(hub, "a", a=1)
        gap, *rest = await reader.read()
        assert (gap.reason, gap.missed) == (GapReason.HISTORY, 2)  # type: ignore[union-attr]
        assert gap.id.startswith("a!3!")
        assert len(rest) == 2
        reader.end()
        assert reader.is_ended
        assert await reader.read() == []


async def test_its_lag_are_the_messages_that_it_has_not_read() -> None:
    async with hub_over(MemoryBackend()) as hub:
        reader = await reader_at(hub, "a", "b", a=0, b=0)
        assert reader.lag == 0
        await publish(hub, "a", "1", "2")
        await publish(hub, "b", "3")
        assert reader.lag == 3
        await reader.read()
        assert 0 < reader.lag < 3
        await read_all(reader)
        assert reader.lag == 0


async def test_the_newest_that_the_hub_has_are_not_asked_for() -> None:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await hub.acquire(("a",))
        await publish(hub, "a", *"12345")
        await backend.settle()
        for count, found in ((2, ["4", "5"]), (5, list("12345"))):
            reader = await reader_at(hub, "a")
            await reader.begin_with_newest(count)
            assert await read_all(reader) == found
        assert backend.reads == 0
        reader = await reader_at(hub, "a")
        await reader.begin_with_newest(6)
        assert await read_all(reader) == list("12345")
        assert backend.reads == 1


async def test_an_answer_from_before_the_engine_lost_its_memory_is_not_believed() -> None:
    """It would be waited for what never comes."""
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a", *"123")
        reader = await reader_at(hub, "a", a=1)
        read = backend.history
        backend.history = lambda *arguments: held(read(*arguments))  # type: ignore[method-assign, assignment]
        go_on, answered = asyncio.Event(), asyncio.Event()

        async def held(answer: Awaitable[History]) -> History:
            history = await answer
            answered.set()
            await go_on.wait()
            return history

        reading = asyncio.ensure_future(reader.read())
        await answered.wait()
        backend.forget_everything()
        go_on.set()
        async with asyncio.timeout(10.0):
            (gap,) = await reading
        assert isinstance(gap, Gap)
        assert gap.reason is GapReason.EPOCH
