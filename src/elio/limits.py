"""Every bound of the library, with its unit, its default and the reason for it.

Sizes are bytes, durations seconds as float. ``None`` switches a bound off; it is never the default of anything that a
peer can fill.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from .errors import ConfigurationError

__all__ = ["LARGE", "LARGEST", "UNSET", "Limits", "bound", "with_bounds"]

UNSET: Final[Any] = object()
"""In place of a bound: as the surroundings have it. ``None`` switches one off."""

KIB = 1024
MIB = 1024 * 1024

LARGE: Final = 16 * KIB
"""Bytes from which on what is sent is not copied behind other bytes, and does not wait for company: the copy would cost
more than the system call that it saves."""

LARGEST: Final = (1 << 63) - 1
"""The largest bound: a frame cannot announce more bytes, and the compiled twins count no further."""


# Nothing would ever pass, or something would never stop.
_ABOVE_ZERO: Final = frozenset(
    {
        "body_grace",
        "keep_alive_interval",
        "max_connections",
        "max_connections_per_address",
        "max_queue",
        "min_body_rate",
        "ping_interval",
        "unacknowledged_timeout",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a server or a client. Immutable; ``dataclasses.replace`` makes a changed copy.

    Raises:
        ConfigurationError: a negative bound, zero where nothing would work with it, a number above 2**63 - 1, or
            ``None`` for a bound that cannot be switched off.
    """

    # -- HTTP head (RFC 9112 2-5): nginx, node and Apache allow 8 to 16 KiB for all of it.
    max_request_line_size: int = 8 * KIB
    """Bytes of method, target and version together; over it 414."""
    max_headers: int = 100
    """Header lines of one head, trailers included; over it 431."""
    max_headers_size: int = 32 * KIB
    """Bytes of all header lines together; over it 431. Large cookies and tokens fit."""

    # -- HTTP body
    max_body_size: int | None = 10 * MIB
    """Bytes of a request body; over it 413, as soon as it is announced or reached."""
    max_body_overhead: int = 16 * KIB
    """Bytes of chunk framing (extensions, tiny chunks) for every 64 KiB of data begun; over it 413."""
    body_buffer_size: int = 64 * KIB
    """Bytes of a request body kept for a handler that does not read; reading from the socket stops above."""

    # -- HTTP time
    headers_timeout: float | None = 10.0
    """From the first byte of a request (or the accept of the connection) to the end of its head."""
    body_timeout: float | None = 30.0
    """Longest silence inside a request body that a handler waits for."""
    min_body_rate: int | None = 240
    """Bytes of a request body in a second, on the average of ``body_grace`` seconds; else 408. Modems are faster."""
    body_grace: float = 5.0
    """Over so many seconds, one after the other, ``min_body_rate`` is averaged: shorter pauses are nobody's fault."""
    keep_alive_timeout: float | None = 30.0
    """Longest silence between two requests of one connection."""
    tls_handshake_timeout: float = 10.0
    """For the TLS handshake of an accepted connection."""

    # -- clients
    open_timeout: float | None = 10.0
    """For an attempt to connect, up to the server's answer: name, TCP, TLS, proxies and redirects together."""
    max_redirects: int = 5
    """Redirects that a client follows one after the other."""

    # -- connections
    max_connections: int | None = 15_000
    """Open connections of one server in all, TLS handshakes included; one more is answered 503 and closed."""
    max_connections_per_address: int | None = 1_000
    """The same of one address: more than come from behind one NAT, and no room for one client to fill. Not counted are
    loopback, Unix sockets and trusted proxies, but whom these name."""
    backlog: int = 1024
    """Connections that the system holds ready for accepting."""
    unacknowledged_timeout: float | None = 15.0
    """A peer whose system acknowledges nothing for so long is gone: it, or the network, vanished without a word."""

    # -- WebSocket messages
    max_message_size: int | None = 1 * MIB
    """Bytes of one message after decompression; over it close code 1009, checked when the frame header announces it."""
    max_fragments: int | None = 131_072
    """Fragments of one message: a legal message may have 65,536 fragments of 64 bytes; over it 1008."""
    max_queue: int = 16
    """Messages received and not yet taken by the handler; reading from the socket stops above."""
    max_empty_frames: int | None = 1_000
    """Frames in a row that carry no data (pings, pongs, empty fragments); over it 1008."""

    # -- WebSocket time
    close_timeout: float = 10.0
    """How long the peer's half of the closing handshake is waited for before the connection is cut."""
    ping_interval: float | None = 20.0
    """Between two pings: below the 60 s of silence after which common proxies cut a connection."""
    ping_timeout: float | None = 20.0
    """Silence (no byte at all) after a ping after which the connection is given up."""
    commit_delay: float | None = 0.25
    """A WebSocket or event-stream handler that has neither begun nor refused by then has begun: quiet feeds open."""
    disconnect_grace: float = 10.0
    """How long a WebSocket handler may work on after its connection has ended before it is cancelled."""

    # -- sending
    write_limit: int = 64 * KIB
    """Bytes queued towards one peer above which ``send`` waits."""
    max_backlog: int = 4 * MIB
    """Bytes queued towards one peer, by senders that do not wait, above which it is cut off."""
    send_timeout: float | None = 60.0
    """A peer that takes no byte for so long while bytes wait for it is cut off."""

    # -- event streams
    max_event_size: int | None = 1 * MIB
    """Bytes of one line or of the data of one event, as they arrive, that a client accepts."""
    response_timeout: float | None = 60.0
    """From the start of an attempt to the head of the answer; a model may think for a while before it answers."""
    liveness_timeout: float | None = 90.0
    """Silence (no byte, no comment) after which a client gives a stream up: servers send comments within 60 s."""
    progress_timeout: float | None = 300.0
    """Time without an event, whatever else comes, after which a client gives a stream up: comments are no progress."""
    keep_alive_interval: float | None = 15.0
    """An event stream on which nothing was sent for so long gets a comment line, so that proxies keep it open."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            can_be_off = str(field.type).endswith("None")
            if value is None and can_be_off:
                continue
            hint = ", or None to switch it off" if can_be_off else ""
            lowest = "above 0" if field.name in _ABOVE_ZERO else "at least 0"
            # Not "value < 0": NaN compares false with everything.
            if value is None or not (value > 0 or (value == 0 and lowest != "above 0")):
                raise ConfigurationError(f"{field.name} is {value}, it must be {lowest}{hint}")
            if isinstance(value, int) and value > LARGEST:
                raise ConfigurationError(f"{field.name} is {value}, it must be at most {LARGEST}{hint}")


def bound(name: str, value: int | None) -> int:
    """A bound as a number to compare with, ``LARGEST`` for None.

    Args:
        name: what the error calls it.
        value: the bound, as a caller gave it.

    Raises:
        ConfigurationError: it is negative or above ``LARGEST``.
    """
    if value is None:
        return LARGEST
    if not 0 <= value <= LARGEST:
        raise ConfigurationError(f"{name} is {value}, allowed are 0 to {LARGEST}, or None for no limit")
    return value


def with_bounds(limits: Limits | None, **bounds: Any) -> Limits:
    """The limits with other bounds where they are not ``UNSET``.

    Args:
        limits: ``None`` for the defaults.
        bounds: by name.

    Raises:
        ConfigurationError: see :class:`Limits`.
    """
    given = {name: value for name, value in bounds.items() if value is not UNSET}
    return replace(limits or Limits(), **given)
