"""What HTTP messages are made of, whatever carries them: heads, the end of a body, reason phrases and dates (RFC 9110).

Not here: how they look on the wire (``head``, ``framing``, ``response``), and what single headers mean to a handler.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from http import HTTPStatus
from operator import attrgetter
from typing import Final

from ..headers import Headers

__all__ = [
    "END_OF_BODY",
    "EndOfBody",
    "RequestHead",
    "ResponseHead",
    "http_date",
    "may_have_body",
    "parse_http_date",
    "reason_phrase",
]

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 9110 5.6.7: the one form that is sent, and two obsolete ones that must be understood.
_IMF_FIXDATE: Final = re.compile(
    r"[A-Z][a-z]{2}, (?P<day>[0-9]{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>[0-9]{4}) (?P<time>[0-9:]{8}) GMT"
)
_RFC850: Final = re.compile(
    r"[A-Z][a-z]{5,8}, (?P<day>[0-9]{2})-(?P<month>[A-Z][a-z]{2})-(?P<year>[0-9]{2}) (?P<time>[0-9:]{8}) GMT"
)
_ASCTIME: Final = re.compile(
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ 0-9][0-9]) (?P<time>[0-9:]{8}) (?P<year>[0-9]{4})"
)


_FACTS: Final = (
    "content_length",
    "expects_continue",
    "has_body",
    "headers",
    "http_version",
    "keep_alive",
    "method",
    "target",
    "upgrade",
)
_facts_of: Final = attrgetter(*_FACTS)


class RequestHead:
    """The head of a request: the request line and the header lines (RFC 9112 3, 5). Nobody changes it.

    Attributes:
        method: as sent; methods are case-sensitive.
        target: the request target as sent: origin form, absolute form, or ``*`` (RFC 9112 3.2).
        http_version: ``"1.1"`` or ``"1.0"``; HTTP/2 says ``"2"``.
        headers: the header lines, in order.
        keep_alive: whether the client wants the connection kept open (RFC 9112 9.3).
        upgrade: the other protocols it asks for, in lower case: ``Upgrade`` together with the token in ``Connection``.
        content_length: bytes of the body as announced; ``None`` if they are not, or if there is no body.
        has_body: whether a body follows. It may turn out to be empty if it is chunked.
        expects_continue: whether the client waits for ``100 Continue`` before it sends the body (RFC 9110 10.1.1).
    """

    # Asked a dozen times for each request: compiled, its attributes cost next to nothing, unlike those of a dataclass.
    __slots__ = _FACTS

    def __init__(
        self,
        method: str,
        target: str,
        http_version: str,
        headers: Headers,
        *,
        keep_alive: bool = True,
        upgrade: tuple[str, ...] = (),
        content_length: int | None = None,
        has_body: bool = False,
        expects_continue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.http_version = http_version
        self.headers = headers
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.content_length = content_length
        self.has_body = has_body
        self.expects_continue = expects_continue

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _FACTS or hasattr(self, name):
            raise AttributeError(f"the head of a request is what it is: {name} cannot be set")
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequestHead):
            return NotImplemented
        return bool(_facts_of(self) == _facts_of(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.target!r} HTTP/{self.http_version} {self.headers!r}>"

    def asks_for(self, protocol: str) -> bool:
        """Whether a GET request asks to go on in this protocol, written in lower case."""
        return protocol in self.upgrade and self.method == "GET"

    @property
    def host(self) -> str:
        """The authority that is asked: that of an absolute target, else the ``Host`` header (RFC 9112 3.2.2)."""
        authority = self.target.partition("://")[2].partition("?")[0].partition("/")[0] if self._is_absolute() else ""
        return authority or self.headers.get("host") or ""

    @property
    def origin_target(self) -> str:
        """Path and query of the target, also of an absolute one; ``*`` stays as it is."""
        if not self._is_absolute():
            return self.target
        rest = self.target.partition("://")[2]
        start = re.search(r"[/?]", rest)
        if start is None:
            return "/"
        path = rest[start.start() :]
        return path if path[0] == "/" else "/" + path

    def _is_absolute(self) -> bool:
        return self.target != "" and self.target[0] != "/" and self.target[0] != "*"


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response: the status line and the header lines (RFC 9112 4, 5).

    Attributes:
        status: three digits.
        reason: the reason phrase as sent, possibly empty.
        http_version: ``"1.1"`` or ``"1.0"``.
        headers: the header lines, in order.
        keep_alive: whether the connection can be used again after this response.
        content_length: bytes of the body as announced; ``None`` if they are not, or if there is no body.
    """

    status: int
    reason: str
    http_version: str
    headers: Headers
    keep_alive: bool = True
    content_length: int | None = None


@dataclass(frozen=True, slots=True)
class EndOfBody:
    """The message is complete. A message without a body has this event too, right behind its head.

    Attributes:
        trailers: the trailer fields of a chunked body (RFC 9112 7.1.2), ``None`` if there were none.
    """

    trailers: Headers | None = None


END_OF_BODY: Final = EndOfBody()


def may_have_body(status: int) -> bool:
    """Whether a response with this status may have a body at all: not 1xx, 204 and 304 (RFC 9112 6.3)."""
    return status >= 200 and status not in (204, 304)


def reason_phrase(status: int) -> str:
    """The reason phrase of a status; empty for one that is not registered."""
    return _PHRASES.get(status, "")


def http_date(now: float) -> str:
    """A date for headers, in the form that is sent (RFC 9110 5.6.7).

    Args:
        now: seconds since 1970, as ``time.time()`` gives them; fractions are dropped.

    Returns:
        Such as ``Sun, 06 Nov 1994 08:49:37 GMT``.
    """
    at = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    day, month = _WEEKDAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at.hour:02}:{at.minute:02}:{at.second:02} GMT"


def parse_http_date(text: str) -> float | None:
    """Read a date in any of the three forms of RFC 9110 5.6.7.

    Two-digit years mean 1970 to 2069. The name of the weekday is not compared with the date.

    Returns:
        Seconds since 1970, or ``None`` for anything that is no date.
    """
    match = _IMF_FIXDATE.fullmatch(text) or _RFC850.fullmatch(text) or _ASCTIME.fullmatch(text)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    try:
        hour, minute, second = (int(part) for part in match["time"].split(":"))
        month = _MONTHS.index(match["month"]) + 1
        # A leap second (60) is read as the last second of its minute.
        at = datetime.datetime(year, month, int(match["day"]), hour, minute, min(second, 59), tzinfo=datetime.UTC)
    except ValueError:
        return None
    return at.timestamp()
