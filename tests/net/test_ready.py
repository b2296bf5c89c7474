"""Awaitables that cost next to nothing."""

from __future__ import annotations

import asyncio
import contextvars
import inspect

import pytest

from elio.net.ready import READY, YIELD, Later, Wakeup

place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


async def test_ready_does_not_let_the_loop_turn() -> None:
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(seen.append, 1)
    await READY
    assert seen == []


async def test_yield_lets_the_loop_turn_once() -> None:
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(seen.append, 1)
    await YIELD
    assert seen == [1]


@pytest.mark.parametrize("awaitable", [READY, YIELD, Later(lambda: asyncio.sleep(0))])
async def test_tasks_gather_and_wait_for_take_them(awaitable: object) -> None:
    assert inspect.isawaitable(awaitable)
    await asyncio.create_task(awaitable)  # type: ignore[arg-type]
    await asyncio.gather(READY, YIELD)
    await asyncio.wait_for(READY, 1)


@pytest.mark.parametrize("awaitable", [READY, YIELD])
def test_throwing_into_a_done_one_raises(awaitable: object) -> None:
    with pytest.raises(ValueError, match="x"):
        awaitable.throw(ValueError("x"))  # type: ignore[attr-defined]
    with pytest.raises(ValueError):
        awaitable.throw(ValueError)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="y"):
        awaitable.throw(ValueError, ValueError("y"))  # type: ignore[attr-defined]
    awaitable.close()  # type: ignore[attr-defined]


async def test_later_makes_its_coroutine_when_it_is_awaited_and_never_warns() -> None:
    made: list[int] = []

    async def work() -> None:
        made.append(1)

    Later(work).close()
    assert made == []
    await Later(work)
    assert made == [1]


async def test_a_task_made_of_later_can_be_cancelled() -> None:
    task = asyncio.create_task(Later(lambda: asyncio.sleep(60)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def start(wakeup: Wakeup, seen: list[str]) -> asyncio.Task[None]:
    async def wait() -> None:
        place.set("inside")
        try:
            await wakeup
            seen.append(f"woken {place.get()}")
        except asyncio.CancelledError as error:
            seen.append(f"cancelled {error.args}")
            raise

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


def outside_a_task(call: object) -> asyncio.Future[None]:
    """Call from the loop, where no task is current; the future is done behind the call."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def run() -> None:
        call()  # type: ignore[operator]
        done.set_result(None)

    loop.call_soon(run)
    return done


async def test_waking_from_the_loop_runs_the_task_in_place_and_in_its_context() -> None:
    seen: list[str] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    task = await start(wakeup, seen)
    order: list[str] = []

    def wake() -> None:
        wakeup.wake()
        order.extend(seen)

    await outside_a_task(wake)
    assert order == ["woken inside"]
    assert place.get() == "nowhere"
    await task


async def test_waking_from_another_task_goes_through_the_loop() -> None:
    seen: list[str] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    task = await start(wakeup, seen)
    wakeup.wake()
    assert seen == []
    await task
    assert seen == ["woken inside"]


async def test_waking_twice_wakes_once() -> None:
    seen: list[str] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    task = await start(wakeup, seen)
    wakeup.wake()
    wakeup.wake()
    wakeup.wake_soon()
    await task
    assert seen == ["woken inside"]


async def test_wake_soon_always_goes_through_the_loop() -> None:
    seen: list[str] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    task = await start(wakeup, seen)
    order: list[str] = []

    def wake() -> None:
        wakeup.wake_soon()
        order.extend(seen)

    await outside_a_task(wake)
    assert order == []
    await task


async def test_a_wait_that_is_over_does_not_wait() -> None:
    wakeup = Wakeup(asyncio.get_running_loop())
    wakeup.wake()
    assert wakeup.done()
    await wakeup
    assert wakeup.exception() is None
    assert wakeup.get_loop() is asyncio.get_running_loop()


async def test_cancelling_the_task_carries_its_message_and_later_waking_does_nothing() -> None:
    seen: list[str] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    task = await start(wakeup, seen)
    task.cancel("enough")
    assert wakeup.cancelled()
    wakeup.wake()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled ('enough',)"]
    assert not wakeup.cancel()


async def test_a_callback_can_be_removed_and_one_added_late_is_called_soon() -> None:
    called: list[object] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    wakeup.add_done_callback(called.append)
    assert wakeup.remove_done_callback(print) == 0
    assert wakeup.remove_done_callback(called.append) == 1
    await outside_a_task(wakeup.wake)
    assert called == []
    wakeup.add_done_callback(called.append)
    await asyncio.sleep(0)
    assert called == [wakeup]


async def test_a_callback_without_a_context_is_called_in_place() -> None:
    called: list[object] = []
    wakeup = Wakeup(asyncio.get_running_loop())
    wakeup.add_done_callback(called.append)
    await outside_a_task(wakeup.wake)
    assert called == [wakeup]
