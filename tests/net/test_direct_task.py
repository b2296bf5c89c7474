"""What a task is: one of our own and one of asyncio's pass the same tests."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import sys
import traceback
from collections.abc import Generator
from typing import Any

import pytest

from elio.net.ready import READY, YIELD, Wakeup
from elio.net.task import IS_BUILT
from support.tasks import (
    DEADLINE,
    WAITS,
    Tasks,
    Waits,
    alike,
    direct_only,
    ending_of,
    fail,
    give,
    nothing,
    place,
    run_all,
)

if IS_BUILT:
    from elio.net._direct_task import DirectTask

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the task of our own is not built")


# -- results -----------------------------------------------------------------------------------------------------------


@alike
async def test_it_begins_in_the_next_turn_and_has_a_result_at_its_end(tasks: Tasks) -> None:
    seen: list[int] = []

    async def work() -> str:
        seen.append(1)
        await asyncio.sleep(0)
        return "done"

    task = tasks.start(work())
    assert seen == []
    assert not task.done()
    assert not task.cancelled()
    for ask in (task.result, task.exception):
        with pytest.raises(asyncio.InvalidStateError):
            ask()
    assert await task == "done"
    assert seen == [1]
    assert task.done()
    assert not task.cancelled()
    assert task.result() == "done"
    assert task.exception() is None
    assert await task == "done", "a done one can be awaited again"


@alike
async def test_an_exception_is_told_to_whoever_asks(tasks: Tasks) -> None:
    error = ValueError("own")
    task = tasks.start(fail(error))
    with pytest.raises(ValueError) as caught:
        await task
    assert caught.value is error
    assert task.exception() is error
    assert not task.cancelled()
    lengths = set()
    for _ in range(5):
        with pytest.raises(ValueError) as caught:
            task.result()
        assert caught.value is error
        lengths.add(len(traceback.extract_tb(caught.tb)))
    assert len(lengths) == 1, "the traceback does not grow with each one who asks"


@alike
async def test_nobody_else_sets_its_result(tasks: Tasks) -> None:
    task = tasks.start(nothing())
    with pytest.raises(RuntimeError, match="does not support set_result"):
        task.set_result(None)
    with pytest.raises(RuntimeError, match="does not support set_exception"):
        task.set_exception(ValueError())
    await task


@alike
async def test_it_may_wait_for_everything(tasks: Tasks) -> None:
    waits = Waits(tasks.loop)
    queue: asyncio.Queue[int] = asyncio.Queue()
    done = tasks.loop.create_future()
    done.set_result(6)
    seen: list[object] = []

    async def work() -> None:
        for name in WAITS[:-1]:
            await waits.on(name)
            seen.append(name)
        await READY
        await YIELD
        await asyncio.sleep(0.001)
        seen.append(await queue.get())
        seen.append(await done)
        seen.append(await asyncio.to_thread(lambda: 7))
        seen.extend(await asyncio.gather(give(8), give(9)))

    task = tasks.start(work())
    for name in WAITS[:-1]:
        await tasks.until_waiting(task)
        waits.end(name)
        await tasks.turns(4)
    queue.put_nowait(5)
    async with asyncio.timeout(DEADLINE):
        await task
    assert seen == [*WAITS[:-1], 5, 6, 7, 8, 9]


@alike
async def test_the_exception_of_what_it_waits_for_is_raised_in_it(tasks: Tasks) -> None:
    async def work() -> list[str]:
        seen = []
        for awaitable in (tasks.start(fail(ValueError("task"))), fail(KeyError("coroutine")), future):
            try:
                await awaitable
            except Exception as error:
                seen.append(repr(error))
        return seen

    future = tasks.loop.create_future()
    future.set_exception(OSError("future"))
    assert await tasks.start(work()) == ["ValueError('task')", "KeyError('coroutine')", "OSError('future')"]


@alike
async def test_what_is_only_like_a_coroutine_can_be_run(tasks: Tasks) -> None:
    for coroutine in (READY, YIELD):
        assert await tasks.start(coroutine) is None


# -- cancelling --------------------------------------------------------------------------------------------------------


@alike
async def test_cancelled_before_its_first_step_it_never_begins(tasks: Tasks) -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    task = tasks.start(work())
    assert task.cancel("too early")
    assert task.cancelling() == 1
    assert await ending_of(task) == ("too early",)
    assert begun == []


@pytest.mark.parametrize("message", [None, "enough", 5])
@pytest.mark.parametrize("name", WAITS)
def test_cancelled_while_it_waits(name: str, message: object) -> None:
    @alike
    async def test(tasks: Tasks) -> None:
        waits = Waits(tasks.loop)
        seen: list[object] = []

        async def work() -> None:
            try:
                await waits.on(name)
            except asyncio.CancelledError as error:
                seen.append(error.args)
                raise

        task = tasks.start(work())
        await tasks.until_waiting(task)
        assert task.cancel() if message is None else task.cancel(message)
        assert seen == [], "it is told by the loop"
        assert not task.done()
        expected = () if message is None else (message,)
        assert await ending_of(task) == expected
        assert seen == [expected]
        if name in ("wakeup", "future"):
            assert getattr(waits, name).cancelled()

    run_all(test)


@alike
async def test_cancelled_in_a_bare_yield(tasks: Tasks) -> None:
    async def work() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)

    task = tasks.start(work())
    await tasks.turns()
    task.cancel("stop")
    assert await ending_of(task) == ("stop",)


@alike
async def test_cancelled_twice_it_is_told_once_with_the_first_message(tasks: Tasks) -> None:
    for name in ("wakeup", "future", "event", "sleep"):  # another task gets both, and the second message with them
        waits = Waits(tasks.loop)
        seen: list[object] = []

        async def work(waits: Waits = waits, seen: list[object] = seen, name: str = name) -> None:
            try:
                await waits.on(name)
            except asyncio.CancelledError as error:
                seen.append(error.args)
                await asyncio.sleep(0)
                seen.append("cleaned")
                raise

        task = tasks.start(work())
        await tasks.until_waiting(task)
        task.cancel("first")
        task.cancel("second")
        assert task.cancelling() == 2
        assert await ending_of(task) == ("first",)
        assert seen == [("first",), "cleaned"]


@alike
async def test_cancelled_again_while_it_cleans_up(tasks: Tasks) -> None:
    seen: list[str] = []
    cleaning = tasks.loop.create_future()

    async def work() -> None:
        try:
            await tasks.loop.create_future()
        finally:
            try:
                await cleaning
            except asyncio.CancelledError as error:
                seen.append(str(error))
                raise

    task = tasks.start(work())
    await tasks.until_waiting(task)
    task.cancel("first")
    await tasks.turns()
    assert seen == []
    task.cancel("second")
    assert await ending_of(task) == ("second",)
    assert seen == ["second"]


@alike
async def test_cancelled_behind_the_end_of_its_wait_it_is_told_all_the_same(tasks: Tasks) -> None:
    for name in ("wakeup", "future"):
        waits = Waits(tasks.loop)
        task = tasks.start(waits.on(name))
        await tasks.until_waiting(task)
        waits.end(name)  # from a task: the waiting one runs in the next turn
        assert task.cancel("late")
        assert await ending_of(task) == ("late",)
        assert not getattr(waits, name).cancelled()


@alike
async def test_it_may_swallow_its_cancellation_and_take_it_back(tasks: Tasks) -> None:
    async def work() -> str:
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await tasks.loop.create_future()
        return "survived"

    task = tasks.start(work())
    for number in (1, 2):
        await tasks.turns()
        task.cancel()
        assert task.cancelling() == number
    assert await task == "survived"
    assert not task.cancelled()
    assert [task.uncancel() for _ in range(3)] == [1, 0, 0]
    assert task.cancelling() == 0


@alike
async def test_a_cancellation_that_is_taken_back_before_it_is_told(tasks: Tasks) -> None:
    async def work() -> str:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        assert current.uncancel() == 0
        await asyncio.sleep(0)
        return "went on"

    task = tasks.start(work())
    if sys.version_info >= (3, 13):
        assert await task == "went on"
    else:
        assert await ending_of(task) == ()


@alike
async def test_cancelled_by_itself_it_is_told_at_its_next_wait(tasks: Tasks) -> None:
    for name in WAITS:
        waits = Waits(tasks.loop)
        seen: list[str] = []

        async def work(waits: Waits = waits, seen: list[str] = seen, name: str = name) -> None:
            current = asyncio.current_task()
            assert current is not None
            assert current.cancel("by itself")
            seen.append("went on")
            await waits.on(name)

        assert await ending_of(tasks.start(work())) == ("by itself",)
        assert seen == ["went on"]


@alike
async def test_cancelled_right_before_its_end_it_is_cancelled(tasks: Tasks) -> None:
    async def work() -> str:
        current = asyncio.current_task()
        assert current is not None
        current.cancel("last moment")
        return "lost"

    assert await ending_of(tasks.start(work())) == ("last moment",)


@alike
async def test_another_exception_may_come_of_a_cancellation(tasks: Tasks) -> None:
    async def work() -> None:
        try:
            await tasks.loop.create_future()
        except asyncio.CancelledError:
            raise ValueError("instead") from None

    task = tasks.start(work())
    await tasks.until_waiting(task)
    task.cancel()
    with pytest.raises(ValueError, match="instead"):
        await task
    assert not task.cancelled()


@alike
async def test_a_done_one_cannot_be_cancelled(tasks: Tasks) -> None:
    task = tasks.start(give(5))
    await task
    assert not task.cancel()
    assert task.cancelling() == 0
    assert task.result() == 5


# -- the context -------------------------------------------------------------------------------------------------------


@alike
async def test_its_context_is_a_copy_and_its_own_across_all_waits(tasks: Tasks) -> None:
    waits = Waits(tasks.loop)
    seen: list[object] = []

    async def work() -> None:
        seen.append(place.get())
        place.set("inside")
        for name in WAITS[:-1]:
            await waits.on(name)
            seen.append(place.get())
        with contextlib.suppress(asyncio.CancelledError):
            await tasks.loop.create_future()
        seen.append(place.get())

    place.set("outside")
    task = tasks.start(work())
    place.set("changed")
    for name in WAITS[:-1]:
        await tasks.until_waiting(task)
        await tasks.from_loop(waits.end, name)
        await tasks.turns(4)
    await tasks.until_waiting(task)
    task.cancel()
    await task
    assert seen == ["outside", *["inside"] * len(WAITS)]
    assert place.get() == "changed"


# -- what is wrong -----------------------------------------------------------------------------------------------------


class Yielding:
    """Yields what it is told to."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __await__(self) -> Generator[object, None, None]:
        yield self.thing


@alike
async def test_what_cannot_be_waited_for_is_an_error_inside_it(tasks: Tasks) -> None:
    foreign = asyncio.new_event_loop()
    strange = foreign.create_future()
    own = tasks.loop.create_future()

    async def work() -> list[str]:
        seen = []
        for awaitable in (strange, Wakeup(foreign), Yielding(own), Yielding(5), Yielding("x"), asyncio.current_task()):
            with pytest.raises(RuntimeError) as caught:
                await awaitable
            seen.append(str(caught.value))
        return seen

    texts = await tasks.start(work())
    for text, expected in zip(
        texts,
        (
            "attached to a different loop",
            "attached to a different loop",
            "yield was used instead of yield from",
            "Task got bad yield: 5",
            "Task got bad yield: 'x'",
            "Task cannot await on itself",
        ),
        strict=True,
    ):
        assert expected in text
    foreign.close()


@alike
async def test_cancelled_before_it_is_told_of_a_bad_yield_it_is_cancelled(tasks: Tasks) -> None:
    async def work() -> None:
        await Yielding(5)  # type: ignore[misc]

    task = tasks.start(work())
    await tasks.turns(1)
    task.cancel("instead")
    assert await ending_of(task) == ("instead",)


# -- what asyncio's own does not do ------------------------------------------------------------------------------------


@direct_only
async def test_a_wakeup_runs_it_at_once_where_no_task_is_current(tasks: Tasks) -> None:
    seen: list[str] = []
    wakeup = Wakeup(tasks.loop)

    async def work() -> None:
        await wakeup  # type: ignore[misc]
        assert asyncio.current_task() is task
        seen.append("ran")

    def wake() -> None:
        wakeup.wake()
        assert seen == ["ran"]
        assert asyncio.current_task() is None

    task = tasks.start(work())
    await tasks.until_waiting(task)
    await tasks.from_loop(wake)
    assert task.done()


@direct_only
async def test_a_wakeup_inside_another_task_runs_it_in_the_next_turn(tasks: Tasks) -> None:
    seen: list[str] = []
    wakeup = Wakeup(tasks.loop)

    async def work() -> None:
        await wakeup  # type: ignore[misc]
        seen.append("ran")

    task = tasks.start(work())
    await tasks.until_waiting(task)
    wakeup.wake()
    assert seen == []
    await tasks.turns(1)
    assert seen == ["ran"]
    assert task.done()


@direct_only
async def test_what_it_raises_inside_a_wakeup_is_its_own_affair(tasks: Tasks) -> None:
    wakeup = Wakeup(tasks.loop)

    async def work() -> None:
        await wakeup  # type: ignore[misc]
        raise ValueError("own")

    task = tasks.start(work())
    await tasks.until_waiting(task)
    await tasks.from_loop(wakeup.wake)
    assert str(task.exception()) == "own"


@direct_only
async def test_an_eager_one_begins_at_once_where_no_task_is_current(tasks: Tasks) -> None:
    made: list[asyncio.Task[Any]] = []
    waiting = tasks.loop.create_future()

    async def work(waits: bool) -> str:
        place.set("inside")
        assert asyncio.current_task() is not None
        if waits:
            await waiting
        return "done"

    for waits in (False, True):
        await tasks.from_loop(lambda waits=waits: made.append(tasks.start(work(waits), eager=True)))
    assert [task.done() for task in made] == [True, False]
    assert [task in asyncio.all_tasks() for task in made] == [False, True]
    made.append(tasks.start(work(True), eager=True))
    assert made[2] in asyncio.all_tasks()
    assert made[2]._fut_waiter is None, "it begins in the next turn, as a task is current"  # type: ignore[attr-defined]
    await tasks.until_waiting(made[2])
    waiting.set_result(None)
    assert await asyncio.gather(*made) == ["done"] * 3
    assert place.get() == "nowhere"


@direct_only
async def test_names_that_are_made_differ(tasks: Tasks) -> None:
    made = [tasks.start(nothing()) for _ in range(3)]
    names = [task.get_name() for task in made]
    assert all(name.startswith("DirectTask-") for name in names)
    assert all(a != b for a, b in itertools.pairwise(names))
    assert isinstance(made[0], DirectTask)
    assert isinstance(made[0].get_context(), contextvars.Context)
    await asyncio.gather(*made)
