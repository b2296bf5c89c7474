"""Every exception of the library.

The tree, by fault first::

    ElioError
    ├── LocalProtocolError         this program asked for something the protocol forbids
    │   └── InvalidHeader          a header name or value that would break the wire
    ├── RemoteProtocolError        the peer broke the protocol; carries what to answer
    │   └── LimitExceeded          a bound that the peer ran into
    │       ├── MessageTooBig      a message, or what it inflates to, is over its limit
    │       └── EventTooBig        a line or an event of an event stream is over its limit
    ├── ConnectError               the server could not be reached, or did not answer in time
    ├── HandshakeError             the opening handshake did not lead to a connection
    ├── ConnectionClosed           the connection has ended
    │   ├── ConnectionClosedOK     ... with 1000, 1001 or a close frame without a code
    │   └── ConnectionClosedError  ... in any other way
    ├── StreamClosed               an event stream has ended: nothing more can be sent, or received
    ├── StreamTruncated            an event stream ended before it was complete, and cannot go on
    │   └── StreamStalled          ... since no byte, or no event, came for too long
    ├── ChannelError               publishing or subscribing did not work
    │   ├── EngineError            the engine of channels refused something
    │   │   └── EngineLost         ... or cannot be reached, or does not answer in time
    │   ├── InvalidChannel         a name that no channel can have
    │   ├── PublishError           a message could not be given to the engine
    │   ├── SlowSubscriber         a subscription ended since too many bytes waited for it
    │   └── SubscriptionClosed     a subscription was closed: nothing more comes
    ├── ModelError                 a language model says in its stream that it failed
    ├── ClientDisconnected         the client left before its request body was complete
    ├── ConcurrencyError           two tasks did at once what only one may do
    ├── HTTPError                  an HTTP status to answer with, raised by a handler
    │   └── Unauthorized           ... 401, with the challenge that belongs to it
    ├── InvalidURL                 a URL that cannot be used
    └── ConfigurationError         a server or client that cannot start as it was told to

An exception carries plain values (codes, sizes, reasons), never objects of higher layers. Its text says what was seen
and what was allowed, and the numbers stand beside it as attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from .causes import Cause, OverLimit, ProtocolError

__all__ = [
    "ChannelError",
    "ClientDisconnected",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "ElioError",
    "EngineError",
    "EngineLost",
    "EventTooBig",
    "HTTPError",
    "HandshakeError",
    "InvalidChannel",
    "InvalidHeader",
    "InvalidURL",
    "LimitExceeded",
    "LocalProtocolError",
    "MessageTooBig",
    "ModelError",
    "PublishError",
    "RemoteProtocolError",
    "SlowSubscriber",
    "StreamClosed",
    "StreamStalled",
    "StreamTruncated",
    "SubscriptionClosed",
    "Unauthorized",
]

_OK_CODES: Final = (1000, 1001, 1005)


class ElioError(Exception):
    """The root of every exception of this library. All of them can be pickled, with their attributes."""

    def __reduce__(self) -> tuple[Callable[..., ElioError], tuple[object, ...]]:
        # Python would call the class with the text alone, which most of them do not take.
        return _restore, (type(self), self.args, self.__dict__)


_E = TypeVar("_E", bound=ElioError)


def _restore(kind: type[_E], args: tuple[object, ...], attributes: dict[str, object]) -> _E:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class LocalProtocolError(ElioError):
    """This program asked for something the protocol forbids. Nothing was sent; the connection is as it was before."""


class InvalidHeader(LocalProtocolError):
    """A header name or value, event id, event type or subprotocol that would break the wire.

    Attributes:
        name: the header or field.
        value: the offending value.
    """

    def __init__(self, message: str, *, name: str = "", value: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.value = value


class RemoteProtocolError(ElioError):
    """The peer broke the protocol.

    Protocols return it as the last item of what was received instead of raising it, so that everything before it is
    delivered first.

    Attributes:
        close_code: the WebSocket close code to answer with (RFC 6455 7.4.1); 0 where none applies.
        status: the HTTP status to answer with; 0 where none applies.
        headers: further headers for that answer, as pairs of name and value.
    """

    def __init__(
        self,
        message: str,
        *,
        close_code: int = 0,
        status: int = 0,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.status = status
        self.headers = tuple(headers)

    @property
    def cause(self) -> Cause:
        """Why a connection ends that is closed for this."""
        return ProtocolError(str(self), int(self.close_code or self.status))


class LimitExceeded(RemoteProtocolError):
    """The peer ran into a bound, most of them of :class:`elio.Limits`.

    Attributes:
        bound: the name of the bound.
        limit: the bound.
        size: what was seen, as far as it was counted.
    """

    def __init__(
        self, message: str, *, bound: str, size: int, limit: int, close_code: int = 0, status: int = 0
    ) -> None:
        super().__init__(message, close_code=close_code, status=status)
        self.bound = bound
        self.size = size
        self.limit = limit

    @property
    def cause(self) -> Cause:
        """Why a connection ends that is closed for this."""
        return OverLimit(self.bound, self.size, self.limit)


class MessageTooBig(LimitExceeded):
    """A message is over ``max_message_size``; answered with close code 1009 (RFC 6455 7.4.1)."""

    def __init__(self, *, size: int, limit: int, what: str = "message") -> None:
        message = f"{what} of {size} bytes, limit {limit}"
        super().__init__(message, bound="max_message_size", size=size, limit=limit, close_code=1009)


class EventTooBig(LimitExceeded):
    """A line or an event of an event stream is over ``max_event_size``."""

    def __init__(self, *, size: int, limit: int, what: str = "event") -> None:
        message = f"{what} of {size} bytes, limit {limit}"
        super().__init__(message, bound="max_event_size", size=size, limit=limit)


class ConnectError(ElioError):
    """The server could not be reached, or there was no answer: its name, the network, a proxy, TLS, or time.

    What the system said is the ``__cause__``.

    Attributes:
        timed_out: whether time ran out.
        is_certificate: whether the certificate of the server is not trusted.
    """

    def __init__(self, message: str, *, timed_out: bool = False, is_certificate: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.is_certificate = is_certificate


class HandshakeError(ElioError):
    """The opening handshake did not lead to a connection.

    Attributes:
        status: HTTP status of the answer; 0 if there was none.
        headers: headers of the answer, as pairs of name and value.
        body: what came of the body.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)
        self.body = body


class ConnectionClosed(ElioError):
    """The connection has ended; nothing more can be received or sent.

    Attributes:
        code: the close code (RFC 6455 7.1.5): the peer's, 1005 for a close frame without one, 1006 for an end without
            the peer's close frame; ours as long as the peer has not answered it.
        reason: close reason (RFC 6455 7.1.6).
        by_peer: whether the peer began the closing handshake.
        cause: why it has ended, see :mod:`elio.causes`; None if the program made this exception itself.
    """

    def __init__(
        self, code: int, reason: str = "", *, by_peer: bool = False, detail: str = "", cause: Cause | None = None
    ) -> None:
        who = "the peer" if by_peer else "this side"
        text = f"connection closed by {who} with code {code}"
        if reason:
            text += f" ({reason})"
        if detail:
            text += f": {detail}"
        super().__init__(text)
        self.code = code
        self.reason = reason
        self.by_peer = by_peer
        self.cause = cause


class ConnectionClosedOK(ConnectionClosed):
    """The connection ended as agreed: with 1000, 1001, or a close frame without a code (1005)."""


class ConnectionClosedError(ConnectionClosed):
    """The connection ended in any way but the agreed one."""


def connection_closed(
    code: int, reason: str = "", *, by_peer: bool = False, detail: str = "", cause: Cause | None = None
) -> ConnectionClosed:
    """Make the kind of :class:`ConnectionClosed` that fits the close code."""
    kind = ConnectionClosedOK if code in _OK_CODES else ConnectionClosedError
    return kind(code, reason, by_peer=by_peer, detail=detail, cause=cause)


class StreamClosed(ElioError):
    """An event stream has ended.

    On the server its reader has gone, or it was closed: nothing more can be sent. At the client it ended as it should:
    nothing more can be received.

    Attributes:
        cause: on the server, why it has ended; see :mod:`elio.causes`.
    """

    def __init__(self, message: str, *, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class StreamTruncated(ElioError):
    """An event stream ended before it was complete, and cannot be asked for again. What broke it is the ``__cause__``.

    Attributes:
        events: how many events had come.
        last_event_id: the last event ID, "" if there was none.
    """

    def __init__(self, message: str, *, events: int = 0, last_event_id: str = "") -> None:
        super().__init__(message)
        self.events = events
        self.last_event_id = last_event_id


class StreamStalled(StreamTruncated):
    """No byte of an event stream came within ``liveness_timeout``, or no event within ``progress_timeout``.

    Attributes:
        what: "byte" or "event".
        seconds: for how long none came.
    """

    def __init__(self, *, what: str, seconds: float, events: int = 0, last_event_id: str = "") -> None:
        super().__init__(f"no {what} within {seconds:g} seconds", events=events, last_event_id=last_event_id)
        self.what = what
        self.seconds = seconds


class ChannelError(ElioError):
    """Publishing or subscribing did not work."""


class EngineError(ChannelError):
    """The engine of channels refused something. What it said is the text.

    Attributes:
        code: the engine's own number of that; 0 if it has none.
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class EngineLost(EngineError):
    """The engine of channels cannot be reached, or does not answer in time.

    Attributes:
        is_unknown: whether it may have done what it was asked for all the same.
    """

    def __init__(self, message: str, *, is_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_unknown = is_unknown


class InvalidChannel(ChannelError, ValueError):
    """A name that no channel can have, or a pattern that names none.

    Attributes:
        name: as given.
    """

    def __init__(self, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class PublishError(ChannelError):
    """A message could not be given to the engine, or the engine did not say in time that it has it.

    Attributes:
        channel: where it was to go.
        is_unknown: whether it may have been published all the same: try again with the same idempotency key.
    """

    def __init__(self, message: str, *, channel: str = "", is_unknown: bool = False) -> None:
        super().__init__(message)
        self.channel = channel
        self.is_unknown = is_unknown


class SlowSubscriber(ChannelError):
    """A subscription with the policy ``close`` has ended: its subscriber took too little.

    Attributes:
        size: bytes that waited.
        limit: bytes that may wait.
    """

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes wait for a subscriber, limit {limit}")
        self.size = size
        self.limit = limit


class SubscriptionClosed(ChannelError):
    """A subscription was closed: nothing more comes."""


class ModelError(ElioError):
    """A language model, or the server before it, says in its event stream that it failed.

    Attributes:
        kind: what it calls the failure, such as ``overloaded_error``.
    """

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(f"{kind}: {message}" if kind else message)
        self.kind = kind


class ClientDisconnected(ElioError):
    """The client left before its request body was complete.

    Attributes:
        received: bytes of the body that had come.
    """

    def __init__(self, received: int = 0) -> None:
        super().__init__(f"client disconnected after {received} bytes of the request body")
        self.received = received


class ConcurrencyError(ElioError):
    """Two tasks did at once what only one may do, such as receiving from one connection."""


class HTTPError(ElioError):
    """An HTTP status to answer with. Handlers and middleware raise it; the server turns it into a response.

    Args:
        status: 400 to 599.
        detail: text of the body; the status phrase by default.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, detail: str = "", *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status} {detail}".rstrip())
        self.status = status
        self.detail = detail
        self.headers = tuple(headers)


class Unauthorized(HTTPError):
    """401: it is not known who asks (RFC 9110 15.5.2). Who is known and may not gets an ``HTTPError(403)``.

    Attributes:
        challenge: value of ``WWW-Authenticate``: what to authenticate with, such as ``Basic realm="site"``.
    """

    def __init__(self, detail: str = "", *, challenge: str = "Bearer") -> None:
        super().__init__(401, detail, headers=[("WWW-Authenticate", challenge)])
        self.challenge = challenge


class InvalidURL(ElioError, ValueError):
    """A URL that cannot be used.

    Attributes:
        url: the URL as given.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class ConfigurationError(ElioError):
    """A server or client that cannot start as it was told to. The command line prints it as one sentence."""
