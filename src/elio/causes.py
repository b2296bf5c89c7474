"""Why a connection has ended: a closed family of values, one for each kind of end.

Every end of a WebSocket, an event stream and an HTTP connection has exactly one: the first that was true. Its ``word``
stands in the log and in the counters, is the message of the cancellation of a handler, and never changes; its ``text``
is a sentence for a person. The numbers stand beside it as attributes.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import ClassVar, Final

__all__ = [
    "CAUSES",
    "Aborted",
    "AuthenticationExpired",
    "Cause",
    "Closed",
    "Drain",
    "HandlerError",
    "HandshakeTimeout",
    "IdleTimeout",
    "LoopBlocked",
    "OverLimit",
    "PeerClosed",
    "PeerDisconnected",
    "PeerGone",
    "PeerReset",
    "PingTimeout",
    "ProtocolError",
    "RequestTimeout",
    "SlowConsumer",
    "TransportFailed",
    "cause_of_loss",
]

_SILENT: Final = frozenset(
    getattr(errno, name)
    for name in ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN")
    if hasattr(errno, name)
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a connection has ended. Immutable, comparable, and it can be pickled.

    Attributes:
        word: the name of the kind, such as ``ping_timeout``: for logs, labels of metrics, and comparisons.
        is_ordinary: whether connections end like this every day, without anybody's mistake.
    """

    word: ClassVar[str] = ""
    is_ordinary: ClassVar[bool] = False
    _limit: ClassVar[str] = ""

    @property
    def text(self) -> str:
        """What happened, as a sentence without its full stop."""
        return self._tell()

    @property
    def limit(self) -> str:
        """The name of the bound that was hit, as in :class:`elio.Limits`; "" if none was."""
        return getattr(self, "bound", self._limit)

    def _tell(self) -> str:
        return self.word

    def __str__(self) -> str:
        return f"{self.word}: {self.text}"


# -- the peer ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerClosed(Cause):
    """The peer has closed the WebSocket with a close frame (RFC 6455 7.1.2).

    Attributes:
        code: its close code, 1005 for a close frame without one.
        reason: its close reason.
    """

    word = "peer_closed"
    is_ordinary = True
    code: int = 1005
    reason: str = ""

    def _tell(self) -> str:
        return f"the peer closed with code {self.code}" + (f" ({self.reason!a})" if self.reason else "")


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Cause):
    """The peer has ended TCP (a FIN), without a closing handshake where there is one."""

    word = "peer_disconnected"
    is_ordinary = True

    def _tell(self) -> str:
        return "the peer disconnected"


@dataclass(frozen=True, slots=True)
class PeerReset(Cause):
    """The peer's system has reset TCP (a RST): its program was killed, or closed the socket with data unread."""

    word = "peer_reset"
    is_ordinary = True

    def _tell(self) -> str:
        return "the peer reset the connection"


@dataclass(frozen=True, slots=True)
class PeerGone(Cause):
    """The peer's system does not acknowledge anything any more: it, or the network to it, is gone.

    Attributes:
        detail: what this system said.
    """

    word = "peer_gone"
    _limit = "unacknowledged_timeout"
    is_ordinary = True
    detail: str = ""

    def _tell(self) -> str:
        return "the peer vanished without a word" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class ProtocolError(Cause):
    """The peer broke the protocol.

    Attributes:
        what: what was seen, with its numbers.
        code: the close code or the HTTP status that it was answered with; 0 for none.
    """

    word = "protocol_error"
    what: str = ""
    code: int = 0

    def _tell(self) -> str:
        return f"the peer broke the protocol: {self.what}"


@dataclass(frozen=True, slots=True)
class OverLimit(Cause):
    """The peer ran into a bound.

    Attributes:
        bound: its name, as in :class:`elio.Limits` where it stands there.
        size: what was seen, as far as it was counted.
        allowed: the bound.
    """

    word = "over_limit"
    bound: str = ""
    size: int = 0
    allowed: int = 0

    def _tell(self) -> str:
        return f"{self.bound} is {self.allowed}, seen were {self.size}"


# -- time --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PingTimeout(Cause):
    """No byte came after a keep-alive ping.

    Attributes:
        seconds: how long nothing came, without the time for which this event loop was blocked.
        round_trip: seconds of the last ping that was answered; None if none was.
        lag: seconds that this event loop was late at the end.
    """

    word = "ping_timeout"
    _limit = "ping_timeout"
    seconds: float = 0.0
    round_trip: float | None = None
    lag: float = 0.0

    def _tell(self) -> str:
        last = "no ping was answered before" if self.round_trip is None else f"the last took {self.round_trip:.3f} s"
        return f"no byte for {self.seconds:.1f} s after a ping ({last}; loop lag {self.lag:.1f} s)"


@dataclass(frozen=True, slots=True)
class LoopBlocked(Cause):
    """The peer left while this event loop was blocked: what it waited for, such as a pong, could not come in time.

    Attributes:
        seconds: how long the loop was blocked.
        place: file, line and function that it was blocked in.
    """

    word = "loop_blocked"
    seconds: float = 0.0
    place: str = ""

    def _tell(self) -> str:
        return f"the peer left while this event loop was blocked for {self.seconds:.1f} s in {self.place}"


@dataclass(frozen=True, slots=True)
class SlowConsumer(Cause):
    """The peer takes too little of what is sent to it.

    Attributes:
        queued: bytes that waited for it.
        bound: ``send_timeout`` if it took nothing for too long, ``max_backlog`` if too much waited.
        allowed: that bound, in seconds or bytes.
    """

    word = "slow_consumer"
    queued: int = 0
    bound: str = "send_timeout"
    allowed: float = 0.0

    def _tell(self) -> str:
        if self.bound == "send_timeout":
            return f"the peer took none of {self.queued} bytes within {self.allowed:g} s"
        return f"{self.queued} bytes waited for the peer, {self.bound} is {self.allowed:.0f}"


@dataclass(frozen=True, slots=True)
class IdleTimeout(Cause):
    """No further request came over an HTTP connection.

    Attributes:
        seconds: how long it was waited for.
    """

    word = "idle_timeout"
    _limit = "keep_alive_timeout"
    is_ordinary = True
    seconds: float = 0.0

    def _tell(self) -> str:
        return f"no request came within {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class HandshakeTimeout(Cause):
    """The TLS handshake was not complete in time.

    Attributes:
        seconds: how long it was waited for.
    """

    word = "handshake_timeout"
    _limit = "tls_handshake_timeout"
    seconds: float = 0.0

    def _tell(self) -> str:
        return f"the TLS handshake was not complete after {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class RequestTimeout(Cause):
    """A request did not come fast enough.

    Attributes:
        bound: ``headers_timeout`` for its head, ``body_timeout`` or ``min_body_rate`` for its body.
        allowed: that bound, in seconds or bytes a second.
    """

    word = "request_timeout"
    bound: str = "headers_timeout"
    allowed: float = 0.0

    def _tell(self) -> str:
        if self.bound == "min_body_rate":
            return f"the body of the request came with fewer than {self.allowed:g} bytes a second"
        if self.bound == "body_timeout":
            return f"the body of the request paused for {self.allowed:g} s"
        return f"the head of the request was not complete after {self.allowed:g} seconds"


# -- this side ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Closed(Cause):
    """This side has closed the connection in order: the program did, or its handler returned, or it was answered.

    Attributes:
        code: the close code of a WebSocket; 0 where there is none.
        reason: the close reason.
    """

    word = "closed"
    is_ordinary = True
    code: int = 0
    reason: str = ""

    def _tell(self) -> str:
        code = f" with code {self.code}" if self.code else ""
        return f"this side closed{code}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Aborted(Cause):
    """This side has cut the connection: the program did, or an answer that had begun could not be completed."""

    word = "aborted"

    def _tell(self) -> str:
        return "this side cut the connection"


@dataclass(frozen=True, slots=True)
class Drain(Cause):
    """The server goes away.

    Attributes:
        returning: whether it comes back at once.
    """

    word = "drain"
    is_ordinary = True
    returning: bool = False

    def _tell(self) -> str:
        return "the server is restarting" if self.returning else "the server is going away"


@dataclass(frozen=True, slots=True)
class AuthenticationExpired(Cause):
    """What was known of the user has expired (:class:`elio.Identity`), and was not renewed."""

    word = "authentication_expired"
    is_ordinary = True

    def _tell(self) -> str:
        return "the authentication has expired"


@dataclass(frozen=True, slots=True)
class HandlerError(Cause):
    """The handler has raised; the log has its traceback.

    Attributes:
        kind: the name of the exception's type.
    """

    word = "handler_error"
    kind: str = ""

    def _tell(self) -> str:
        return f"the handler raised {self.kind}"


@dataclass(frozen=True, slots=True)
class TransportFailed(Cause):
    """TCP or TLS have failed in some other way.

    Attributes:
        detail: what the system or OpenSSL said.
    """

    word = "transport_failed"
    detail: str = ""

    def _tell(self) -> str:
        return f"the transport failed: {self.detail}"


CAUSES: Final[tuple[type[Cause], ...]] = (
    PeerClosed,
    PeerDisconnected,
    PeerReset,
    PeerGone,
    ProtocolError,
    OverLimit,
    PingTimeout,
    LoopBlocked,
    SlowConsumer,
    IdleTimeout,
    HandshakeTimeout,
    RequestTimeout,
    Closed,
    Aborted,
    Drain,
    AuthenticationExpired,
    HandlerError,
    TransportFailed,
)
"""The whole family."""


def cause_of_loss(error: BaseException | None) -> Cause:
    """What a stream that is lost tells, by what the system said; None is an end in order."""
    if error is None:
        return PeerDisconnected()
    if isinstance(error, OSError) and (isinstance(error, TimeoutError) or error.errno in _SILENT):
        return PeerGone(error.strerror or "")
    if isinstance(error, ConnectionError):
        return PeerReset()
    return TransportFailed(str(error) or type(error).__name__)
