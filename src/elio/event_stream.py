"""``EventStream``: the server's end of a stream of Server-Sent Events (WHATWG HTML 9.2).

It joins the encoder (:mod:`elio.sse`, which does no I/O) to the body of an HTTP response. The response begins with the
first thing that is sent, or shortly after the handler was started; what the handler raises before that is still an
honest HTTP error.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol, cast

from .auth.identity import Identity
from .causes import Aborted, Cause, Closed
from .errors import StreamClosed
from .headers import Headers
from .net.outlet import Outlet
from .net.ready import Wakeup
from .net.runtime import Runtime
from .net.stream import Stream
from .request import Request
from .sse.encoder import encode_comment, encode_event, encode_retry
from .sse.event import Event

__all__ = ["EventStream", "StreamResponse"]

_KEEP_ALIVE: Final = encode_comment("")

_SOONEST_RETURN: Final = 1.0
"""Seconds that a reader is asked to wait, at least, when the server goes away: it keeps to them from then on."""


class StreamResponse(Protocol):
    """The HTTP response that carries a stream."""

    def begin(self, headers: Headers) -> Callable[[bytes], bytes]:
        """Send the head.

        Returns:
            What makes a piece of the body of some bytes (RFC 9112 7.1: a chunk).
        """
        ...

    def expire(self) -> None:
        """End the stream in order, and its handler: its reader has to prove once more who it is."""
        ...


class Ending:
    """One wait for the end of a stream: a coroutine of which nothing but a :class:`Wakeup` is left once it waits."""

    __slots__ = ("_inner", "_stream")

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._inner: Iterator[object] | None = None

    def __await__(self) -> Iterator[object]:
        return self._stream._wait_closed()

    def send(self, value: object) -> object:
        """Part of the interface of coroutines."""
        if self._inner is None:
            self._inner = self._stream._wait_closed()
        return next(self._inner)

    def throw(self, kind: Any, value: object = None, traceback: TracebackType | None = None) -> NoReturn:
        """Part of the interface of coroutines: the waiting task gets an exception instead, such as its cancellation."""
        if isinstance(kind, BaseException):
            raise kind
        raise value if isinstance(value, BaseException) else kind()

    def close(self) -> None:
        """Part of the interface of coroutines: who does not wait any more is not told."""


Coroutine.register(Ending)


class _FirstPiece:
    """Makes the first piece of a body, and notes when that was; so the others need not be looked at."""

    __slots__ = ("_frame", "_stream")

    def __init__(self, stream: EventStream, frame: Callable[[bytes], bytes]) -> None:
        self._stream = stream
        self._frame = frame

    def __call__(self, data: bytes) -> bytes:
        if data is not _KEEP_ALIVE:
            self._stream.first_sent(self._frame)
        return self._frame(data)


class EventStream(Outlet):
    """One open event stream.

    ``send`` and its kin return at once while less than ``write_limit`` bytes are queued towards the reader, and wait
    above. When the reader goes, the handler's task is cancelled; whoever else sends gets :class:`elio.StreamClosed`.

    Attributes:
        request: the request that opened the stream.
        cause: why the stream has ended, see :mod:`elio.causes`; None while it is active.
    """

    __slots__ = (
        "__weakref__",
        "_begin_due",
        "_bucket",
        "_closed",
        "_closed_waiters",
        "_frame",
        "_headers",
        "_idle_since",
        "_output",
        "_response",
        "_state",
        "request",
    )

    def __init__(self, request: Request, response: StreamResponse, stream: Stream, runtime: Runtime) -> None:
        Outlet.__init__(self, stream, runtime)
        self.request = request
        self._headers: Headers | None = None
        self._response = response
        self._frame: Callable[[bytes], bytes] | None = None
        self._output: list[bytes] | None = None
        self._closed_waiters: list[Wakeup] | None = None
        self._state: dict[str, Any] | None = None
        self._closed = False
        now = runtime.timer.now()
        delay = runtime.limits.commit_delay
        self._begin_due = 0.0 if delay is None else now + delay
        self._idle_since = now
        self._bucket = -1
        self._schedule()

    def __repr__(self) -> str:
        return f"<EventStream {self.request.path} {'active' if self.is_active else 'closed'}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether events can be sent."""
        return not self._closed and not self._lost

    @property
    def closing(self) -> bool:
        """Whether the end is near: the server is going away (:meth:`elio.Server.drain`), or the stream has ended."""
        return self._closed or self._lost or self._runtime.departure.begun

    @property
    def runtime(self) -> Runtime:
        """The surroundings of this stream."""
        return self._runtime

    @property
    def has_begun(self) -> bool:
        """Whether the head of the response is out: from then on an error can only end the stream."""
        return self._frame is not None

    @property
    def headers(self) -> Headers:
        """Headers of the response; they can be changed until the first event is sent."""
        if self._headers is None:
            self._headers = Headers()
        return self._headers

    @property
    def last_event_id(self) -> str:
        """The id of the last event that a reconnecting reader has seen (WHATWG HTML 9.2.4), or ""."""
        value = self.request.headers.get("last-event-id", "") or ""
        return value.encode("latin-1").decode("utf-8", "replace")

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the route's path."""
        return self.request.params

    @property
    def state(self) -> dict[str, Any]:
        """A place for the program's own data about this stream."""
        if self._state is None:
            self._state = {}
        return self._state

    def renew(self, identity: Identity) -> None:
        """From now on this is who the reader is. At its end the stream ends; a reader that comes back proves anew."""
        self.request.identity = identity
        if self.is_active:
            self.request.watch_identity(self._runtime, self._response.expire)

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, event: Event | str) -> Coroutine[Any, Any, None]:
        """Send an event; a ``str`` is the data of one without type and id.

        Returns:
            An awaitable that waits only while more than ``write_limit`` bytes are queued towards the reader.

        Raises:
            StreamClosed: the reader has gone or the stream was closed; the event was not sent.
        """
        return self._send(encode_event(event if isinstance(event, Event) else Event(event)))

    def share(self, data: bytes, framed: dict[object, bytes]) -> bool:
        """Send an encoded event that many streams get; see :func:`elio.broadcast`.

        Args:
            data: what :func:`elio.sse.encoder.encode_event` made.
            framed: pieces of bodies that were made of it already, by what made them; one of this kind is added.

        Returns:
            Whether the stream is open and the event on its way.
        """
        if self._closed or self._lost:
            return False
        if self._frame is None:
            self.begin()
        runtime = self._runtime
        frame = self._frame
        if frame is None or self._output or self._turn == runtime.turn:
            self._queue(data)
            return True
        piece = framed.get(frame)
        if piece is None:
            piece = framed[frame] = frame(data)
        runtime.traffic.events_sent += 1
        self._turn = runtime.begin_turn()
        self._idle_since = runtime.turn_time
        self._write(piece)
        return True

    def send_data(self, data: str) -> Coroutine[Any, Any, None]:
        """Send an event that has only data; see :meth:`send`."""
        return self._send(encode_event(Event(data)))

    def send_event(self, type: str, data: str, *, id: str | None = None) -> Coroutine[Any, Any, None]:
        """Send an event of a type; see :meth:`send`."""
        return self._send(encode_event(Event(data, type=type, id=id)))

    def send_comment(self, text: str = "") -> Coroutine[Any, Any, None]:
        """Send a comment, which readers ignore; see :meth:`send`."""
        return self._send(encode_comment(text))

    def send_retry(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Tell the reader how long to wait before it reconnects; see :meth:`send`."""
        return self._send(encode_retry(seconds))

    def begin(self) -> None:
        """Send the head of the response now, before there is anything to send.

        Raises:
            StreamClosed: the reader has gone.
        """
        if self._frame is not None:
            return
        if not self.is_active:
            raise self._closed_error()
        self._begin_due = 0.0
        frame = self._response.begin(Headers() if self._headers is None else self._headers)
        self._frame = _FirstPiece(self, frame)
        self._idle_since = self._runtime.timer.now()
        self._schedule()

    def first_sent(self, frame: Callable[[bytes], bytes]) -> None:
        """The first event goes out; from now on ``frame`` makes the pieces of the body."""
        self._frame = frame
        self._runtime.traffic.first_events.observe(self.age)

    def _send(self, data: bytes) -> Coroutine[Any, Any, None]:
        if not self.is_active:
            raise self._closed_error()
        if self._frame is None:
            self.begin()
        self._queue(data)
        return self._room(len(data))

    def _queue(self, data: bytes) -> None:
        self._runtime.traffic.events_sent += 1
        if self._output is None:
            self._output = [data]
        else:
            self._output.append(data)
        self._emit(len(data))

    def _take_output(self) -> bytes:
        output = self._output
        if output is None or self._frame is None:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        self._output = None
        self._idle_since = self._runtime.turn_time
        return self._frame(data)

    async def close(self) -> None:
        """End the stream: what was sent goes out, and the response ends once the handler returns."""
        if not self.is_active:
            return
        self.begin()
        self._end()

    def abort(self) -> None:
        """Cut the connection now. A browser comes back."""
        self._cut(Aborted())

    def wait_closed(self) -> Coroutine[Any, Any, None]:
        """Wait until nothing can be sent any more: for a handler that leaves sending to :func:`elio.broadcast`, say.

        When the reader goes, the task of the handler is cancelled here as anywhere else.
        """
        return cast("Coroutine[Any, Any, None]", Ending(self))

    def _wait_closed(self) -> Iterator[object]:
        return self._new_waiter() if self.is_active else iter(())

    def _new_waiter(self) -> Wakeup:
        waiter = Wakeup(self._runtime.loop)
        waiting = [other for other in self._closed_waiters or () if not other.is_done]
        waiting.append(waiter)
        self._closed_waiters = waiting
        return waiter

    async def wait_closing(self) -> None:
        """Wait until :attr:`closing` is true. What is sent then still goes out; a handler that returns need not."""
        if self.closing:
            return
        departure = self._runtime.departure
        waiter = self._new_waiter()
        departure.add(waiter)
        try:
            await waiter
        finally:
            departure.discard(waiter)

    def _end(self) -> None:
        self.explain(Closed())
        self.flush()
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        self._runtime.timer.forget(self, self._bucket)
        self._wake_writers()
        self._stop_watching()
        waiters, self._closed_waiters = self._closed_waiters, None
        for waiter in waiters or ():
            waiter.wake_soon()

    def discard(self) -> None:
        """Called by the server when another response is sent instead of the stream, which has not begun."""
        self._closed = True
        self._stop()

    def finish(self) -> None:
        """Called by the server at the end: nothing more will be sent.

        If it is going away, the reader is told when to come back: at random over the same time over which the streams
        are ended, so that not all come at once.
        """
        if not self.is_active:
            return
        departure = self._runtime.departure
        if departure.begun and departure.window:
            self._queue(encode_retry(_SOONEST_RETURN + random.random() * departure.window))
        self._end()

    def _closed_error(self) -> StreamClosed:
        message = "the event stream was closed" if self._closed else "the reader of the event stream has gone"
        return StreamClosed(message, cause=self.cause)

    # -- called by the server ------------------------------------------------------------------------------------------

    def connection_lost(self, cause: Cause) -> None:
        """The reader has gone."""
        self.explain(cause)
        self._lost = True
        self._output = None
        self._stop()

    def pause_writing(self) -> None:
        """The reader takes too little."""
        Outlet.pause_writing(self)
        self._schedule()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        limits = self._runtime.limits
        wishes = [self._begin_due] if self._begin_due else []
        if limits.keep_alive_interval is not None and self._frame is not None:
            wishes.append(self._idle_since + limits.keep_alive_interval)
        if self._paused and limits.send_timeout is not None:
            wishes.append(self._stalled_since + limits.send_timeout)
        self._runtime.timer.forget(self, self._bucket)
        if wishes:
            self._bucket = self._runtime.timer.schedule(self, min(wishes))

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if not self.is_active:
            return
        if self._is_stalled(now):
            self._cut_stalled()
            return
        if self._begin_due and now >= self._begin_due:
            self.begin()
            return
        interval = self._runtime.limits.keep_alive_interval
        if interval is not None and self._frame is not None and now - self._idle_since >= interval and not self._paused:
            self._output = [_KEEP_ALIVE] if self._output is None else [*self._output, _KEEP_ALIVE]
            self.flush()
            self._idle_since = now
        self._schedule()
