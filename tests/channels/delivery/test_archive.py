"""One reading of history for all who come back together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from elio.channels.backend import Position
from elio.channels.delivery import archive as module
from elio.channels.delivery.archive import Archive, Page
from elio.channels.delivery.hub import Hub
from elio.errors import ChannelError
from support.deliveries import hub_over, publish
from support.lagging import LaggingBackend


class Place:
    """An archive over an engine that has 100 records of a channel."""

    def __init__(self, hub: Hub, backend: LaggingBackend, epoch: str) -> None:
        self.hub = hub
        self.backend = backend
        self.archive = Archive(backend, hub.spawn)
        self.epoch = epoch

    def at(self, offset: int) -> Position:
        return Position(self.epoch, offset)

    async def read(self, after: int, limit: int = 10, until: int = 100) -> Page:
        return await self.archive.read("a", self.at(after), self.at(until), limit)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    backend = LaggingBackend(random.Random(1))
    async with hub_over(backend) as hub:
        await publish(hub, "a", *map(str, range(1, 101)))
        yield Place(hub, backend, backend.position("a").epoch)


def texts(page: Page) -> list[str]:
    return [str(entry.envelope.data) for entry in page.entries]


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


async def test_what_was_read_is_not_read_again(place: Place) -> None:
    assert texts(await place.read(20)) == numbers(21, 30)
    page = await place.read(24)
    assert texts(page) == numbers(25, 30)
    assert page.is_complete
    assert place.backend.reads == 1
    assert texts(await place.read(30)) == numbers(31, 40)
    assert texts(await place.read(24)) == numbers(25, 34)
    assert place.backend.reads == 2
    assert texts(await place.read(10)) == numbers(11, 20)
    assert texts(await place.read(15, limit=50)) == numbers(16, 40)
    assert place.backend.reads == 3


async def test_it_is_given_as_far_as_the_channel_is(place: Place) -> None:
    await place.read(20)
    assert texts(await place.read(24, until=26)) == numbers(25, 26)
    await place.read(24, until=24)
    assert place.backend.reads == 2


async def test_another_memory_is_not_asked_for_what_is_kept(place: Place) -> None:
    await place.read(20)
    other = Position("other", 100)
    page = await place.archive.read("a", place.at(20), other, 10)
    assert place.backend.reads == 2
    assert texts(page) == numbers(21, 30)
    assert not (await place.archive.read("a", Position("other", 20), other, 10)).is_complete


async def test_many_at_once_ask_once(place: Place) -> None:
    pages = await asyncio.gather(*(place.read(after) for after in (40, 40, 43, 49, 40)))
    assert [texts(page)[0] for page in pages] == ["41", "41", "44", "50", "41"]
    assert place.backend.reads == 1


async def test_who_is_beyond_what_another_reads_asks_then(place: Place) -> None:
    pages = await asyncio.gather(*(place.read(after) for after in (40, 60)))
    assert [texts(page) for page in pages] == [numbers(41, 50), numbers(61, 70)]
    assert place.backend.reads == 2


async def test_who_goes_away_takes_nothing_from_the_others(place: Place) -> None:
    reading = [asyncio.ensure_future(place.read(40)) for _ in range(3)]
    await asyncio.sleep(0)
    reading[0].cancel()
    assert texts(await reading[1]) == texts(await reading[2]) == numbers(41, 50)
    assert reading[0].cancelled()
    assert place.backend.reads == 1


async def test_all_who_wait_hear_that_the_engine_does_not_answer(place: Place) -> None:
    place.backend.failing = 1
    found = await asyncio.gather(*(place.read(40) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [ChannelError] * 3
    assert texts(await place.read(40)) == numbers(41, 50)


async def test_the_newest_serve_who_reads_on_from_there(place: Place) -> None:
    pages = await asyncio.gather(*(place.archive.newest("a", 20) for _ in range(3)))
    assert [texts(page) for page in pages] == [numbers(81, 100)] * 3
    assert not pages[0].is_complete
    assert texts(await place.read(80, limit=50)) == numbers(81, 100)
    assert place.backend.reads == 1


async def test_history_that_does_not_reach_back_says_so_each_time() -> None:
    backend = LaggingBackend(random.Random(1), history=50)
    async with hub_over(backend) as hub:
        await publish(hub, "a", *map(str, range(1, 101)))
        place = Place(hub, backend, backend.position("a").epoch)
        for _ in range(2):
            page = await place.read(20)
            assert not page.is_complete
            assert texts(page) == numbers(51, 60)
        assert texts(await place.read(50)) == numbers(51, 60)
        assert backend.reads == 2


async def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setattr(module, "_MAX_RUN", 40 * 332)
    monkeypatch.setattr(module, "_MAX_SIZE", 60 * 332)
    for after in range(0, 100, 10):
        await place.read(after)
    assert place.archive.size <= 40 * 332 + 40
    reads = place.backend.reads
    assert texts(await place.read(70)) == numbers(71, 80)
    assert place.backend.reads == reads
    assert texts(await place.read(10)) == numbers(11, 20)
    assert place.backend.reads == reads + 1

    await publish(place.hub, "b", *map(str, range(1, 101)))
    for channel in "ab":
        await place.archive.read(channel, place.at(0), place.at(100), 40)
    assert place.archive.size <= 60 * 332
    place.archive.forget("a")
    place.archive.forget("b")
    assert place.archive.size == 0


@pytest.mark.parametrize("seed", range(20))
async def test_any_order_of_readers_gives_each_what_is_there(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(module, "_MAX_RUN", 30 * 332)
    source = random.Random(seed)
    backend = LaggingBackend(source)
    async with hub_over(backend) as hub:
        await publish(hub, "a", *map(str, range(1, 101)))
        place = Place(hub, backend, backend.position("a").epoch)

        async def follow(start: int) -> Sequence[str]:
            found: list[str] = []
            while start + len(found) < 100:
                found += texts(await place.read(start + len(found), limit=source.randint(1, 20)))
            return found

        starts = [source.randrange(100) for _ in range(20)]
        for start, found in zip(starts, await asyncio.gather(*map(follow, starts)), strict=True):
            assert found == numbers(start + 1, 100)
