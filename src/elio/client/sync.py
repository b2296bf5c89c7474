"""The clients for threads: ``elio.sync.connect`` and ``elio.sync.EventSource``.

They are the clients of asyncio on a loop in the background (:mod:`elio.client.background`), so they speak the same
protocol, have the same options and give the same errors. Any number of threads may use one connection: what they send
goes out message by message, and each message that comes is received by one of them.

Not here: hooks of their own. ``on_change`` is called in the thread of the loop and must not wait.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from .. import session
from ..errors import ConnectionClosedOK, StreamClosed
from ..headers import Headers
from ..net.outlet import Outlet
from ..net.ready import READY, Steps, Wakeup
from ..sse.event import Event
from ..websocket.codes import CloseCode
from . import event_source, websocket
from .background import Background
from .backoff import ConnectionState

__all__ = ["Connector", "EventSource", "WebSocket", "connect"]

_CHECK_INTERVAL: Final = 0.05
_MAX_CHECK_INTERVAL: Final = 0.5
"""Seconds after which the loop takes a socket back that no thread waits on; longer where one waits all along."""


class _Receiver:
    """Where threads wait for what one connection brings, one after the other."""

    __slots__ = (
        "__weakref__",
        "_background",
        "_check_due",
        "_event",
        "_interval",
        "_lock",
        "_poll",
        "_signal",
        "_stream",
        "_taken",
        "_turn",
        "_waiting",
    )

    def __init__(self, background: Background, stream: Any = None) -> None:
        self._background = background
        self._lock = background.lock
        self._waiting = background.waiting
        self._turn = threading.Lock()
        self._signal = threading.Lock()
        self._stream: Any = stream if hasattr(stream, "lend") else None
        self._event = -1
        self._poll: Any = None
        self._check_due = False
        self._interval = _CHECK_INTERVAL
        self._taken = False
        if self._stream is not None:
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            weakref.finalize(self, os.close, self._event)

    def take(self, begin: Callable[[], Any], timeout: float | None) -> Any:
        """Wait for what a task would get that awaits ``begin()``.

        Raises:
            TimeoutError: nothing came within so many seconds; what comes later is for the next call.
        """
        self._background.check()
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(blocking=False) and not self._turn.acquire(timeout=_seconds(timeout)):
            raise _timed_out(timeout)
        steps: Steps | None = None
        try:
            steps = begin()
            return self._follow(steps, timeout, deadline)
        except BaseException:
            with self._lock:
                self._waiting.pop(self, None)
                if steps is not None:
                    steps.close()
            raise
        finally:
            self._turn.release()

    def _follow(self, steps: Steps, timeout: float | None, deadline: float | None) -> Any:
        fd = -1
        while True:
            with self._lock:
                if fd >= 0:
                    self._stream.serve()
                try:
                    wakeup = steps.send(None)
                except StopIteration as done:
                    self._waiting.pop(self, None)
                    return done.value
                fd = self._begin_waiting(wakeup)
            left = None if deadline is None else deadline - time.monotonic()
            if not self._wait(fd, left):
                raise _timed_out(timeout)

    def _begin_waiting(self, wakeup: Wakeup) -> int:
        """Called with the lock held.

        Returns:
            The descriptor to wait on; -1 to wait for the loop.
        """
        self._waiting[self] = wakeup
        self._taken = True
        fd: int = -1 if self._stream is None else self._stream.lend()
        if fd < 0:
            self._signal.acquire(blocking=False)
            return fd
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._event, select.POLLIN)
            self._poll.register(fd, select.POLLIN | select.POLLRDHUP)
        if not self._check_due:
            self._check_due = True
            self._background.loop.call_later(self._interval, self._check)
        return fd

    def _wait(self, fd: int, seconds: float | None) -> bool:
        if fd < 0:
            return bool(self._signal.acquire(timeout=_seconds(seconds)))
        ready = self._poll.poll(None if seconds is None else max(0.0, seconds) * 1000.0)
        for ready_fd, _ in ready:
            if ready_fd == self._event:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._event)
        return bool(ready)

    def tell(self) -> None:
        """See :meth:`Waiting.tell`."""
        if self._event >= 0:
            os.eventfd_write(self._event, 1)
        if self._signal.locked():
            self._signal.release()

    def _check(self) -> None:
        """Called by the loop: does any thread still wait on the socket?"""
        is_waiting = self in self._waiting
        if not is_waiting and not self._taken:
            self._check_due = False
            self._stream.take_back()
            return
        self._interval = (
            min(2 * self._interval, _MAX_CHECK_INTERVAL) if is_waiting and not self._taken else _CHECK_INTERVAL
        )
        self._taken = False
        self._background.loop.call_later(self._interval, self._check)


def _seconds(timeout: float | None) -> float:
    """What :meth:`threading.Lock.acquire` takes."""
    return -1.0 if timeout is None else max(0.0, timeout)


def _timed_out(timeout: float | None) -> TimeoutError:
    return TimeoutError(f"nothing came within {timeout or 0.0:g} seconds")


class WebSocket:
    """A WebSocket connection for threads; :func:`connect` makes it.

    ``for message in ws`` ends when the connection has ended as agreed. ``with`` closes it.
    """

    __slots__ = ("__weakref__", "_background", "_is_direct", "_lock", "_outlet", "_receiver", "_ws")

    def __init__(self, ws: session.WebSocket, background: Background) -> None:
        self._ws = ws
        self._outlet: Outlet = ws
        self._background = background
        self._lock = background.lock
        stream = ws._stream
        self._is_direct = hasattr(stream, "lend")
        self._receiver = _Receiver(background, stream)

    def __repr__(self) -> str:
        return f"<elio.sync.WebSocket {'open' if self.is_open else f'closed {self.close_code}'}>"

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._ws.is_open

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on in the handshake."""
        return self._ws.subprotocol

    @property
    def close_code(self) -> int | None:
        """See :attr:`elio.WebSocket.close_code`."""
        return self._ws.close_code

    @property
    def close_reason(self) -> str | None:
        """See :attr:`elio.WebSocket.close_reason`."""
        return self._ws.close_reason

    @property
    def latency(self) -> float | None:
        """Seconds of the last measured round trip of a ping."""
        return self._ws.latency

    @property
    def response_headers(self) -> Headers | None:
        """The headers of the server's answer to the handshake."""
        return self._ws.response_headers

    def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message.

        Args:
            timeout: seconds to wait.

        Raises:
            TimeoutError: none came; nothing is lost by that.
            ConnectionClosed: the connection has ended and every message that came before was received.
        """
        message: str | bytes = self._receiver.take(self._ws.receive, timeout)
        return message

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                message = self.receive()
            except ConnectionClosedOK:
                return
            yield message

    def send(self, message: str | bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Send a message: text for ``str``, binary for bytes. It waits while too much is queued towards the peer.

        Args:
            message: the message.
            timeout: seconds to wait; the message goes out all the same.

        Raises:
            ConnectionClosed: the connection has ended; the message was not sent.
            TimeoutError: the peer takes too little.
        """
        background = self._background
        if not self._is_direct:
            background.run(self._ws.send, message, timeout=timeout)
            return
        background.check()
        outlet = self._outlet
        with self._lock:
            outlet._corked = True  # nothing is put off to the end of a turn of the loop
            try:
                room = self._ws.send(message)
            finally:
                outlet._corked = False
            outlet.flush()
        if room is not READY:
            background.run(_wait_for, room, timeout=timeout)

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> float:
        """Send a ping and wait for its pong; see :meth:`elio.WebSocket.ping`."""
        return self._background.run(self._ws.ping, payload, timeout=timeout)

    def pong(self, payload: bytes = b"") -> None:
        """Send a pong nobody asked for."""
        self._background.run(self._ws.pong, payload)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection; see :meth:`elio.WebSocket.close`. Nothing happens in a forked process."""
        if self._background.is_ours:
            self._background.run(self._ws.close, code, reason)

    def abort(self) -> None:
        """Cut the connection now, without a closing handshake. The peer sees 1006."""
        self._background.check()
        with self._lock:
            self._ws.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(CloseCode.NORMAL if kind is None else CloseCode.INTERNAL_ERROR)


async def _wait_for(room: Any) -> None:
    await room


class Connector:
    """What :func:`connect` returns: a connection to be made, once or again and again."""

    __slots__ = ("_connector", "_ws")

    def __init__(self, connector: websocket.Connector) -> None:
        self._connector = connector
        self._ws: WebSocket | None = None

    def __repr__(self) -> str:
        return f"<elio.sync.Connector of {self._connector!r}>"

    def open(self, timeout: float | None = None) -> WebSocket:
        """Connect once; to be closed by the caller.

        Raises:
            ConnectError: the server cannot be reached, or does not answer in time.
            HandshakeError: it, or a proxy, refuses or does not speak the protocol.
            TimeoutError: ``timeout`` is over.
        """
        background = Background.current()
        return WebSocket(background.run(self._connector.open, timeout=timeout), background)

    def __enter__(self) -> WebSocket:
        self._ws = self.open()
        return self._ws

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ws, self._ws = self._ws, None
        if ws is not None:
            ws.__exit__(kind, error, traceback)

    def __iter__(self) -> Iterator[WebSocket]:
        """One connection after the other, each closed before the next one is made; see :func:`elio.connect`."""
        background = Background.current()
        connections = self._connector.__aiter__()
        try:
            while True:
                try:
                    ws: session.WebSocket = background.run(connections.__anext__)  # type: ignore[arg-type]
                except StopAsyncIteration:
                    return
                yield WebSocket(ws, background)
        finally:
            if background.is_ours:
                background.run(connections.aclose)  # type: ignore[attr-defined]


def connect(url: str, **options: Any) -> Connector:
    """Connect to a WebSocket server.

    ::

        with elio.sync.connect(url) as ws: ...
        ws = elio.sync.connect(url).open()          # to be closed by the caller
        for ws in elio.sync.connect(url): ...       # one connection after the other, for ever

    Args:
        url: ws, wss or ws+unix.
        options: those of :func:`elio.connect`.
    """
    return Connector(websocket.connect(url, **options))


class EventSource:
    """An event stream for threads, asked for again whenever it breaks; see :class:`elio.EventSource`.

    Args:
        url: http, https or http+unix.
        options: those of :class:`elio.EventSource`.
    """

    __slots__ = ("__weakref__", "_background", "_receiver", "_source")

    def __init__(self, url: str, **options: Any) -> None:
        self._background = Background.current()
        self._source = self._background.run(_make_source, url, options)
        self._receiver = _Receiver(self._background)

    def __repr__(self) -> str:
        return f"<elio.sync.EventSource {self.url} {self.state.value}>"

    @property
    def state(self) -> ConnectionState:
        """Whether a stream is open."""
        return self._source.state

    @property
    def url(self) -> str:
        """What is asked for."""
        return self._source.url

    @property
    def headers(self) -> Headers | None:
        """Headers of the latest answer; None before the first."""
        headers: Headers | None = self._source.headers
        return headers

    @property
    def is_complete(self) -> bool:
        """Whether ``done`` came."""
        return self._source.is_complete

    @property
    def last_event_id(self) -> str:
        """The last event ID as of the last event that was taken."""
        with self._background.lock:
            return self._source.last_event_id

    def receive(self, timeout: float | None = None) -> Event:
        """The next event.

        Args:
            timeout: seconds to wait.

        Raises:
            TimeoutError: none came; nothing is lost by that.
            StreamClosed: the stream has ended; and what :meth:`elio.EventSource.receive` raises.
        """
        event: Event = self._receiver.take(self._source.receive, timeout)
        return event

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                event = self.receive()
            except StreamClosed:
                return
            yield event

    def close(self) -> None:
        """End the stream. Nothing happens in a forked process."""
        if self._background.is_ours:
            self._background.run(self._source.close)

    def __enter__(self) -> Self:
        self._background.run(self._source.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def _make_source(url: str, options: dict[str, Any]) -> event_source.EventSource:
    return event_source.EventSource(url, **options)
