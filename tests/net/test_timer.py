"""One timer for everybody."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from elio.causes import LoopBlocked
from elio.net.timer import RESOLUTION, CoarseTimer
from support.clock import FakeLoop


class Item:
    """Wants to be asked at given times, one after the other."""

    def __init__(self, timer: CoarseTimer, *wishes: float) -> None:
        self.timer = timer
        self.wishes = list(wishes)
        self.asked: list[float] = []
        self.bucket = -1

    def want(self) -> None:
        if self.wishes:
            self.bucket = self.timer.schedule(self, self.wishes.pop(0))

    def check_time(self, now: float) -> None:
        self.asked.append(now)
        self.want()


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop(1000.0)


@pytest.fixture
def timer(loop: FakeLoop) -> CoarseTimer:
    return CoarseTimer(cast(asyncio.AbstractEventLoop, loop))


def test_nothing_is_early_and_nothing_later_than_the_resolution(loop: FakeLoop, timer: CoarseTimer) -> None:
    items = [Item(timer, 1000.0 + number * 0.013) for number in range(1, 200)]
    wishes = [item.wishes[0] for item in items]
    for item in items:
        item.want()
    loop.advance(5)
    for item, wish in zip(items, wishes, strict=True):
        assert len(item.asked) == 1
        assert wish <= item.asked[0] + 1e-9
        assert item.asked[0] <= wish + RESOLUTION + 1e-9


def test_an_item_can_schedule_itself_anew_while_it_is_asked(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, 1001.0, 1002.0, 1003.0)
    item.want()
    loop.advance(10)
    assert [round(when) for when in item.asked] == [1001, 1002, 1003]
    assert loop.pending == 0


def test_a_wish_in_the_past_is_granted_at_the_next_turn_and_does_not_spin(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, 1000.01, 990.0, 990.0)
    item.want()
    loop.advance(1)
    assert len(item.asked) == 3
    assert item.asked == sorted(set(item.asked))


def test_a_bucket_is_gone_with_its_last_item(loop: FakeLoop, timer: CoarseTimer) -> None:
    first, second = Item(timer, 1001.0), Item(timer, 1001.0)
    first.want()
    second.want()
    timer.forget(first, first.bucket)
    timer.forget(first, first.bucket)
    timer.forget(second, second.bucket)
    timer.forget(second, second.bucket)
    third = Item(timer, 1001.0)
    third.want()
    loop.advance(2)
    assert (first.asked, second.asked) == ([], [])
    assert len(third.asked) == 1


def test_an_earlier_wish_moves_the_timer_forward(loop: FakeLoop, timer: CoarseTimer) -> None:
    late, soon = Item(timer, 1060.0), Item(timer, 1001.0)
    late.want()
    soon.want()
    loop.advance(2)
    assert soon.asked
    assert not late.asked
    loop.advance(60)
    assert late.asked


def test_a_forgotten_item_is_not_asked(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, 1001.0)
    item.want()
    timer.forget(item, item.bucket)
    timer.forget(item, item.bucket)
    timer.forget(item, -1)
    loop.advance(5)
    assert item.asked == []


def test_a_closed_timer_asks_nobody(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, 1001.0)
    item.want()
    timer.close()
    timer.close()
    loop.advance(5)
    assert item.asked == []
    assert loop.pending == 0


def test_the_time_in_which_the_loop_was_blocked_does_not_count(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, timer.now() + 0.5, timer.now() + 5.0)
    item.want()
    loop.block(30.0)
    assert item.asked == []  # what has come meanwhile is read first
    assert timer.lag == pytest.approx(29.5, abs=0.1)
    loop.advance(0.3)
    assert len(item.asked) == 1
    assert timer.lag == pytest.approx(29.5, abs=0.1)
    assert timer.now() == pytest.approx(1000.5, abs=0.1)
    loop.advance(4.0)
    assert len(item.asked) == 1
    loop.advance(1.0)
    assert len(item.asked) == 2
    assert timer.lag == 0.0


def test_a_loop_that_is_late_every_time_still_asks(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, timer.now() + 0.5)
    item.want()
    loop.block(10.0)
    loop.block(10.0)
    assert len(item.asked) == 1
    assert timer.lag == pytest.approx(19.25, abs=0.2)


def test_a_blockage_is_remembered_for_a_moment(loop: FakeLoop, timer: CoarseTimer) -> None:
    assert timer.blockage() is None
    blockage = LoopBlocked(3.0, "app.py:1 in handler")
    timer.note_blockage(blockage)
    assert timer.blockage() == blockage
    loop.advance(0.3)
    assert timer.blockage() is None


def test_a_small_delay_is_no_blocked_loop(loop: FakeLoop, timer: CoarseTimer) -> None:
    item = Item(timer, timer.now() + 0.5)
    item.want()
    loop.block(0.55)
    assert timer.lag == 0.0
    assert timer.now() == loop.now
