"""When and how an event stream is asked for again (WHATWG HTML 9.2.3 and 9.2.4).

``Reconnection`` counts and calculates. It has no clock, waits for nothing and connects to nothing: the client tells it
what happened at which time, and it answers how long to wait. Times are seconds; ``now`` is any clock that never goes
back.

What it adds to the standard, which leaves room for it: a wait is the reconnection time plus, after failures, a random
part of an exponential backoff. A stream that ends soon counts as a failure, so that a server which accepts and hangs up
is not hit at a constant pace.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from .event import CONTENT_TYPE, check_field, check_retry
from .parser import MAX_RETRY

__all__ = [
    "DEFAULT_RECONNECTION_TIME",
    "Reconnection",
    "Verdict",
    "classify_leniently",
    "classify_response",
    "decode_last_event_id",
    "encode_last_event_id",
    "is_event_stream",
    "parse_retry_after",
]

DEFAULT_RECONNECTION_TIME: Final = 3.0
"""Seconds; the standard asks for "a few seconds", Chromium and the origin of this library take three."""

_OK: Final = 200
_NO_CONTENT: Final = 204
# Too Many Requests, Bad Gateway, Service Unavailable, Gateway Timeout: the server or a proxy before it is busy.
_TEMPORARY: Final = frozenset({429, 502, 503, 504})
# RFC 9110 5.5: what a field value cannot have; and what is not part of it at its ends.
_NO_FIELD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WHITE_SPACE: Final = " \t\r\n"
_MAX_SECONDS_DIGITS: Final = 9
_MAX_DOUBLINGS: Final = 64


class Verdict(Enum):
    """What a response means for the stream."""

    OPEN = "open"
    """It is an event stream: read it."""
    RETRY = "retry"
    """Try again after a wait, as after a network error."""
    FAIL = "fail"
    """Fail for good: the server will not have it otherwise."""
    STOP = "stop"
    """The server asks the client to stop reconnecting."""


def is_event_stream(content_type: str) -> bool:
    """Whether a ``Content-Type`` names an event stream: case and parameters do not matter (9.2.3)."""
    essence = content_type.partition(";")[0]
    return essence.strip(_WHITE_SPACE).lower() == CONTENT_TYPE


def classify_response(status: int, content_type: str) -> Verdict:
    """Judge a response as the standard does (9.2.3): 200 with the right type is a stream, 204 stops, all else fails.

    The same on a reconnection as on the first attempt. Redirects are followed before.
    """
    if status == _NO_CONTENT:
        return Verdict.STOP
    if status == _OK and is_event_stream(content_type):
        return Verdict.OPEN
    return Verdict.FAIL


def classify_leniently(status: int, content_type: str) -> Verdict:
    """As :func:`classify_response`, but 429, 502, 503 and 504, which pass by themselves, are tried again."""
    if status in _TEMPORARY:
        return Verdict.RETRY
    return classify_response(status, content_type)


def encode_last_event_id(last_event_id: str) -> bytes | None:
    """The value of ``Last-Event-ID`` (9.2.4): UTF-8, as a field value carries it.

    Returns:
        None if the header is to be left out: there is no ID, or it has control characters, which no field value may
        have (RFC 9110 5.5): the server would answer 400, and that would end the stream for good.
    """
    value = last_event_id.encode("utf-8", "replace").strip(b" \t")
    if not value or _NO_FIELD_VALUE.search(value) is not None:
        return None
    return value


def decode_last_event_id(value: str) -> str:
    """The last event ID out of a ``Last-Event-ID`` header of Latin-1 characters: its bytes are UTF-8 (9.2.4)."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def parse_retry_after(value: str, *, unix_time: float) -> float | None:
    """The wait that a ``Retry-After`` header asks for (RFC 9110 10.2.3).

    Args:
        value: the field value: seconds, or an HTTP date.
        unix_time: the wall clock, for dates.

    Returns:
        seconds from 0; None if the value says nothing that can be understood.
    """
    value = value.strip(_WHITE_SPACE)
    if value.isascii() and value.isdigit():
        return float(value[:_MAX_SECONDS_DIGITS]) if len(value) <= _MAX_SECONDS_DIGITS else MAX_RETRY
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # An HTTP date is always in GMT (RFC 9110 5.6.7).
    return max(0.0, date.replace(tzinfo=UTC).timestamp() - unix_time)


class Reconnection:
    """Counts attempts and says how long to wait before the next one.

    The life of it: :meth:`opened` when a response turned out to be an event stream, :meth:`received` with each event,
    :meth:`lost` when the stream ended or an attempt failed.

    Args:
        random: gives floats from 0 to below 1, evenly, such as ``random.random``. It need not be secret.
        last_event_id: the last event ID to start from.
        reconnection_time: seconds to wait as long as the server asks for nothing else.
        min_time: floor of a reconnection time that the server asks for: ``retry: 0`` does not make a hammer.
        max_time: ceiling of what the server asks for, by ``retry`` or by ``Retry-After``.
        max_backoff: ceiling of what failures add.
        stable_time: how long a stream must live, and give an event, to end a row of failures. One that lived as long as
            ``max_backoff`` ends it without an event too. 0 suits servers that end the stream behind each event.
        spread: how much of the reconnection time is added at random when nothing failed before, so that clients which
            lose one server at once do not come back at once.
        max_attempts: attempts in a row without a stable stream; None for no bound, 0 for never again.

    Raises:
        InvalidHeader: ``last_event_id`` has CR, LF, NUL or a lone surrogate.
        LocalProtocolError: ``reconnection_time`` is negative or not finite.
    """

    __slots__ = (
        "_attempts",
        "_failures",
        "_last_event_id",
        "_max_attempts",
        "_max_backoff",
        "_max_time",
        "_min_time",
        "_opened_at",
        "_random",
        "_received",
        "_reconnection_time",
        "_spread",
        "_stable_time",
    )

    def __init__(
        self,
        *,
        random: Callable[[], float],
        last_event_id: str = "",
        reconnection_time: float = DEFAULT_RECONNECTION_TIME,
        min_time: float = 0.1,
        max_time: float = MAX_RETRY,
        max_backoff: float = 60.0,
        stable_time: float = 5.0,
        spread: float = 0.25,
        max_attempts: int | None = None,
    ) -> None:
        check_field("last event ID", last_event_id)
        check_retry(reconnection_time)
        self._random = random
        self._last_event_id = last_event_id
        self._reconnection_time = reconnection_time
        self._min_time = min_time
        self._max_time = max_time
        self._max_backoff = max_backoff
        self._stable_time = stable_time
        self._spread = spread
        self._max_attempts = max_attempts
        # Attempts since the last stable stream, and how many of the streams and attempts in that row failed.
        self._attempts = 0
        self._failures = 0
        self._opened_at: float | None = None
        self._received = False

    @property
    def last_event_id(self) -> str:
        """The last event ID, which the next attempt carries; "" if there is none. Set it as the parser's changes."""
        return self._last_event_id

    @last_event_id.setter
    def last_event_id(self, value: str) -> None:
        self._last_event_id = value

    @property
    def reconnection_time(self) -> float:
        """Seconds: the server's latest ``retry`` within floor and ceiling, or the time given at the start."""
        return self._reconnection_time

    @property
    def attempts(self) -> int:
        """How many attempts :meth:`lost` has allowed since the last stable stream."""
        return self._attempts

    def last_event_id_header(self) -> bytes | None:
        """What the next request has as ``Last-Event-ID``; None for no such header (:func:`encode_last_event_id`)."""
        return encode_last_event_id(self._last_event_id)

    def set_retry(self, seconds: float) -> None:
        """The server asked for another reconnection time: ``retry``, in seconds (9.2.6)."""
        self._reconnection_time = min(max(seconds, self._min_time), self._max_time)

    def opened(self, now: float) -> None:
        """A response came and is an event stream."""
        self._opened_at = now
        self._received = False

    def received(self) -> None:
        """An event came."""
        self._received = True

    def lost(self, now: float, *, retry_after: float | None = None) -> float | None:
        """The stream ended, or the attempt failed in a way that is worth another one.

        Args:
            now: seconds.
            retry_after: the wait that the answer's ``Retry-After`` asks for, in seconds.

        Returns:
            seconds to wait before the next attempt; None if ``max_attempts`` are used up.
        """
        if self._was_stable(now):
            self._attempts = 0
            self._failures = 0
        else:
            self._failures += 1
        self._opened_at = None
        if self._max_attempts is not None and self._attempts >= self._max_attempts:
            return None
        self._attempts += 1
        asked = self._reconnection_time
        if retry_after is not None:
            asked = max(asked, min(retry_after, self._max_time))
        return asked + self._random() * self._backoff()

    def _was_stable(self, now: float) -> bool:
        if self._opened_at is None:
            return False
        lived = now - self._opened_at
        return lived >= self._max_backoff or (self._received and lived >= self._stable_time)

    def _backoff(self) -> float:
        """The most that may be added at random (full jitter): it doubles with each failure."""
        if not self._failures:
            return self._reconnection_time * self._spread
        base = max(self._reconnection_time, self._min_time)
        return min(self._max_backoff, base * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
