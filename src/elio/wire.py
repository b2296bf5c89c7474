"""The half of a WebSocket that the stream talks to: input, the queue, flow control, keep-alive pings, the end.

``WebSocket`` is the other half, which the program talks to. What one read of the socket brings is handled as a burst:
while it lasts, what handlers send is collected, and a handler that waits for a message runs inside it, without another
turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from os import urandom
from random import random
from time import perf_counter
from typing import Any, Final

from .causes import PeerClosed, PingTimeout
from .errors import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    RemoteProtocolError,
    connection_closed,
)
from .net.outlet import Outlet
from .net.ready import Steps, Wakeup, running_task
from .net.runtime import Runtime
from .net.stream import Stream
from .websocket.codes import CloseCode
from .websocket.connection import Connection, Role, State
from .websocket.message import Close, Ping, Pong

__all__ = ["Receive", "Wire"]

_BURSTS: Final = 16
"""Bursts of messages handled in one turn of the loop before other connections have theirs."""

_NEVER: Final = inf
_OPEN: Final = State.OPEN
_SERVER: Final = Role.SERVER
_INTERNAL_ERROR: Final = CloseCode.INTERNAL_ERROR

_LINGER: Final = 1.0
"""Seconds for which input is still taken (and dropped) after a failure: a reset must not overtake our close frame."""


class Receive(Steps):
    """One ``receive`` of one task. :meth:`Wire._begin` makes it."""

    __slots__ = ()

    def step(self) -> Any:
        """The message, or what the task has to wait for.

        Raises:
            ConnectionClosed: there will be none.
            CancelledError: the wait was cancelled.
        """
        wire = self._source
        wakeup = self._wakeup
        if wakeup is not None:
            if not wakeup.is_done:
                wakeup._asyncio_future_blocking = True
                return wakeup
            self._wakeup = None
            wakeup.result()
            message = wakeup.value
            wakeup.value = None
            wire._spare = wakeup
            if message is not None:
                return message
        message = wire._next(self._iterating)
        if message is None:
            wakeup = self._wakeup = wire._wait()
            wakeup._asyncio_future_blocking = True
            return wakeup
        return message

    def close(self) -> None:
        """Wait no more. A message that was on its way to the task stays the next one."""
        wire = self._source
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wire._abandon(wakeup)


class Wire(Outlet):
    """Joins the protocol to a stream and to the task that receives."""

    __slots__ = (
        "_begun_closing",
        "_bucket",
        "_closed_waiters",
        "_connection",
        "_continuing",
        "_deadline",
        "_discarding",
        "_ended",
        "_error",
        "_heard",
        "_on_lost",
        "_ping_due",
        "_ping_sent",
        "_pings",
        "_probe",
        "_probe_at",
        "_queue",
        "_reading_paused",
        "_resumes",
        "_spare",
        "_told",
        "_waiter",
        "latency",
    )

    def __init__(self, connection: Connection, stream: Stream, runtime: Runtime) -> None:
        Outlet.__init__(self, stream, runtime)
        self.latency: float | None = None
        self._connection = connection
        self._queue: deque[str | bytes] | None = None
        self._waiter: Wakeup | None = None
        self._spare: Wakeup | None = None
        self._closed_waiters: list[Wakeup] | None = None
        self._pings: dict[bytes, tuple[float, list[asyncio.Future[float]]]] | None = None
        self._probe: bytes | None = None
        self._error: RemoteProtocolError | None = None
        self._on_lost: Callable[[], object] | None = None
        self._begun_closing = False
        self._continuing = False
        self._discarding = False
        self._ended = False
        self._heard = True
        self._reading_paused = False
        self._resumes = False
        self._told = False
        self._bucket = -1
        self._deadline = 0.0
        self._ping_due = 0.0
        self._ping_sent = 0.0
        self._probe_at = 0.0

    def _time_out_opening(self) -> bool:
        """The deadline has passed. Returns whether it was that of an opening handshake, which is dealt with then."""
        return False

    # -- the queue -----------------------------------------------------------------------------------------------------

    def _take(self, queue: deque[str | bytes]) -> str | bytes:
        message = queue.popleft()
        if len(queue) < self._runtime.limits.max_queue and (self._connection.more or self._reading_paused):
            self._continue()
        return message

    def _begin(self, iterating: bool) -> Any:
        """What a task awaits to receive.

        Args:
            iterating: whether an agreed end is the end of an iteration instead of an exception.
        """
        receive = Receive.__new__(Receive)
        receive._source = self
        receive._wakeup = None
        receive._iterating = iterating
        return receive

    def _next(self, iterating: bool) -> str | bytes | None:
        """The next message for a task that receives; None if it has to wait."""
        queue = self._queue
        if queue:
            return self._take(queue)
        if self._waiter is not None:
            raise ConcurrencyError("another task is receiving from this connection already")
        self._begin_receiving()
        self._streak = 0
        queue = self._queue
        if queue:
            return self._take(queue)
        if self._ended:
            error = self._closed_error()
            if iterating and isinstance(error, ConnectionClosedOK):
                raise StopAsyncIteration
            raise error
        return None

    def _wait(self) -> Wakeup:
        """What the task that receives waits for; the same object serves one wait after the other."""
        wakeup = self._spare
        if wakeup is None:
            wakeup = Wakeup(self._runtime.loop)
        else:
            self._spare = None
            wakeup.reset()
        self._waiter = wakeup
        return wakeup

    def _abandon(self, wakeup: Wakeup) -> None:
        """The task does not wait any more; what it would have got stays the next message."""
        if self._waiter is wakeup:
            self._waiter = None
        if wakeup.value is not None:
            self._put_back(wakeup.value)

    def _begin_receiving(self) -> None:
        """The program wants a message."""

    def _put_back(self, message: str | bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.appendleft(message)

    def _deliver(self, message: str | bytes) -> None:
        self._runtime.traffic.messages_received += 1
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.value = message
            if self._resumes:
                waiter.run()
            else:
                waiter.wake()
            return
        if self._queue is None:
            self._queue = deque()
        if self._begun_closing and len(self._queue) >= self._runtime.limits.max_queue:
            return  # this side has closed and nobody takes messages: there is nobody to keep them for
        self._queue.append(message)

    @property
    def queued(self) -> int:
        """Messages that have come and were not taken yet."""
        return 0 if self._queue is None else len(self._queue)

    def _is_full(self) -> bool:
        return self._queue is not None and len(self._queue) >= self._runtime.limits.max_queue

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """No further message will come; whoever waits for one is told."""
        self._ended = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.wake()

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._runtime.timer.now() + seconds
        self._schedule()

    def _closed_error(self) -> ConnectionClosed:
        self._told = True
        protocol = self._connection
        code = protocol.close_code
        if code is None:  # this side has begun to close and the peer has not answered yet
            code = 1006 if protocol.close_sent is None else protocol.close_sent.code
        detail = "" if self._error is None else str(self._error)
        if not detail and code == CloseCode.ABNORMAL and self.cause is not None:
            detail = self.cause.text
        by_peer = protocol.close_received is not None and not self._begun_closing
        reason = protocol.close_reason or ""
        error = connection_closed(code, reason, by_peer=by_peer, detail=detail, cause=self.cause)
        error.__cause__ = self._error
        return error

    def _take_output(self) -> bytes | list[bytes]:
        return self._connection.pieces_to_send()

    # -- called by the stream ------------------------------------------------------------------------------------------

    def connection_made(self, transport: object) -> None:
        """Part of asyncio's protocol; the stream is known already."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        self._heard = True
        self._runtime.traffic.bytes_received += len(data)
        if self._discarding:
            return
        self._process(data)

    def _process(self, data: bytes) -> None:
        connection = self._connection
        self._corked = True
        self._resumes = running_task(self._runtime.loop) is None
        try:
            self._handle(connection.receive_data(data))
            bursts = 1
            while connection.more and bursts < _BURSTS and not self._is_full():
                self._handle(connection.receive_data(b""))
                bursts += 1
        finally:
            self._corked = False
            self._resumes = False
            self.flush()
        if connection.more and not self._continuing and not self._is_full():
            self._continuing = True
            self._runtime.loop.call_soon(self._go_on)
        self._after_input()

    def _go_on(self) -> None:
        self._continuing = False
        if self._connection.more and not self._is_full():
            self._process(b"")

    def _continue(self) -> None:
        """The queue has room again."""
        if self._connection.more:
            if not self._continuing:
                self._continuing = True
                self._runtime.loop.call_soon(self._go_on)
            return
        self._update_reading()

    def _handle(self, events: Sequence[str | bytes | Ping | Pong | Close | RemoteProtocolError]) -> None:
        for event in events:
            if isinstance(event, (str, bytes)):
                self._deliver(event)
            elif isinstance(event, Pong):
                self._pong_received(event.payload)
            elif isinstance(event, Close):
                self._closed_by_peer(event.code, event.reason)
            elif isinstance(event, RemoteProtocolError):
                self._error = event
                self.explain(event.cause)
                self._end()

    def _closed_by_peer(self, code: int, reason: str) -> None:
        blockage = self._runtime.timer.blockage() if code == _INTERNAL_ERROR else None
        self.explain(blockage or PeerClosed(code, reason))
        self._end()

    def _after_input(self) -> None:
        if self._lost:
            self._end_of_input(None)
            return
        if self._ended and not self._discarding:
            if self._error is not None:
                self._linger()
            elif self._connection.close_received is not None:
                self._finish()
        self._update_reading()

    def _end_of_input(self, error: Exception | None) -> None:
        """The peer sends nothing more: the connection has ended once all that came is taken."""
        if not self._ended and not self._connection.more:
            self._handle(self._connection.receive_eof())
            self._departed(error)
            self._end()

    def _finish(self) -> None:
        """Both close frames are exchanged: the server closes the stream first, the client waits for that (7.1.1)."""
        self._discarding = True
        if self._connection.role is _SERVER:
            self._stream.close()
        self._set_deadline(self._runtime.limits.close_timeout)

    def _linger(self) -> None:
        """Our close frame is out; what the peer still sends is dropped until it has seen that."""
        self._discarding = True
        if self._stream.can_write_eof():
            self._stream.write_eof()
        self._set_deadline(min(_LINGER, self._runtime.limits.close_timeout))

    def _update_reading(self) -> None:
        if self._lost:
            return
        wanted = (
            self._discarding or self._begun_closing or not (self._paused or self._is_full() or self._connection.more)
        )
        if wanted and self._reading_paused:
            self._reading_paused = False
            self._stream.resume_reading()
        elif not wanted and not self._reading_paused:
            self._reading_paused = True
            self._stream.pause_reading()

    def pause_writing(self) -> None:
        """The peer takes too little: nothing more is read from it, so that its pings cannot pile up answers."""
        Outlet.pause_writing(self)
        self._update_reading()
        self._schedule()

    def resume_writing(self) -> None:
        """The peer has taken enough."""
        Outlet.resume_writing(self)
        self._update_reading()

    def eof_received(self) -> bool:
        """The peer will send nothing more; without a close frame that is 1006 (RFC 6455 7.1.5)."""
        self._end_of_input(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        self._lost = True
        self._runtime.timer.forget(self, self._bucket)
        self._end_of_input(exc)
        self._departed(exc)
        self._wake_writers()
        self._stop_watching()
        pings, self._pings = self._pings, None
        for _, waiters in (pings or {}).values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(self._closed_error())
        closing, self._closed_waiters = self._closed_waiters, None
        for closed in closing or ():
            closed.wake_soon()
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _start_pings(self, now: float) -> None:
        """The first comes up to half an interval early: connections that came together are not pinged together."""
        interval = self._runtime.limits.ping_interval
        if interval is not None:
            self._ping_due = now + interval * (1.0 - random() / 2)

    def _schedule(self) -> None:
        """Ask the timer for the earliest of: the deadline, the next ping, the end of waiting, a stalled peer."""
        if self._lost:
            return
        limits = self._runtime.limits
        timer = self._runtime.timer
        due = min(self._deadline or _NEVER, self._ping_due or _NEVER)
        if self._ping_sent and limits.ping_timeout is not None:
            due = min(due, self._ping_sent + limits.ping_timeout)
        if self._paused and limits.send_timeout is not None:
            due = min(due, self._stalled_since + limits.send_timeout)
        timer.forget(self, self._bucket)
        if due < _NEVER:
            self._bucket = timer.schedule(self, max(due, timer.now()))

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if self._lost:
            return
        if self._deadline and now >= self._deadline:
            self._deadline = 0.0
            if not self._time_out_opening():
                self._stream.abort()
                return
        if self._is_stalled(now):
            self._cut_stalled()
            return
        if self._ping_due and self._connection.state is _OPEN:
            self._keep_alive(now)
        self._schedule()

    def _keep_alive(self, now: float) -> None:
        limits = self._runtime.limits
        if self._heard or self._reading_paused:
            self._ping_sent = 0.0
        if self._ping_sent and limits.ping_timeout is not None and now >= self._ping_sent + limits.ping_timeout:
            self._connection.send_close(CloseCode.INTERNAL_ERROR, "keep-alive ping timed out")
            self.flush()
            self._cut(PingTimeout(now - self._ping_sent, self.latency, self._runtime.timer.lag))
            return
        if now < self._ping_due or limits.ping_interval is None:
            return
        self._ping_due = now + limits.ping_interval
        self._connection.reset_empty_frames()
        if not self._ping_sent:
            self._ping_sent = now
            self._heard = False
        if self._probe is None:
            self._probe = urandom(4)
            self._probe_at = perf_counter()
        self._connection.send_ping(self._probe)
        self._emit(4)

    def _pong_received(self, payload: bytes) -> None:
        """A pong answers its ping and every earlier one (RFC 6455 5.5.3)."""
        sent = self._sent_at(payload)
        if not sent:
            return
        now = perf_counter()
        if self._probe is not None and self._probe_at <= sent:
            self._probe = None
            self._runtime.traffic.round_trips.observe(now - self._probe_at)
        pings = self._pings
        if pings is not None:
            for each in [each for each, (when, _) in pings.items() if when <= sent]:
                when, waiters = pings.pop(each)
                self._runtime.traffic.round_trips.observe(now - when)
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(now - when)
            if not pings:
                self._pings = None
        self.latency = now - sent

    def _sent_at(self, payload: bytes) -> float:
        """When the ping went out that nobody has answered yet; 0.0 if there is none."""
        if payload == self._probe:
            return self._probe_at
        return 0.0 if self._pings is None else self._pings.get(payload, (0.0, None))[0]
