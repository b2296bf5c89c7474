"""``WebSocket``: what a program holds in its hands, the same class on both sides (RFC 6455).

It joins the protocol (:mod:`elio.websocket`, which does no I/O) to a stream (:mod:`elio.net`) and to the tasks that
receive and send. Not here: the opening handshake, which the server or the client brings as an :class:`Opening`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from contextlib import suppress
from os import urandom
from time import perf_counter
from typing import Any, Final, Protocol, Unpack

from .auth.identity import Identity
from .causes import Aborted, AuthenticationExpired, Closed
from .errors import ConfigurationError, ConnectionClosed, LocalProtocolError
from .headers import Headers, HeadersLike
from .net.ready import Wakeup
from .net.runtime import JoinOptions, Membership, Runtime
from .net.stream import Stream
from .request import Request
from .websocket.codes import CloseCode
from .websocket.connection import Connection, State
from .wire import Wire

with suppress(ImportError):
    from . import _send  # noqa: F401

__all__ = ["Opening", "WebSocket"]

_OPEN: Final = State.OPEN


class Opening(Protocol):
    """The server's half of an opening handshake that is still open (RFC 6455 4.2.2)."""

    def accept(self, ws: WebSocket, subprotocol: str | None, headers: HeadersLike) -> None:
        """Answer with 101 and let the stream's bytes come to ``ws``."""
        ...

    def reject(self, status: int, body: str | bytes, headers: HeadersLike) -> Awaitable[None]:
        """Check what an ordinary HTTP response is to have; awaiting the result sends it."""
        ...


class WebSocket(Wire):
    """One WebSocket connection.

    ``async for message in ws`` gives ``str`` for text and ``bytes`` for binary messages until the connection has ended
    as agreed, and raises :class:`elio.ConnectionClosedError` if it ended in any other way. On the server the handshake
    is answered by the first use, or by :meth:`accept`; until then :meth:`reject` still can refuse it.

    Any ``await`` may be cancelled: no message is lost by that, and the object stays usable.

    Attributes:
        request: the request that opened the connection; None for a client.
        response_headers: those of the server's answer to a client's handshake; None on a server.
        subprotocol: what was agreed on in the handshake, or None.
        latency: seconds of the last measured round trip of a ping, or None before the first.
        cause: why the connection ends or has ended, see :mod:`elio.causes`; None while it is open.
    """

    __slots__ = ("__weakref__", "_opening", "_receiving", "_state", "request", "response_headers", "subprotocol")

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        runtime: Runtime,
        *,
        request: Request | None = None,
        opening: Opening | None = None,
        subprotocol: str | None = None,
    ) -> None:
        Wire.__init__(self, connection, stream, runtime)
        self.request = request
        self.response_headers: Headers | None = None
        self.subprotocol = subprotocol
        self._opening = opening
        self._receiving = False
        self._state: dict[str, Any] | None = None
        now = runtime.timer.now()
        if opening is not None and runtime.limits.commit_delay is not None:
            self._deadline = now + runtime.limits.commit_delay
        if opening is None:
            self._start_pings(now)
        self._schedule()

    def __repr__(self) -> str:
        where = self.request.path if self.request is not None else "client"
        if self._opening is not None:
            return f"<WebSocket {where} opening>"
        return f"<WebSocket {where} {'open' if self.is_open else f'closed {self.close_code}'}>"

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return not self._lost and self._opening is None and self._connection.state is _OPEN

    @property
    def closing(self) -> bool:
        """Whether the end is near: the server is going away (:meth:`elio.Server.drain`), the closing handshake has
        begun, or the connection has ended. Until the handshake begins, messages come and go as before."""
        return self.is_leaving or self._runtime.departure.begun

    @property
    def is_leaving(self) -> bool:
        """Whether the closing handshake has begun, or the connection has ended."""
        return self._begun_closing or self._ended or self._lost

    @property
    def is_opening(self) -> bool:
        """Whether the handshake is still to be answered."""
        return self._opening is not None

    @property
    def runtime(self) -> Runtime:
        """The surroundings of this connection."""
        return self._runtime

    @property
    def knows_the_end(self) -> bool:
        """Whether the program takes messages, was told by an exception of the end, or has waited for it."""
        return self._receiving or self._told

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call back once, when the stream is closed; it replaces an earlier callback."""
        self._on_lost = callback

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the route's path."""
        return {} if self.request is None else self.request.params

    @property
    def state(self) -> dict[str, Any]:
        """A place for the program's own data about this connection."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def close_code(self) -> int | None:
        """The close code (RFC 6455 7.1.5): None while open, 1006 after an end without the peer's close frame."""
        return self._connection.close_code if self._ended else None

    @property
    def close_reason(self) -> str | None:
        """The close reason (RFC 6455 7.1.6), None while open."""
        return self._connection.close_reason if self._ended else None

    @property
    def end(self) -> ConnectionClosed | None:
        """How the connection has ended: what ``receive`` raises now. None while open, or if this side ended it."""
        if not self._ended or self._begun_closing:
            return None
        return self._closed_error()

    def renew(self, identity: Identity) -> None:
        """From now on this is who the client is, say since it has sent a new token. At its end 3000 closes.

        Raises:
            LocalProtocolError: this is the side of the client.
        """
        if self.request is None:
            raise LocalProtocolError("only a server knows its peer by an identity")
        self.request.identity = identity
        if not self._lost:
            self.request.watch_identity(self._runtime, self.expire)

    def expire(self) -> None:
        """Called at the end of the identity: the client has to prove once more who it is."""
        cause = AuthenticationExpired()
        self.explain(cause)
        self.close_soon(CloseCode.UNAUTHORIZED, cause.text)

    # -- opening handshake, server side --------------------------------------------------------------------------------

    async def accept(self, *, subprotocol: str | None = None, headers: HeadersLike = ()) -> None:
        """Answer the handshake with 101 now, instead of at the first use.

        Args:
            subprotocol: one of those the client offered, instead of the one the route agreed to.
            headers: further headers of the answer.

        Raises:
            LocalProtocolError: the handshake is over, or the subprotocol was not offered; nothing was sent.
            ConnectionClosed: the client has gone.
        """
        if self._opening is None:
            raise LocalProtocolError("the handshake has been answered already")
        self._accept(subprotocol, headers)

    async def reject(self, status: int = 403, body: str | bytes = "", headers: HeadersLike = ()) -> None:
        """Refuse the handshake with an ordinary HTTP response (RFC 6455 4.2.2); the connection has then ended.

        Args:
            status: an HTTP status of 300 to 599.
            body: text or bytes of the answer; the status phrase by default.
            headers: further headers of the answer.

        Raises:
            LocalProtocolError: the handshake has been answered already (use :meth:`close`), or the status or a header
                may not be sent; nothing was sent.
        """
        opening = self._opening
        if opening is None:
            raise LocalProtocolError("the handshake has been answered already; close the connection instead")
        answer = opening.reject(status, body, headers)
        self._opening = None
        self._lost = True  # the stream stays with the HTTP connection
        self._runtime.timer.forget(self, self._bucket)
        self._end()
        await answer

    def _accept(self, subprotocol: str | None = None, headers: HeadersLike = ()) -> None:
        opening = self._opening
        if opening is None:
            return
        if self._lost:
            raise self._closed_error()
        opening.accept(self, subprotocol, headers)

    def opened(self, subprotocol: str | None, rest: bytes) -> None:
        """Called by the :class:`Opening` once the handshake is answered.

        Args:
            subprotocol: what was agreed on.
            rest: bytes that came behind the handshake.
        """
        self._opening = None
        self.subprotocol = subprotocol
        asked_at, self._deadline = self._deadline, 0.0
        self._start_pings(self._runtime.timer.now())
        # As a rule the timer asks early enough already, at the deadline that has gone.
        if not 0.0 < asked_at <= self._ping_due:
            self._schedule()
        if rest:
            self.data_received(rest)

    # -- receiving -----------------------------------------------------------------------------------------------------

    def receive(self) -> Coroutine[Any, Any, str | bytes]:
        """The next message: ``str`` for text, ``bytes`` for binary.

        Raises:
            ConnectionClosed: the connection has ended and every message that came before was received.
            ConcurrencyError: another task is receiving from this connection.
        """
        receiving: Coroutine[Any, Any, str | bytes] = self._begin(False)
        return receiving

    def __aiter__(self) -> WebSocket:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        receiving: Coroutine[Any, Any, str | bytes] = self._begin(True)
        return receiving

    def _begin_receiving(self) -> None:
        self._receiving = True
        if self._opening is not None:
            self._accept()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, message: str | bytes | bytearray | memoryview) -> Coroutine[Any, Any, None]:
        """Send a message: text for ``str``, binary for bytes. It is on its way even if the result is not awaited.

        Returns:
            An awaitable that waits only while more than ``write_limit`` bytes are queued towards the peer.

        Raises:
            ConnectionClosed: the connection has ended; the message was not sent.
            TypeError: the message is neither text nor bytes.
        """
        if self._opening is not None:
            self._accept()
        if self._lost or self._connection.state is not _OPEN:
            raise self._closed_error()
        if isinstance(message, str):
            self._connection.send_text(message)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self._connection.send_binary(message)
        else:
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
        self._runtime.traffic.messages_sent += 1
        size = len(message)
        self._emit(size)
        return self._room(size)

    def send_text(self, text: str) -> Coroutine[Any, Any, None]:
        """Send a text message; see :meth:`send`."""
        if not isinstance(text, str):
            raise TypeError(f"a text message is str, not {type(text).__name__}")
        return self.send(text)

    def send_binary(self, data: bytes | bytearray | memoryview) -> Coroutine[Any, Any, None]:
        """Send a binary message; see :meth:`send`."""
        if isinstance(data, str):
            raise TypeError("a binary message is bytes, not str")
        return self.send(data)

    def share(self, message: str | bytes | bytearray | memoryview, encoded: dict[int, bytes]) -> bool:
        """Send a message that many connections get; see :func:`elio.broadcast`.

        Args:
            message: ``str`` or bytes.
            encoded: frames that other connections have been sent already, by group; one of this kind is added.

        Returns:
            Whether the connection is open and the message on its way.
        """
        connection = self._connection
        if self._lost or connection.state is not _OPEN or self._opening is not None:
            return False
        group = connection.fan_out_group
        if group is None:
            _ = self.send(message)
            return True
        frame = encoded.get(group)
        if frame is None:
            frame = encoded[group] = connection.encode_shared(message)
        connection.send_shared(frame)
        self._runtime.traffic.messages_sent += 1
        self._emit(len(frame))
        return True

    async def send_fragments(self, parts: AsyncIterable[str] | AsyncIterable[bytes]) -> None:
        """Send one message in fragments, while it is made (RFC 6455 5.4).

        Until it is complete no other message can be sent; pings and a close can. If ``parts`` raises, the connection
        can only be closed, since the peer has the beginning of a message that will never end.

        Args:
            parts: ``str`` for a text message, bytes for a binary one.

        Raises:
            ConnectionClosed: the connection has ended; the message was not sent in full.
            LocalProtocolError: another fragmented message is being sent, or the parts are of both kinds.
        """
        self._check_open()
        kind: str | bytes = b""
        async for part in parts:
            self._check_open()
            self._connection.send_fragment(part, last=False)
            self._emit(len(part))
            await self._room(len(part))
            kind = type(part)()
        self._check_open()
        self._connection.send_fragment(kind, last=True)
        self._runtime.traffic.messages_sent += 1
        self._emit(0)

    async def ping(self, payload: bytes | None = None) -> float:
        """Send a ping and wait for its pong (RFC 6455 5.5.2).

        Args:
            payload: at most 125 bytes, of your own or random ones. Pings with equal payloads share one pong.

        Returns:
            Seconds of the round trip, which :attr:`latency` has from then on, too.

        Raises:
            ConnectionClosed: the connection ended before the pong came.
            LocalProtocolError: the payload is over 125 bytes.
        """
        self._check_open()
        if payload is None:
            payload = urandom(4)
        self._connection.send_ping(payload)
        loop = self._runtime.loop
        waiter: asyncio.Future[float] = loop.create_future()
        if self._pings is None:
            self._pings = {}
        _, waiters = self._pings.setdefault(payload, (perf_counter(), []))
        waiters.append(waiter)
        self._emit(len(payload))
        try:
            return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters and self._pings is not None and self._pings.get(payload, (0.0, None))[1] is waiters:
                del self._pings[payload]

    async def pong(self, payload: bytes = b"") -> None:
        """Send a pong nobody asked for (RFC 6455 5.5.3). Pings are answered without this."""
        self._check_open()
        self._connection.send_pong(payload)
        self._emit(len(payload))
        await self._room(len(payload))

    def _check_open(self) -> None:
        if self._opening is not None:
            self._accept()
        if self._lost or self._connection.state is not _OPEN:
            raise self._closed_error()

    # -- channels ------------------------------------------------------------------------------------------------------

    def join(self, channel: str, **options: Unpack[JoinOptions]) -> Awaitable[str]:
        """Send the client what is published on a channel, from now on: :meth:`elio.Channels.join` of the server's."""
        return self._channels().join(self, channel, **options)

    def leave(self, channel: str) -> Awaitable[None]:
        """Undo :meth:`join`; nothing happens if this connection has not joined."""
        return self._channels().leave(self, channel)

    def _channels(self) -> Membership:
        if self._runtime.channels is None:
            raise ConfigurationError("the server has no channels: use Router(channels=channels)")
        return self._runtime.channels

    # -- closing -------------------------------------------------------------------------------------------------------

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection (RFC 6455 7.1.2): send a close frame, wait for the peer's, then for the stream's end.

        Messages sent before go out first. If the peer does not answer within ``close_timeout``, the connection is cut.
        Nothing happens if it has ended already; a second call waits along.

        Args:
            code: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999.
            reason: at most 123 bytes in UTF-8.

        Raises:
            LocalProtocolError: the code or the reason may not be sent; the connection is as it was.
        """
        self.close_soon(code, reason)
        await self.wait_closed()

    def close_soon(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin the closing handshake of :meth:`close` and do not wait for its end."""
        if self._opening is not None and not self._lost:
            self._accept()
        if self._lost or self._connection.state is not _OPEN:
            return
        self._connection.send_close(code, reason)
        self.explain(Closed(int(code), reason))
        self._begun_closing = True
        self._emit(0)
        self._set_deadline(self._runtime.limits.close_timeout)
        self._update_reading()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended and its stream is closed."""
        self._told = True
        if not self._lost:
            await self._wait_lost(Wakeup(self._runtime.loop))

    async def wait_closing(self) -> None:
        """Wait until :attr:`closing` is true. As long as the connection is open, the last words can be sent then."""
        if self.closing:
            return
        self._told = True
        departure = self._runtime.departure
        waiter = Wakeup(self._runtime.loop)
        departure.add(waiter)
        try:
            await self._wait_lost(waiter)
        finally:
            departure.discard(waiter)

    async def _wait_lost(self, waiter: Wakeup) -> None:
        if self._closed_waiters is None:
            self._closed_waiters = []
        self._closed_waiters.append(waiter)
        try:
            await waiter
        finally:
            if self._closed_waiters is not None and waiter in self._closed_waiters:
                self._closed_waiters.remove(waiter)

    def abort(self) -> None:
        """Cut the connection now, without a closing handshake. The peer sees 1006."""
        self._cut(Aborted())

    def _time_out_opening(self) -> bool:
        if self._opening is None:
            return False
        self._accept()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        Wire.connection_lost(self, exc)
        self._opening = None
