"""Identities that expire while their connection is open, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from elio import HTTPError, Identity, Limits
from elio.auth.watch import Watch
from elio.net.runtime import Runtime
from elio.net.timer import RESOLUTION
from support.clock import FakeLoop


class Loop(FakeLoop):
    """Its tasks are those of the running loop."""

    def create_task(self, coroutine: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(coroutine)


class Place:
    """A connection on paper, whose wall clock goes with its loop's."""

    def __init__(self) -> None:
        self.loop: Any = Loop()
        self.runtime = Runtime(self.loop, Limits())
        self.ends = 0
        self.asked: list[Identity] = []
        self.answer: Any = None

    def watch(self, seconds: float | None, *, renews: bool = False) -> Watch:
        return Watch(self.identity(seconds, renews=renews), self.runtime, self.end)

    def identity(self, seconds: float | None, *, renews: bool = False) -> Identity:
        expires = None if seconds is None else self.loop.now + seconds
        return Identity("ada", expires, self.renew if renews else None)

    def end(self) -> None:
        self.ends += 1

    async def renew(self, identity: Identity) -> Identity | None:
        self.asked.append(identity)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    async def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place()
    monkeypatch.setattr(time, "time", place.loop.time)
    yield place
    place.runtime.close()


async def test_the_end_comes_at_the_end_and_once(place: Place) -> None:
    place.watch(60.0)
    await place.advance(59.9)
    assert place.ends == 0
    await place.advance(0.1 + 2 * RESOLUTION)
    assert place.ends == 1
    await place.advance(1000.0)
    assert place.ends == 1


async def test_an_identity_without_an_end_is_never_over(place: Place) -> None:
    place.watch(None)
    await place.advance(10**6)
    assert place.ends == 0
    assert place.loop.pending == 0


async def test_nothing_happens_behind_the_end_of_the_connection(place: Place) -> None:
    watch = place.watch(60.0, renews=True)
    watch.stop()
    watch.renew(place.identity(10.0))
    await place.advance(1000.0)
    assert (place.ends, place.asked, place.loop.pending) == (0, [], 0)


async def test_an_end_beyond_any_timer_is_waited_for(place: Place) -> None:
    watch = place.watch(float("inf"))
    await place.advance(200_000.0)
    assert place.ends == 0
    watch.renew(place.identity(200_000.0))
    await place.advance(200_001.0)
    assert place.ends == 1


async def test_a_clock_that_is_set_forward_is_noticed_within_a_day(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.watch(10 * 86_400.0)
    monkeypatch.setattr(time, "time", lambda: place.loop.now + 20 * 86_400.0)
    await place.advance(86_401.0)
    assert place.ends == 1


async def test_the_program_may_name_another_identity(place: Place) -> None:
    watch = place.watch(60.0)
    watch.renew(place.identity(100.0))
    await place.advance(99.0)
    assert place.ends == 0
    watch.renew(place.identity(5.0))
    await place.advance(6.0)
    assert place.ends == 1


# -- renewal -----------------------------------------------------------------------------------------------------------


async def test_it_is_renewed_shortly_before_its_end(place: Place) -> None:
    watch = place.watch(60.0, renews=True)
    first = watch.identity
    await place.advance(49.9)
    assert place.asked == []
    place.answer = place.identity(100.0, renews=True)
    await place.advance(0.1 + RESOLUTION)
    assert place.asked == [first]
    assert watch.identity is place.answer
    await place.advance(100.0 - 10.0)
    assert place.asked == [first, place.answer]


async def test_a_short_one_is_renewed_in_its_last_quarter(place: Place) -> None:
    place.watch(4.0, renews=True)
    await place.advance(2.9)
    assert place.asked == []
    await place.advance(0.1 + RESOLUTION)
    assert len(place.asked) == 1


@pytest.mark.parametrize("answer", [None, HTTPError(403)])
async def test_a_refusal_ends_it_at_once(place: Place, answer: object) -> None:
    place.answer = answer
    place.watch(60.0, renews=True)
    await place.advance(51.0)
    assert place.ends == 1


async def test_a_renewal_that_fails_leaves_the_time_that_there_is(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.answer = OSError("the other server is away")
    place.watch(60.0, renews=True)
    await place.advance(59.0)
    assert place.ends == 0
    await place.advance(2.0)
    assert (place.ends, len(place.asked)) == (1, 1)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "an identity could not be renewed")
    ]


async def test_a_renewal_that_takes_too_long_is_too_late(place: Place) -> None:
    never = asyncio.Event()

    async def renew(identity: Identity) -> Identity | None:
        await never.wait()
        return place.identity(1000.0)

    watch = Watch(Identity("ada", place.loop.now + 60.0, renew), place.runtime, place.end)
    await place.advance(61.0)
    assert place.ends == 1
    never.set()
    await place.advance(0.0)
    assert place.ends == 1
    watch.stop()


async def test_a_renewal_on_its_way_goes_with_its_connection(place: Place) -> None:
    cancelled = asyncio.Event()

    async def renew(identity: Identity) -> Identity | None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return None

    watch = Watch(Identity("ada", place.loop.now + 60.0, renew), place.runtime, place.end)
    await place.advance(55.0)
    watch.stop()
    await asyncio.wait_for(cancelled.wait(), 10)
    assert place.ends == 0


async def test_the_program_is_faster_than_the_renewal(place: Place) -> None:
    go_on = asyncio.Event()

    async def renew(identity: Identity) -> Identity | None:
        await go_on.wait()
        return None

    watch = Watch(Identity("ada", place.loop.now + 60.0, renew), place.runtime, place.end)
    await place.advance(55.0)
    newer = place.identity(500.0)
    watch.renew(newer)
    go_on.set()
    await place.advance(0.0)
    assert (place.ends, watch.identity) == (0, newer)
