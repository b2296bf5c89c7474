"""What asyncio, anyio and programs see of a task: one of our own and one of asyncio's pass the same tests."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import io
import weakref
from collections.abc import Generator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from elio.net.ready import Wakeup
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

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the task of our own is not built")


# -- what asyncio makes of tasks ---------------------------------------------------------------------------------------


@alike
async def test_a_timeout_ends_every_wait_and_leaves_no_trace(tasks: Tasks) -> None:
    async def work() -> None:
        current = asyncio.current_task()
        assert current is not None
        for name in WAITS:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await Waits(tasks.loop).on(name)
            assert current.cancelling() == 0
        async with asyncio.timeout(DEADLINE) as outer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.sleep(DEADLINE)
            await asyncio.sleep(0)
        assert not outer.expired()

    await tasks.start(work())


@alike
async def test_a_cancellation_inside_a_timeout_is_none_of_the_timeout(tasks: Tasks) -> None:
    async def work() -> None:
        async with asyncio.timeout(DEADLINE):
            await tasks.loop.create_future()

    task = tasks.start(work())
    await tasks.until_waiting(task)
    task.cancel("from outside")
    assert await ending_of(task) == ("from outside",)


async def a_child_that_fails() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail(ValueError("child")))
        await group.create_task(asyncio.sleep(DEADLINE))


@alike
async def test_a_group_of_tasks_belongs_to_it(tasks: Tasks) -> None:
    async def work() -> list[object]:
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(give(number)) for number in range(3)]
        with pytest.raises(ExceptionGroup) as caught:
            await a_child_that_fails()
        assert [str(error) for error in caught.value.exceptions] == ["child"]
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        return [child.result() for child in children]

    assert await tasks.start(work()) == [0, 1, 2]


@alike
async def test_a_cancelled_group_cancels_its_children(tasks: Tasks) -> None:
    children: list[asyncio.Task[Any]] = []

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            children.append(group.create_task(asyncio.sleep(DEADLINE)))

    task = tasks.start(work())
    await tasks.until_waiting(task)
    task.cancel()
    await ending_of(task)
    assert children[0].cancelled()


@alike
async def test_asyncio_gathers_waits_and_shields(tasks: Tasks) -> None:
    assert await asyncio.gather(tasks.start(give(1)), tasks.start(give(2))) == [1, 2]
    failed = await asyncio.gather(tasks.start(fail(ValueError("x"))), tasks.start(give(2)), return_exceptions=True)
    assert repr(failed) == "[ValueError('x'), 2]"
    endless = tasks.start(asyncio.sleep(DEADLINE))
    quick = tasks.start(give(3))
    done, pending = await asyncio.wait([endless, quick], return_when=asyncio.FIRST_COMPLETED)
    assert (done, pending) == ({quick}, {endless})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(endless), 0.001)
    assert not endless.done()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(endless, 0.001)
    assert endless.cancelled()
    assert await asyncio.wait_for(tasks.start(give(4)), DEADLINE) == 4
    first = next(iter(asyncio.as_completed([tasks.start(give(5))])))
    assert await first == 5
    assert asyncio.isfuture(quick)
    assert asyncio.ensure_future(quick) is quick


@alike
async def test_a_cancelled_gathering_cancels_what_it_gathers(tasks: Tasks) -> None:
    parts = [tasks.start(asyncio.sleep(DEADLINE)) for _ in range(2)]
    whole = tasks.start(wait_for_all(parts))
    await tasks.until_waiting(whole)
    whole.cancel()
    await ending_of(whole)
    assert all(part.cancelled() for part in parts)


async def wait_for_all(parts: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*parts)


@alike
async def test_anyio_cancels_its_scopes_in_it(tasks: Tasks) -> None:
    async def work() -> list[object]:
        seen: list[object] = []
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep(DEADLINE)
        seen.append(scope.cancelled_caught)
        with anyio.move_on_after(0.001) as scope:
            await Wakeup(tasks.loop)  # type: ignore[misc]
        seen.append(scope.cancelled_caught)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0):
                await anyio.sleep(DEADLINE)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            with anyio.CancelScope(shield=True):
                group.cancel_scope.cancel()
                await anyio.lowlevel.checkpoint()
                seen.append("shielded")
        seen.append(await anyio.to_thread.run_sync(lambda: 5))
        current = asyncio.current_task()
        assert current is not None
        seen.append(current.cancelling())
        return seen

    assert await tasks.start(work()) == [True, True, "shielded", 5, 0]


@alike
async def test_what_anyio_looks_at(tasks: Tasks) -> None:
    future = tasks.loop.create_future()

    async def work() -> None:
        assert current()._fut_waiter is None
        await future

    def current() -> Any:
        return asyncio.current_task()

    task: Any = tasks.start(work())
    assert task._fut_waiter is None
    assert task._must_cancel is False
    await tasks.until_waiting(task)
    assert task._fut_waiter is future
    future.set_result(None)
    await task
    assert task._fut_waiter is None
    early: Any = tasks.start(nothing())
    early.cancel("why")
    assert early._must_cancel is True
    await ending_of(early)
    assert early._must_cancel is False


# -- callbacks ---------------------------------------------------------------------------------------------------------


@alike
async def test_callbacks_are_called_in_order_by_the_loop_and_in_their_contexts(tasks: Tasks) -> None:
    seen: list[object] = []
    task = tasks.start(nothing())
    context = contextvars.copy_context()
    context.run(place.set, "given")
    place.set("mine")
    task.add_done_callback(lambda done: seen.append((1, done is task, place.get())), context=context)
    task.add_done_callback(lambda done: seen.append((2, done is task, place.get())))
    place.set("later")
    await task
    await tasks.turns(1)
    assert seen == [(1, True, "given"), (2, True, "mine")]
    task.add_done_callback(lambda done: seen.append((3, done is task, place.get())))
    assert len(seen) == 2
    await tasks.turns(1)
    assert seen[2:] == [(3, True, "later")]


@alike
async def test_callbacks_can_be_removed(tasks: Tasks) -> None:
    seen: list[object] = []
    task = tasks.start(nothing())
    assert task.remove_done_callback(seen.append) == 0
    for _ in range(3):
        task.add_done_callback(seen.append)
    task.add_done_callback(print)
    assert task.remove_done_callback(seen.append) == 3
    assert task.remove_done_callback(print) == 1
    await task
    await tasks.turns(1)
    assert seen == []


@alike
async def test_a_callback_that_raises_is_complained_of_and_the_others_are_called(tasks: Tasks) -> None:
    seen: list[object] = []
    task = tasks.start(nothing())
    task.add_done_callback(lambda _: 1 // 0)
    task.add_done_callback(seen.append)
    await task
    await tasks.turns(1)
    assert seen == [task]
    assert isinstance(tasks.complaints.pop()["exception"], ZeroDivisionError)


# -- facts -------------------------------------------------------------------------------------------------------------


@alike
async def test_asyncio_knows_it_from_its_start_to_its_end(tasks: Tasks) -> None:
    seen: list[object] = []

    async def work() -> None:
        for _ in range(2):
            seen.append(asyncio.current_task())
            seen.append(task in asyncio.all_tasks())
            await asyncio.sleep(0)

    task = tasks.start(work())
    assert task in asyncio.all_tasks()
    await tasks.turns(1)
    assert asyncio.current_task() is not task
    await task
    assert seen == [task, True] * 2
    assert task not in asyncio.all_tasks()


@alike
async def test_it_has_a_name(tasks: Tasks) -> None:
    given, made, other = tasks.start(nothing(), name="given"), tasks.start(nothing()), tasks.start(nothing(), name=5)
    assert given.get_name() == "given"
    assert other.get_name() == "5"
    assert made.get_name() == made.get_name()
    assert made.get_name() not in (given.get_name(), "")
    made.set_name(7)
    assert made.get_name() == "7"
    await asyncio.gather(given, made, other)


@alike
async def test_it_shows_what_it_is_and_where_it_stands(tasks: Tasks) -> None:
    waiting = tasks.loop.create_future()

    async def work() -> None:
        await waiting

    coroutine = work()
    task = tasks.start(coroutine, name="worker")
    assert task.get_coro() is coroutine
    assert task.get_loop() is tasks.loop
    await tasks.until_waiting(task)
    assert all(word in repr(task) for word in ("pending", "worker", "work"))
    assert [frame.f_code.co_name for frame in task.get_stack()] == ["work"]
    assert len(task.get_stack(limit=1)) == 1
    out = io.StringIO()
    task.print_stack(file=out)
    assert "await waiting" in out.getvalue()
    waiting.set_result(None)
    await task
    assert "finished" in repr(task)
    assert task.get_stack() == []
    cancelled = tasks.start(nothing())
    cancelled.cancel()
    await ending_of(cancelled)
    assert "cancelled" in repr(cancelled)
    failed = tasks.start(fail(ValueError()))
    await asyncio.wait([failed])
    assert [frame.f_code.co_name for frame in failed.get_stack()][-1] == "fail"
    out = io.StringIO()
    failed.print_stack(file=out)
    assert "ValueError" in out.getvalue()
    assert isinstance(failed.exception(), ValueError)


# -- what is freed -----------------------------------------------------------------------------------------------------


class Thing:
    """Something whose end can be seen."""


@pytest.fixture
def no_gc() -> Generator[None, None, None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("end", ["return", "raise", "cancel"])
def test_what_it_held_is_freed_with_it_without_a_collection(end: str) -> None:
    @alike
    async def test(tasks: Tasks) -> None:
        things: list[weakref.ref[Thing]] = []
        waiting = tasks.loop.create_future()

        async def work() -> None:
            local, variable = Thing(), Thing()
            things.extend((weakref.ref(local), weakref.ref(variable)))
            place.set(variable)
            del variable
            await waiting
            if end == "raise":
                raise ValueError(end)

        task = tasks.start(work())
        await tasks.until_waiting(task)
        if end == "cancel":
            task.cancel()
        else:
            waiting.set_result(None)
        await asyncio.wait([task])
        gone = weakref.ref(task)
        assert end != "return" or things[0]() is None, "what a coroutine held ends with the coroutine"
        if end == "raise":
            assert task.exception() is not None
        await tasks.turns(1)
        del task
        assert [thing() for thing in things] == [None, None]
        assert gone() is None

    run_all(test)


@pytest.mark.usefixtures("no_gc")
@alike
async def test_what_it_waited_for_is_freed_behind_the_wait(tasks: Tasks) -> None:
    waited: list[weakref.ref[Any]] = []

    async def wait(ends: str) -> None:
        future = tasks.loop.create_future()
        waited.append(weakref.ref(future))
        if ends == "well":
            tasks.loop.call_soon(future.set_result, None)
        await future

    async def work() -> None:
        for ends in ("well", "cancelled", "well") * 4:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001 if ends == "cancelled" else None):
                    await wait(ends)
        await asyncio.sleep(0)
        seen.append([future() for future in waited])

    seen: list[object] = []
    await tasks.start(work())
    assert seen == [[None] * 12]


@pytest.mark.usefixtures("no_gc")
@direct_only
async def test_a_cancelled_one_that_nobody_waits_for_keeps_no_frames(tasks: Tasks) -> None:
    things: list[weakref.ref[Thing]] = []

    async def work() -> None:
        local = Thing()
        things.append(weakref.ref(local))
        await tasks.loop.create_future()

    task = tasks.start(work())
    await tasks.until_waiting(task)
    task.cancel("left")
    await tasks.turns()
    assert task.cancelled()
    assert things[0]() is None
    assert await ending_of(task) == ("left",)


# -- complaints, and the end of the program ----------------------------------------------------------------------------


@alike
async def test_an_exception_that_nobody_asks_for_is_complained_of(tasks: Tasks) -> None:
    for ask in (None, "exception", "result", "cancel", "await"):
        task = tasks.start(fail(ValueError("lost")))
        await tasks.turns()
        if ask == "await":
            with pytest.raises(ValueError):
                await task
        elif ask is not None:
            with contextlib.suppress(ValueError):
                getattr(task, ask)()
        del task
        gc.collect()
        if ask is None:
            complaint = tasks.complaints.pop()
            assert complaint["message"] == "Task exception was never retrieved"
            assert str(complaint["exception"]) == "lost"
            assert complaint["future"].done()
            del complaint
        assert tasks.complaints == []


@alike
async def test_one_that_is_forgotten_while_it_waits_is_complained_of(tasks: Tasks) -> None:
    for is_quiet in (False, True):
        closed: list[int] = []

        async def work(closed: list[int] = closed) -> None:
            try:
                await tasks.loop.create_future()
            finally:
                closed.append(1)

        task: Any = tasks.start(work())
        await tasks.until_waiting(task)
        if is_quiet:
            task._log_destroy_pending = False
        gone = weakref.ref(task)
        del task
        gc.collect()
        if not is_quiet:
            complaint = tasks.complaints.pop()
            assert complaint["message"] == "Task was destroyed but it is pending!"
            assert complaint["task"].get_coro().__name__ == "work"
            del complaint
            gc.collect()
        assert tasks.complaints == []
        assert closed == [1]
        assert gone() is None


@pytest.mark.parametrize("kind", ["asyncio", "direct"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes_through_and_is_its_exception(kind: str, error: type[BaseException]) -> None:
    loop = asyncio.new_event_loop()
    made = []

    async def start() -> None:
        made.append(Tasks(kind).start(fail(error("bye"))))

    loop.run_until_complete(start())
    with pytest.raises(error, match="bye"):
        loop.run_until_complete(asyncio.sleep(DEADLINE))
    assert made[0].done()
    assert isinstance(made[0].exception(), error)
    for left in asyncio.all_tasks(loop):
        left.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize("kind", ["asyncio", "direct"])
def test_a_loop_runs_until_it_is_complete_and_cancels_it_at_the_end(kind: str) -> None:
    async def main() -> asyncio.Task[Any]:
        tasks = Tasks(kind)
        endless = tasks.start(asyncio.sleep(DEADLINE))
        await tasks.until_waiting(endless)
        return endless

    assert asyncio.run(main()).cancelled()
    loop = asyncio.new_event_loop()

    async def start() -> asyncio.Task[Any]:
        return Tasks(kind).start(give(5))

    assert loop.run_until_complete(loop.run_until_complete(start())) == 5
    loop.close()
