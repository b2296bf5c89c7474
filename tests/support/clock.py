"""Clocks that tests move: an event loop cut down to one, and a real loop whose time passes when nothing happens."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable
from typing import Any


class _Handle:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeLoop:
    """``time``, ``call_at`` and ``call_soon``; :meth:`advance` moves the clock and calls what is due."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._number = itertools.count()
        self._heap: list[tuple[float, int, _Handle, Callable[[], Any]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], Any]) -> _Handle:
        handle = _Handle()
        heapq.heappush(self._heap, (when, next(self._number), handle, callback))
        return handle

    def call_soon(self, callback: Callable[[], Any]) -> _Handle:
        return self.call_at(self.now, callback)

    def advance(self, seconds: float) -> None:
        """Let time pass on an idle loop."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            when, _, handle, callback = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            if not handle.is_cancelled:
                callback()
        self.now = end

    def block(self, seconds: float) -> None:
        """Let time pass while the loop can do nothing; then it does what is due."""
        self.now += seconds
        self.advance(0.0)

    @property
    def pending(self) -> int:
        """How many calls are scheduled and not cancelled."""
        return sum(not handle.is_cancelled for _, _, handle, _ in self._heap)


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Waits for nothing: where a wait would be, time passes."""

    patience = 0.002
    """Seconds for what is on its way through the system before it counts as nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            found: list[Any] = super().select(timeout)
            return found
        found = super().select(min(timeout, self.patience))
        if not found:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with sockets in which sleeping takes no time."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
