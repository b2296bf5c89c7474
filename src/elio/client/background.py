"""The event loop behind the clients for threads: one for the process, in a thread of its own.

Whenever the loop runs it holds a lock, and lets go of it only while it waits for something to happen. So a thread that
has the lock can use what belongs to the loop as if it were the loop: a message goes out, or is taken from its queue,
without a change of threads. A thread that waits for a message waits on the socket itself where the reactor can lend it,
and is the one that reads; the loop takes the socket back soon after nobody waits there any more. Everything else goes
through :meth:`Background.run`.

The loop comes with its first use. It ends with the interpreter, and a forked process has none until it needs its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from typing import Any, Final, Protocol, TypeVar

from ..errors import ConcurrencyError
from ..net.ready import Wakeup

__all__ = ["Background", "Waiting"]

_T = TypeVar("_T")

_STOP_TIMEOUT: Final = 2.0
"""Seconds that the end of the interpreter waits for the loop."""


class Waiting(Protocol):
    """A thread that waits for something that the loop may bring about."""

    def tell(self) -> None:
        """It has come about. Called with the lock held."""
        ...


class _ParkingSelector(selectors.DefaultSelector):
    """Waits without the lock, and tells the threads that wait before it does."""

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background

    def select(self, timeout: float | None = None) -> Any:
        """See :meth:`selectors.BaseSelector.select`."""
        background = self._background
        if background.waiting:
            background.tell_waiting()
        background.lock.release()
        try:
            return super().select(timeout)
        finally:
            background.lock.acquire()


class _Loop(asyncio.SelectorEventLoop):
    """A loop that wakes up for what other threads have it do while they hold the lock."""

    _thread_id: int | None  # of asyncio's base class

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See :meth:`asyncio.AbstractEventLoop.call_soon`."""
        if threading.get_ident() == self._thread_id:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See :meth:`asyncio.AbstractEventLoop.call_at`."""
        handle = super().call_at(when, callback, *args, context=context)
        if threading.get_ident() != self._thread_id:
            super().call_soon_threadsafe(int)
        return handle

    async def cut_connections(self) -> None:
        """Abort what is still open, so that nothing warns of it. The reactor has done the same with its streams."""
        for transport in list(getattr(self, "_transports", {}).values()):
            transport.abort()
        for _ in range(2):  # they tell their receivers in the next turn, and those of TLS theirs in the one after it
            await asyncio.sleep(0)

    def _check_thread(self) -> None:
        """Nothing, in debug mode too: who has the lock may do what only the thread of the loop may do else."""

    def __del__(self, _warn: object = None) -> None:
        """Nothing: a forked process gives up the loop of its parent, whose sockets it must not touch."""


class Background:
    """A loop in a thread.

    Attributes:
        lock: who has it may use what belongs to the loop.
        loop: the loop.
        is_ours: whether it belongs to this process.
        waiting: the threads that wait, and for what.
    """

    __slots__ = ("_thread", "is_ours", "lock", "loop", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: dict[Waiting, Wakeup] = {}
        self.loop = _Loop(_ParkingSelector(self))
        self.is_ours = True
        self._thread = threading.Thread(target=self._main, name="elio", daemon=True)
        self._thread.start()

    @staticmethod
    def current() -> Background:
        """That of this process, started if need be."""
        with _Process.starting:
            found = _Process.background
            if found is None:
                found = _Process.background = Background()
            return found

    def _main(self) -> None:
        loop = self.loop
        asyncio.set_event_loop(loop)
        with self.lock:
            try:
                loop.run_forever()
            finally:
                tasks = asyncio.all_tasks(loop)
                for task in tasks:
                    task.cancel()
                if tasks:
                    loop.run_until_complete(asyncio.wait(tasks))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.cut_connections())
                loop.close()

    def tell_waiting(self) -> None:
        """Tell the threads whose wait is over. Called with the lock held."""
        for waiting, wakeup in list(self.waiting.items()):
            if wakeup.is_done:
                del self.waiting[waiting]
                waiting.tell()

    def check(self) -> None:
        """See whether the calling thread may wait for the loop.

        Raises:
            ConcurrencyError: it is the loop's own thread, or a process that was forked off.
        """
        if not self.is_ours:
            raise ConcurrencyError("this client belongs to the process that this one was forked from")
        if threading.get_ident() == self._thread.ident:
            raise ConcurrencyError("a client for threads cannot be waited for in the thread of its event loop")

    def run(self, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any, timeout: float | None = None) -> _T:
        """Run a coroutine on the loop and wait for it. It is cancelled if the wait is interrupted.

        Args:
            function: makes the coroutine, on the loop.
            args: its arguments.
            timeout: seconds to wait.

        Raises:
            TimeoutError: it took longer.
        """
        self.check()
        future: Future[_T] = asyncio.run_coroutine_threadsafe(_call(function, args), self.loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop, and whatever goes on in it."""
        if self.is_ours and self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_STOP_TIMEOUT)


async def _call(function: Callable[..., Coroutine[Any, Any, _T]], args: tuple[Any, ...]) -> _T:
    return await function(*args)


class _Process:
    """What there is one of in a process."""

    starting = threading.Lock()
    background: Background | None = None

    @classmethod
    def forget(cls) -> None:
        """A forked process has none of the threads of its parent."""
        background, cls.background = cls.background, None
        cls.starting = threading.Lock()
        if background is not None:
            background.is_ours = False

    @classmethod
    def stop(cls) -> None:
        """The interpreter ends."""
        background, cls.background = cls.background, None
        if background is not None:
            background.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Process.forget)
atexit.register(_Process.stop)
