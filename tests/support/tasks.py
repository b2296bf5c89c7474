"""Tasks of our own and tasks of asyncio, made in one way: one test for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
import uvloop

from elio.net.ready import Wakeup
from elio.net.task import IS_BUILT

if IS_BUILT:
    from elio.net._direct_task import DirectTask

DEADLINE = 20.0
"""Seconds after which a test that waits has failed."""


class Tasks:
    """Makes tasks of one kind, and hears what the loop has to complain of."""

    def __init__(self, kind: str) -> None:
        self.is_direct = kind == "direct"
        self.loop = asyncio.get_running_loop()
        self.complaints: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.complaints.append(context))

    def start(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        """A task that begins in the next turn of the loop."""
        kind = DirectTask if self.is_direct else asyncio.Task
        return kind(coroutine, loop=self.loop, **options)

    async def until_waiting(self, task: asyncio.Task[Any]) -> None:
        """Let a task come to its first wait that is more than a turn of the loop."""
        async with asyncio.timeout(DEADLINE):
            while task._fut_waiter is None:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def from_loop(self, function: Callable[..., object], *arguments: object) -> None:
        """Call as a transport does, with no task current; returns behind it."""
        done = self.loop.create_future()

        def run() -> None:
            try:
                done.set_result(function(*arguments))
            except BaseException as error:
                done.set_exception(error)

        self.loop.call_soon(run)
        await done

    async def turns(self, count: int = 3) -> None:
        """Let the loop turn: what does not happen then does not happen by itself."""
        for _ in range(count):
            await asyncio.sleep(0)


Test = Callable[[Tasks], Awaitable[None]]


def run_with(kind: str, loop: str, debug: bool, test: Test) -> None:
    """Run a test with tasks of one kind on one loop. A complaint of the loop that the test leaves is a failure."""

    async def main() -> None:
        tasks = Tasks(kind)
        await test(tasks)
        assert tasks.complaints == []

    with asyncio.Runner(debug=debug, loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(main())


def on_tasks(*kinds: str) -> Callable[[Test], Callable[[str, str, bool], None]]:
    """Run an ``async def test(tasks)`` with tasks of those kinds (``asyncio``, ``direct``), on both loops."""
    if not IS_BUILT:
        kinds = tuple(kind for kind in kinds if kind != "direct")
    cases = [
        pytest.param(kind, loop, debug, id=f"{kind}-{loop}{'-debug' if debug else ''}")
        for kind in kinds
        for loop in ("asyncio", "uvloop")
        for debug in (False, True)
    ]

    def decorate(test: Test) -> Callable[[str, str, bool], None]:
        @pytest.mark.parametrize(("kind", "loop", "debug"), cases)
        def run(kind: str, loop: str, debug: bool) -> None:
            run_with(kind, loop, debug, test)

        run.__doc__ = test.__doc__
        return run

    return decorate


alike = on_tasks("asyncio", "direct")
direct_only = on_tasks("direct")


def run_all(test: Any) -> None:
    """Run what ``alike`` has made of an inner test, in all its cases."""
    for mark in test.pytestmark:
        for case in mark.args[1]:
            test(*case.values)


WAITS = ("wakeup", "future", "task", "event", "sleep")


class Waits:
    """Everything of ``WAITS`` that a coroutine may wait for, and how the wait ends well."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.wakeup = Wakeup(loop)
        self.future: asyncio.Future[None] = loop.create_future()
        self.event = asyncio.Event()

    async def on(self, name: str) -> None:
        """Wait; ``end`` ends it."""
        if name == "wakeup":
            await self.wakeup  # type: ignore[misc]
        elif name == "future":
            await self.future
        elif name == "task":
            await self.loop.create_task(self._again())
        elif name == "event":
            await self.event.wait()
        else:
            await asyncio.sleep(DEADLINE)

    async def _again(self) -> None:
        await self.event.wait()

    def end(self, name: str) -> None:
        """What is waited for has come; a sleep has no end that a test could wait for."""
        if name == "wakeup":
            self.wakeup.wake()
        elif name == "future":
            self.future.set_result(None)
        else:
            self.event.set()


# What tasks run, and how they end.

place: ContextVar[object] = ContextVar("place", default="nowhere")


async def nothing() -> None:
    return None


async def give(value: object) -> object:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def ending_of(task: asyncio.Task[Any]) -> tuple[object, ...]:
    """How a cancelled task ends: the arguments of its exception."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert task.done()
    assert task.cancelled()
    for ask in (task.result, task.exception):
        with pytest.raises(asyncio.CancelledError):
            ask()
    assert not task.cancel("again")
    return caught.value.args
