"""Turns of the loop."""

from __future__ import annotations

import asyncio

from elio.limits import Limits
from elio.net.ready import Wakeup
from elio.net.runtime import Runtime


class Held:
    def __init__(self) -> None:
        self.flushed = 0

    def flush(self) -> None:
        self.flushed += 1


async def test_a_turn_ends_with_the_turn_of_the_loop() -> None:
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    first = runtime.begin_turn()
    assert runtime.begin_turn() == first == runtime.turn
    await asyncio.sleep(0)
    assert runtime.turn == first + 1


async def test_what_is_held_back_goes_out_once_at_the_end_of_the_turn() -> None:
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    held = Held()
    runtime.begin_turn()
    runtime.flush_later(held)
    assert held.flushed == 0
    await asyncio.sleep(0)
    assert held.flushed == 1
    runtime.begin_turn()
    await asyncio.sleep(0)
    assert held.flushed == 1


async def test_other_limits_share_loop_and_timer() -> None:
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    other = runtime.with_limits(Limits(max_queue=3))
    assert other.limits.max_queue == 3
    assert other.timer is runtime.timer
    assert other.loop is runtime.loop
    runtime.close()


async def test_a_departure_is_seen_in_all_surroundings_and_wakes_who_waits() -> None:
    runtime = Runtime(asyncio.get_running_loop(), Limits())
    other = runtime.with_limits(Limits(max_queue=3))
    departure = other.departure
    assert departure is runtime.departure
    assert (departure.begun, departure.window) == (False, 0.0)
    waiters = [Wakeup(runtime.loop) for _ in range(2)]
    for waiter in waiters:
        departure.add(waiter)
    departure.discard(waiters[1])
    departure.discard(waiters[1])
    departure.begin()
    assert departure.begun
    assert [waiter.is_done for waiter in waiters] == [True, False]
    runtime.close()
