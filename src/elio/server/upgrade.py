"""A request that becomes a WebSocket or an event stream: checks, the handshake, the life of the handler."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self

from ..auth.tickets import TICKET_SUBPROTOCOL
from ..causes import AuthenticationExpired, Closed, HandlerError
from ..errors import ClientDisconnected, ConnectionClosed, HTTPError, LocalProtocolError, StreamClosed
from ..event_stream import EventStream
from ..headers import Headers, HeadersLike
from ..http.message import reason_phrase
from ..net.ready import READY
from ..net.runtime import Runtime
from ..net.stream import Stream
from ..request import Request
from ..response import Response
from ..session import WebSocket
from ..websocket.codes import CloseCode
from ..websocket.connection import Connection, Role
from ..websocket.deflate import DeflateOptions, accept_offers
from ..websocket.handshake import (
    accept_response,
    check_request,
    check_version_and_key,
    origin_allowed,
    parse_subprotocols,
    select_subprotocol,
)
from .context import Context

__all__ = [
    "Run",
    "StreamRoute",
    "StreamRun",
    "Streaming",
    "Upgrade",
    "WebSocketRoute",
    "WebSocketRun",
    "open_websocket",
]

logger = logging.getLogger("elio.server")

_STREAM_HEADERS: Final = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
)


@dataclass(slots=True, kw_only=True)
class _Route:
    """What is common to both kinds: bounds of their own, and the surroundings made of them once."""

    bounds: dict[str, Any] = field(default_factory=dict)
    _runtime: Runtime | None = None
    _base: Runtime | None = None

    def runtime(self, base: Runtime) -> Runtime:
        """The surroundings with this route's bounds."""
        if not self.bounds:
            return base
        if self._runtime is None or self._base is not base:
            self._base = base
            self._runtime = base.with_limits(replace(base.limits, **self.bounds))
        return self._runtime


@dataclass(slots=True, kw_only=True)
class WebSocketRoute(_Route):
    """One WebSocket route: its handler and its options."""

    handler: Callable[[WebSocket], Awaitable[None]]
    subprotocols: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None
    deflate: DeflateOptions | None = None


@dataclass(slots=True, kw_only=True)
class StreamRoute(_Route):
    """One event-stream route: its handler and its options."""

    handler: Callable[[EventStream], Awaitable[None]]
    stays: bool = False
    """Whether the stream goes on when the handler has returned."""


class _Ready(Response):
    """A response that a handler returns without being a coroutine: middleware may await it, the server need not."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield


class Upgrade(_Ready):
    """Stands for a WebSocket that is about to be opened. Its headers go into the 101."""

    __slots__ = ("route",)

    def __init__(self, route: WebSocketRoute) -> None:
        self._stand_for(101)
        self.route = route


class Streaming(_Ready):
    """Stands for an event stream that is about to begin. Its headers go into the head of the response."""

    __slots__ = ("route",)

    def __init__(self, route: StreamRoute) -> None:
        self._stand_for(200)
        self.route = route


class Carrier(Protocol):
    """The HTTP connection below, as far as an upgrade needs it."""

    @property
    def stream(self) -> Stream:
        """The stream below."""
        ...

    @property
    def runtime(self) -> Runtime:
        """The surroundings."""
        ...

    @property
    def context(self) -> Context:
        """What all connections of the server share."""
        ...

    def switch(self, ws: WebSocket, headers: Headers) -> bytes:
        """Answer 101, let the stream's bytes come to ``ws``; returns those that came behind the handshake."""
        ...

    def answer(self, response: Response) -> Awaitable[None]:
        """Send an ordinary response, when the result is awaited."""
        ...

    def begin_stream(self, stream: EventStream, headers: Headers) -> Callable[[bytes], bytes]:
        """Send the head of an event stream; returns what makes body pieces of bytes."""
        ...

    def end_stream(self) -> None:
        """Complete the body of an event stream, if its reader is still there."""
        ...

    def cancel(self, message: str) -> None:
        """Cancel the task of the handler."""
        ...

    def fail(self, error: Exception) -> Awaitable[None]:
        """Answer what went wrong, if it is not too late for that."""
        ...


class _Handshake:
    """The open half of one opening handshake (an :class:`elio.session.Opening`)."""

    __slots__ = ("_carrier", "_extensions", "_headers", "_key", "_request")

    def __init__(self, carrier: Carrier, request: Request, key: str, headers: Headers, extensions: str | None) -> None:
        self._carrier = carrier
        self._request = request
        self._key = key
        self._headers = headers
        self._extensions = extensions

    def accept(self, ws: WebSocket, subprotocol: str | None, headers: HeadersLike) -> None:
        if subprotocol is None:
            subprotocol = ws.subprotocol
        elif subprotocol.startswith(TICKET_SUBPROTOCOL) or subprotocol not in parse_subprotocols(self._request.headers):
            raise LocalProtocolError(f"subprotocol {subprotocol!r} was not offered by the client")
        answer = accept_response(self._key, subprotocol, self._extensions)
        if self._headers:
            answer.extend(self._headers)
        if headers:
            answer.extend(headers)
        ws.opened(subprotocol, self._carrier.switch(ws, answer))

    def reject(self, status: int, body: str | bytes, headers: HeadersLike) -> Awaitable[None]:
        if not 300 <= status <= 599:
            raise LocalProtocolError(f"status {status} does not refuse a handshake, 300 to 599 do")
        text = body or f"{status} {reason_phrase(status)}"
        return self._carrier.answer(Response(text, status=status, headers=headers))


def _check_handshake(request: Request) -> str:
    head = request.head
    if head.has_body:
        raise HTTPError(400, "an opening handshake has no body")
    if head.asks_for("websocket"):  # the parser of the head has seen to all the rest
        return check_version_and_key(head.headers)
    return check_request(head.method, head.http_version, head.headers)


def open_websocket(carrier: Carrier, request: Request, upgrade: Upgrade, origins: Sequence[str] | None) -> WebSocket:
    """Check the handshake of RFC 6455 4.2.1 and make a ``WebSocket`` that is still to be accepted.

    Raises:
        RemoteProtocolError: with the status to answer (400, 405, 426).
        HTTPError: 403, the origin is not allowed.
    """
    route = upgrade.route
    headers = request.head.headers
    key = _check_handshake(request)
    origin = headers.get("origin")
    if origin is not None:
        allowed = origins if route.origins is None else route.origins
        if not origin_allowed(origin, host=request.host, scheme=request.scheme, allowed=allowed):
            raise HTTPError(403, f"origin {origin!r} is not allowed here")
    offered = parse_subprotocols(headers)
    subprotocol = select_subprotocol(offered, route.subprotocols) if offered else None
    accepted = None
    if route.deflate is not None:
        accepted = accept_offers(headers.get_all("sec-websocket-extensions"), route.deflate)
    extensions, deflate = accepted or (None, None)
    base = carrier.runtime
    runtime = route.runtime(base)
    limits = runtime.limits
    connection = Connection(
        Role.SERVER,
        deflate=deflate,
        max_message_size=limits.max_message_size,
        max_fragments=limits.max_fragments,
        max_empty_frames=limits.max_empty_frames,
    )
    stream = carrier.stream
    if runtime is not base:
        stream.set_write_buffer_limits(high=limits.write_limit)
    opening = _Handshake(carrier, request, key, upgrade.headers, extensions)
    return WebSocket(connection, stream, runtime, request=request, opening=opening, subprotocol=subprotocol)


class Run(Protocol):
    """One run of the handler of a WebSocket or an event stream, and what its end becomes."""

    @property
    def stays(self) -> bool:
        """Whether what was opened goes on without the handler, which has returned."""
        ...

    def start(self) -> Awaitable[None]:
        """Call the handler."""
        ...

    def returned(self) -> Awaitable[None]:
        """The handler has returned; returns what is to be waited for."""
        ...

    def failed(self, error: Exception) -> Awaitable[None]:
        """The handler has raised; returns what is to be waited for."""
        ...

    def cancelled(self) -> None:
        """The handler was cancelled."""
        ...


class WebSocketRun:
    """The handler of a WebSocket: its end closes the connection, with 1000 after a return, 1011 after an exception.

    It also looks after a handler whose connection has ended, and cancels it if it does not find out by itself.
    """

    __slots__ = ("_context", "_route", "ws")

    def __init__(self, ws: WebSocket, route: WebSocketRoute, context: Context) -> None:
        self.ws = ws
        self._route = route
        self._context = context
        ws.when_lost(self)

    @property
    def stays(self) -> bool:
        """A WebSocket ends with its handler."""
        return False

    def start(self) -> Awaitable[None]:
        """Call the handler."""
        return self._route.handler(self.ws)

    def returned(self) -> Awaitable[None]:
        """The handler has returned."""
        return self.ws.close()

    def failed(self, error: Exception) -> Awaitable[None]:
        """The handler has raised: an answer if there was none, else the end."""
        ws = self.ws
        if isinstance(error, HTTPError):
            if ws.is_opening:
                return ws.reject(error.status, error.detail, error.headers)
            return ws.close(CloseCode.POLICY_VIOLATION, error.detail[:100])
        if isinstance(error, ConnectionClosed) and not ws.is_open:
            return ws.close()
        ws.explain(HandlerError(type(error).__name__))
        # A ConnectionClosed that comes here is another connection's, which this handler did not expect.
        path = "?" if ws.request is None else ascii(ws.request.path)
        logger.error("handler of WebSocket %s failed", path, exc_info=error)
        if ws.is_opening and not isinstance(error, ConnectionClosed):
            return ws.reject(500, "", ())
        return ws.close(CloseCode.INTERNAL_ERROR)

    def cancelled(self) -> None:
        """The server is going away, or the client has gone, or the program has cancelled it."""
        if self._context.closing:
            self.ws.explain(self._context.drain)
        self.ws.close_soon(CloseCode.GOING_AWAY, self._context.drain.text)

    def __call__(self) -> None:
        """The connection is lost. A handler that takes messages learns it from them; one that does not is cancelled."""
        ws = self.ws
        if ws.is_opening:
            self._context.counters.count_handshake("abandoned")
        elif ws.request is not None:
            self._context.ended("websocket", ws.cause, ws.age, ws.request)
        if not ws.knows_the_end:
            self._cancel()
        elif ws in self._context.websockets:
            timer = ws.runtime.timer
            timer.schedule(self, timer.now() + ws.runtime.limits.disconnect_grace)

    def check_time(self, now: float) -> None:
        """Called by the coarse timer: a handler that takes messages has had its time to find out."""
        self._cancel()

    def _cancel(self) -> None:
        """Cancel the handler if it still runs."""
        task = self._context.websockets.get(self.ws)
        if task is not None and not task.done():
            task.cancel(None if self.ws.cause is None else self.ws.cause.word)


class StreamRun:
    """The handler of an event stream, and the response below it (an :class:`elio.event_stream.StreamResponse`).

    Args:
        carrier: the HTTP connection.
        request: its body, if there is one, has been read.
        response: from the router.
    """

    __slots__ = ("_carrier", "_headers", "_route", "stream")

    def __init__(self, carrier: Carrier, request: Request, response: Streaming) -> None:
        self._carrier = carrier
        self._headers: Headers | None = response.headers
        self._route = response.route
        self.stream = EventStream(request, self, carrier.stream, response.route.runtime(carrier.runtime))

    @property
    def stays(self) -> bool:
        """Whether the stream goes on without the handler."""
        return self._route.stays and self.stream.is_active

    def begin(self, headers: Headers) -> Callable[[bytes], bytes]:
        """Send the head of the response."""
        head = Headers(self._headers)
        self._headers = None
        head.extend(headers)
        for name, value in _STREAM_HEADERS:
            head.setdefault(name, value)
        return self._carrier.begin_stream(self.stream, head)

    def expire(self) -> None:
        """End the stream in order, and its handler: its reader has to prove once more who it is."""
        stream = self.stream
        if not stream.is_active:
            return
        if not stream.has_begun:
            stream.begin()
        cause = AuthenticationExpired()
        stream.explain(cause)
        stream.finish()
        self._carrier.end_stream()
        self._carrier.cancel(cause.word)

    def start(self) -> Awaitable[None]:
        """Call the handler."""
        return self._route.handler(self.stream)

    def returned(self) -> Awaitable[None]:
        """The handler has returned."""
        stream = self.stream
        try:
            if stream.is_active and not stream.has_begun:
                stream.begin()
            stream.finish()
            self._carrier.end_stream()
        except Exception as error:
            return self._carrier.fail(error)
        return READY

    def failed(self, error: Exception) -> Awaitable[None]:
        """The handler has raised: an answer if there was none, else the end."""
        stream = self.stream
        if isinstance(error, (StreamClosed, ClientDisconnected)):
            return self.returned()  # the reader left: nobody's mistake
        if not stream.has_begun:
            stream.discard()
            return self._carrier.fail(error)
        if isinstance(error, HTTPError):
            stream.explain(Closed(reason=error.detail))
        else:
            stream.explain(HandlerError(type(error).__name__))
            logger.error("handler of event stream %s failed", ascii(stream.request.path), exc_info=error)
        stream.finish()
        self._carrier.stream.close()
        return READY

    def cancelled(self) -> None:
        """If the reader is still there, the server is going away: nothing that was sent gets lost."""
        stream = self.stream
        if stream.has_begun and stream.is_active and not self._carrier.stream.is_closing():
            if self._carrier.context.closing:
                stream.explain(self._carrier.context.drain)
            stream.finish()
            self._carrier.end_stream()
