"""The sending side of a connection: what goes out at once, what waits for the end of a turn, and when a sender waits.

``WebSocket`` and ``EventStream`` build on it. Three rules:

- what is sent first in a turn of the loop goes out at once, the rest of the turn in one write at its end;
- above the high-water mark of the stream a sender waits until the peer has taken some;
- a task that only sends lets the loop turn once in a bounded number of sends, so that nobody else starves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Final, Protocol

from ..causes import Cause, SlowConsumer, cause_of_loss
from ..limits import LARGE
from .ready import READY, YIELD, Later
from .runtime import Runtime
from .stream import Stream, forget_unsent

__all__ = ["Outlet", "Sink", "Watcher"]

_STREAK: Final = 64
"""Sends (each 4 KiB counts as one more) after which a task that only sends lets the loop turn."""

_LARGE: Final = LARGE
"""Bytes from which on a message is not held back for the end of the turn."""


class Sink:
    """Base of streams of our own kind, which an outlet writes to without looking the method up."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        """Send at once what the system takes, and keep the rest."""
        raise NotImplementedError


class Watcher(Protocol):
    """Who sends to an outlet without waiting for it, and has to know how it fares."""

    def paused(self) -> None:
        """The peer takes too little."""
        ...

    def resumed(self) -> None:
        """The peer has taken enough."""
        ...

    def lost(self) -> None:
        """Nothing can be sent any more."""
        ...


class Outlet:
    """Base of what sends over a stream. Subclasses say what is waiting (:meth:`_take_output`).

    Attributes:
        cause: why the connection ends or has ended, see :mod:`elio.causes`; None while nothing speaks for an end.
        watcher: who is told, if anybody is.
    """

    __slots__ = (
        "_corked",
        "_held",
        "_lost",
        "_opened_at",
        "_paused",
        "_runtime",
        "_stall_mark",
        "_stalled_since",
        "_streak",
        "_stream",
        "_turn",
        "_writers",
        "_written",
        "cause",
        "watcher",
    )

    def __init__(self, stream: Stream, runtime: Runtime) -> None:
        self._stream = stream
        self._runtime = runtime
        self._corked = False
        self._held = False
        self._paused = False
        self._lost = False
        self._streak = 0
        self._turn = 0
        self._writers: list[asyncio.Future[None]] | None = None
        self._stalled_since = 0.0
        self._stall_mark = 0
        self._written = 0
        self._opened_at = monotonic()
        self.cause: Cause | None = None
        self.watcher: Watcher | None = None

    @property
    def stream(self) -> Stream:
        """The stream below."""
        return self._stream

    @property
    def is_lost(self) -> bool:
        """Whether the stream is closed."""
        return self._lost

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return monotonic() - self._opened_at

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer to take them."""
        return self._stream.get_write_buffer_size()

    @property
    def has_room(self) -> bool:
        """Whether less than the high-water mark waits for the peer."""
        return not self._paused

    @property
    def queued(self) -> int:
        """Bytes that wait for the peer in this process."""
        return self._stream.get_write_buffer_size()

    # -- the cause of the end ------------------------------------------------------------------------------------------

    def explain(self, cause: Cause) -> None:
        """Say why the connection is about to end. The first who speaks is right: what follows are consequences."""
        if self.cause is None:
            self.cause = cause

    def _departed(self, error: Exception | None) -> Cause:
        """The peer has left, or seems to. Returns the cause, which is that if nothing was said before."""
        cause = self.cause
        if cause is None:
            cause = self.cause = self._runtime.timer.blockage() or cause_of_loss(error)
        return cause

    def _cut(self, cause: Cause) -> None:
        """End the connection now."""
        self.explain(cause)
        self._stream.abort()

    def _cut_stalled(self) -> None:
        """The peer has taken nothing for too long."""
        self._cut_slow("send_timeout", self._runtime.limits.send_timeout or 0.0)

    def _cut_slow(self, bound: str, allowed: float) -> None:
        """The peer takes too little, by the bound of this name."""
        forget_unsent(self._stream)
        self._cut(SlowConsumer(self._stream.get_write_buffer_size(), bound, allowed))

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def _take_output(self) -> bytes | list[bytes]:
        """Everything encoded and not yet written, in one piece or in several."""
        raise NotImplementedError

    def _closed_error(self) -> Exception:
        """What a sender is told when the connection has ended."""
        raise NotImplementedError

    def _emit(self, size: int) -> None:
        """See to it that what was just encoded (``size`` bytes of it) goes out."""
        if size >= _LARGE:
            self.flush()
        elif not self._corked:
            runtime = self._runtime
            if self._turn != runtime.turn:
                self._turn = runtime.begin_turn()
                self.flush()
            elif not self._held:
                self._held = True
                runtime.flush_later(self)

    def _room(self, size: int) -> Coroutine[Any, Any, None]:
        """What a sender of ``size`` bytes awaits: nothing, a turn of the loop, or that the peer takes some."""
        if self._paused:
            return Later(self._wait_writable)
        self._streak += 1 + (size >> 12)
        if self._streak > _STREAK:
            self._streak = 0
            return YIELD
        return READY

    def flush(self) -> None:
        """Write what was held back. Called at the end of a turn or of a burst."""
        self._held = False
        data = self._take_output()
        if data and not self._lost:
            self._write(data)

    def _write(self, data: bytes | list[bytes]) -> None:
        """Hand bytes to the stream. A peer that is too far behind is cut off: memory has a bound, whoever sends."""
        if self._paused and self._stream.get_write_buffer_size() > self._runtime.limits.max_backlog:
            self._cut_slow("max_backlog", self._runtime.limits.max_backlog)
            return
        stream = self._stream
        if isinstance(data, list):
            size = sum(map(len, data))
            self._written += size
            self._runtime.traffic.bytes_sent += size
            stream.writelines(data)
            return
        size = len(data)
        self._written += size
        self._runtime.traffic.bytes_sent += size
        if isinstance(stream, Sink):
            sink = stream
            sink.write(data)
        else:
            stream.write(data)

    async def _wait_writable(self) -> None:
        while self._paused and not self._lost:
            waiter = self._runtime.loop.create_future()
            if self._writers is None:
                self._writers = []
            self._writers.append(waiter)
            try:
                await waiter
            finally:
                if self._writers is not None and waiter in self._writers:
                    self._writers.remove(waiter)
        if self._lost:
            raise self._closed_error()

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, None
        for waiter in writers or ():
            if not waiter.done():
                waiter.set_result(None)

    def _is_stalled(self, now: float) -> bool:
        """Whether the peer has taken no byte for ``send_timeout`` seconds while bytes wait for it."""
        timeout = self._runtime.limits.send_timeout
        if not self._paused or timeout is None:
            return False
        taken = self._written - self._stream.get_write_buffer_size()
        if taken != self._stall_mark:
            self._stall_mark = taken
            self._stalled_since = now
            return False
        return now - self._stalled_since >= timeout

    # -- called by the stream ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """More bytes wait than the high-water mark allows."""
        self._paused = True
        self._stalled_since = self._runtime.timer.now()
        self._stall_mark = self._written - self._stream.get_write_buffer_size()
        if self.watcher is not None:
            self.watcher.paused()

    def resume_writing(self) -> None:
        """The peer has taken enough."""
        self._paused = False
        self._wake_writers()
        if self.watcher is not None:
            self.watcher.resumed()

    def _stop_watching(self) -> None:
        """Nothing can be sent any more."""
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.lost()
