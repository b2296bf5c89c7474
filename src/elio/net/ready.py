"""Awaitables that cost next to nothing.

``READY`` is done already, and one object serves everybody. ``YIELD`` lets the loop turn once. ``Wakeup`` is a future
cut down to what a task needs, which can be woken in place: the task runs inside the call that wakes it. ``Steps`` is a
coroutine cut down to its steps.

The first two stand in for coroutines (``asyncio.create_task`` takes them too), which is why they have ``send``,
``throw`` and ``close``.
"""

from __future__ import annotations

import asyncio.tasks
import sys
from asyncio import AbstractEventLoop, CancelledError
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, Final, NoReturn, cast

__all__ = ["READY", "YIELD", "Later", "Resumable", "Steps", "Wakeup", "running_task"]

running_task: Callable[[AbstractEventLoop], object]
"""The task that runs on a loop, or None."""
if sys.version_info >= (3, 12):
    running_task = asyncio.current_task
else:  # where asyncio.current_task is a function in Python, this is what it looks into
    running_task = vars(asyncio.tasks)["_current_tasks"].get


def _raise(kind: type[BaseException] | BaseException, value: BaseException | object) -> NoReturn:
    if isinstance(kind, BaseException):
        raise kind
    raise value if isinstance(value, BaseException) else kind()


class _Ready:
    __slots__ = ()

    def __await__(self) -> _Ready:
        return self

    def __iter__(self) -> _Ready:
        return self

    def __next__(self) -> None:
        raise StopIteration

    def send(self, value: object) -> None:
        raise StopIteration

    def throw(self, kind: Any, value: object = None, traceback: TracebackType | None = None) -> None:
        _raise(kind, value)

    def close(self) -> None:
        return None


class _Turn:
    """Yields once."""

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done = False

    def __iter__(self) -> _Turn:
        return self

    def __next__(self) -> None:
        if self._done:
            raise StopIteration
        self._done = True


class _Yield:
    __slots__ = ()

    def __await__(self) -> _Turn:
        return _Turn()

    def send(self, value: object) -> None:
        # Only a task that was made of this very object comes here: it has already waited for its turn.
        raise StopIteration

    def throw(self, kind: Any, value: object = None, traceback: TracebackType | None = None) -> None:
        _raise(kind, value)

    def close(self) -> None:
        return None


class Later:
    """A coroutine that is made when it is awaited: nobody is warned if it never is."""

    __slots__ = ("_inner", "_make")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._make = make
        self._inner: Coroutine[Any, Any, None] | None = None

    def __await__(self) -> Any:
        return self._make().__await__()

    def _start(self) -> Coroutine[Any, Any, None]:
        if self._inner is None:
            self._inner = self._make()
        return self._inner

    def send(self, value: object) -> Any:
        """Part of the interface of coroutines."""
        return self._start().send(value)

    def throw(self, kind: Any, value: object = None, traceback: TracebackType | None = None) -> Any:
        """Part of the interface of coroutines."""
        return self._start().throw(kind if isinstance(kind, BaseException) else kind())

    def close(self) -> None:
        """Part of the interface of coroutines."""
        if self._inner is not None:
            self._inner.close()


class Steps:
    """A coroutine of which only the steps are written: what a task awaits to receive. ``elio._send`` makes it fast.

    Subclasses have the step, and :meth:`close` for a task that does not come back.
    """

    __slots__ = ("_iterating", "_source", "_wakeup")

    _iterating: bool
    _source: Any
    _wakeup: Wakeup | None

    def step(self) -> Any:
        """The value, or the :class:`Wakeup` that the task has to wait for, which ``_asyncio_future_blocking`` tells."""
        raise NotImplementedError

    def close(self) -> None:
        """Part of the interface of coroutines: wait no more."""

    def __await__(self) -> Steps:
        return self

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Wakeup:
        result = self.step()
        if isinstance(result, Wakeup):
            return result
        raise StopIteration(result)

    def send(self, value: object) -> Wakeup:
        """Part of the interface of coroutines."""
        return self.__next__()

    def throw(self, kind: Any, value: object = None, traceback: TracebackType | None = None) -> NoReturn:
        """Part of the interface of coroutines: the waiting task gets an exception instead, such as its cancellation."""
        self.close()
        _raise(kind, value)


for _kind in (_Ready, _Yield, Later, Steps):
    Coroutine.register(_kind)

READY: Final = cast("Coroutine[Any, Any, None]", _Ready())
"""An awaitable that is done."""

YIELD: Final = cast("Coroutine[Any, Any, None]", _Yield())
"""An awaitable that lets the loop turn once."""


class Resumable:
    """A task of our own kind, which a :class:`Wakeup` runs without asyncio's protocol of futures between them."""

    __slots__ = ()

    def resume(self) -> None:
        """Go on. No task may be running."""
        raise NotImplementedError


class Wakeup:
    """One wait of one task, woken in place where that is allowed.

    It speaks asyncio's protocol of futures: a task that awaits it leaves its callback here, and :meth:`wake` calls that
    callback at once, in the task's context, provided that no task is running; otherwise through the loop.

    Attributes:
        is_done: whether the wait is over.
        value: whatever the one who wakes leaves for the one who waits.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_loop",
        "_task",
        "is_done",
        "value",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._task: Resumable | None = None
        self.is_done = False
        self._cancelled: tuple[Any] | None = None
        self.value: Any = None

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Wakeup:
        return self

    def __next__(self) -> Wakeup:
        if not self.is_done:
            self._asyncio_future_blocking = True
            return self
        if self._cancelled is not None:
            self.result()
        raise StopIteration

    def reset(self) -> None:
        """Be good for another wait; the present one must be over and its task have run."""
        self.is_done = False

    def get_loop(self) -> AbstractEventLoop:
        """The loop of the waiting task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Called by the task that waits."""
        self._callback = callback
        self._context = context
        if self.is_done:
            self._call_soon()

    def park(self, task: Resumable) -> None:
        """Called by a task of our own kind, in place of :meth:`add_done_callback`."""
        self._task = task
        if self.is_done:
            self._call_soon()

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget the callback; returns how many were forgotten."""
        if self._callback != callback:
            return 0
        self._callback = None
        return 1

    def done(self) -> bool:
        """Whether the wait is over."""
        return self.is_done

    def cancelled(self) -> bool:
        """Whether the wait was cancelled."""
        return self._cancelled is not None

    def cancel(self, msg: Any = None) -> bool:
        """Called when the waiting task is cancelled; it is woken through the loop."""
        if self.is_done:
            return False
        self.is_done = True
        self._cancelled = (msg,)
        self._call_soon()
        return True

    def result(self) -> None:
        """Raises ``CancelledError`` if the wait was cancelled."""
        if self._cancelled is not None:
            message = self._cancelled[0]
            raise CancelledError() if message is None else CancelledError(message)

    def exception(self) -> None:
        """Never an exception of its own."""
        self.result()

    def wake(self) -> None:
        """End the wait: run the task now if no task is running, else at the next turn of the loop."""
        if running_task(self._loop) is None:
            self.run()
        else:
            self.wake_soon()

    def run(self) -> None:
        """End the wait and run the task now. No task may be running: entering one from another is an error."""
        if self.is_done:
            return
        self.is_done = True
        task = self._task
        if task is not None:
            self._task = None
            task.resume()
            return
        callback = self._callback
        if callback is None:
            return
        self._callback = None
        context = self._context
        if context is None:
            callback(self)
        else:
            context.run(callback, self)

    def wake_soon(self) -> None:
        """End the wait at the next turn of the loop."""
        if not self.is_done:
            self.is_done = True
            self._call_soon()

    def _call_soon(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            self._loop.call_soon(task.resume)
            return
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
