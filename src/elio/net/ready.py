"""Awaitables that cost next to nothing.

``READY`` is done already, and one object serves everybody. ``YIELD`` lets the loop turn once. ``Wakeup`` is a future
cut down to what a task needs, which can be woken in place: the task runs inside the call that wakes it.

They stand in for coroutines (``asyncio.create_task`` takes them too), which is why they have ``send``, ``throw`` and
``close``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, Final

__all__ = ["READY", "YIELD", "Later", "Wakeup"]


class _Ready(Coroutine[Any, Any, None]):
    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return self

    def __iter__(self) -> _Ready:
        return self

    def __next__(self) -> None:
        raise StopIteration

    def send(self, value: Any) -> None:
        raise StopIteration

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> None:
        if isinstance(typ, BaseException):
            raise typ
        raise val if isinstance(val, BaseException) else typ()

    def close(self) -> None:
        return None


class _Yield(Coroutine[Any, Any, None]):
    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield

    def send(self, value: Any) -> None:
        # Only a task that was made of this very object comes here: it has already waited for its turn.
        raise StopIteration

    throw = _Ready.throw

    def close(self) -> None:
        return None


class Later(Coroutine[Any, Any, None]):
    """A coroutine that is made when it is awaited: nobody is warned if it never is."""

    __slots__ = ("_inner", "_make")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._make = make
        self._inner: Coroutine[Any, Any, None] | None = None

    def __await__(self) -> Generator[Any, Any, None]:
        return self._make().__await__()

    def send(self, value: Any) -> Any:
        if self._inner is None:
            self._inner = self._make()
        return self._inner.send(value)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> Any:
        if self._inner is None:
            self._inner = self._make()
        return self._inner.throw(typ if isinstance(typ, BaseException) else typ())

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


READY: Final[Coroutine[Any, Any, None]] = _Ready()
"""An awaitable that is done."""

YIELD: Final[Coroutine[Any, Any, None]] = _Yield()
"""An awaitable that lets the loop turn once."""


class Wakeup:
    """One wait of one task, woken in place where that is allowed.

    It speaks asyncio's protocol of futures: a task that awaits it leaves its callback here, and :meth:`wake` calls that
    callback at once, in the task's context, provided that no task is running; otherwise through the loop.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_done", "_loop", "value")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._done = False
        self._cancelled: tuple[Any] | None = None
        self.value: Any = None

    def __await__(self) -> Generator[Any, Any, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the waiting task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Called by the task that waits."""
        self._callback = callback
        self._context = context
        if self._done:
            self._call_soon()

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget the callback; returns how many were forgotten."""
        if self._callback != callback:
            return 0
        self._callback = None
        return 1

    def done(self) -> bool:
        """Whether the wait is over."""
        return self._done

    def cancelled(self) -> bool:
        """Whether the wait was cancelled."""
        return self._cancelled is not None

    def cancel(self, msg: Any = None) -> bool:
        """Called when the waiting task is cancelled; it is woken through the loop."""
        if self._done:
            return False
        self._done = True
        self._cancelled = (msg,)
        self._call_soon()
        return True

    def result(self) -> None:
        """Raises ``CancelledError`` if the wait was cancelled."""
        if self._cancelled is not None:
            message = self._cancelled[0]
            raise asyncio.CancelledError() if message is None else asyncio.CancelledError(message)

    def exception(self) -> None:
        """Never an exception of its own."""
        self.result()

    def wake(self) -> None:
        """End the wait: run the task now if no task is running, else at the next turn of the loop."""
        if self._done:
            return
        self._done = True
        callback = self._callback
        if callback is None:
            return
        if asyncio.current_task(self._loop) is not None:
            self._call_soon()
            return
        self._callback = None
        context = self._context
        if context is None:
            callback(self)
        else:
            context.run(callback, self)

    def wake_soon(self) -> None:
        """End the wait at the next turn of the loop."""
        if not self._done:
            self._done = True
            self._call_soon()

    def _call_soon(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
