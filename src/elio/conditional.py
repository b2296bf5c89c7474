"""Conditional and range requests as functions over request headers and facts of a representation (RFC 9110 13, 14).

Not here: files, and more than one range in a response: a request for several gets the whole, which RFC 9110 14.2 always
allows. So nothing a client lists costs more than reading it once.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from .headers import Headers
from .http.message import http_date, parse_http_date

__all__ = ["Facts", "Selection", "parse_range", "select"]

# More digits than any size has: ignored like everything else that is no range.
_RANGE: Final = re.compile(r"[ \t]*([0-9]{0,30})-([0-9]{0,30})[ \t]*")


@dataclass(frozen=True, slots=True)
class Facts:
    """What requests can be compared with.

    Attributes:
        size: bytes.
        etag: the entity tag, quotes included; a strong one unless it starts with ``W/`` (RFC 9110 8.8.3).
        modified: seconds since 1970; ``None`` if it is not known.
    """

    size: int
    etag: str
    modified: float | None = None

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Facts:
        """The facts of a file; its time in nanoseconds and its size make the entity tag."""
        return cls(stat.st_size, f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"', stat.st_mtime)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """``ETag``, ``Last-Modified`` if it is known, and ``Accept-Ranges``."""
        pairs = [("ETag", self.etag), ("Accept-Ranges", "bytes")]
        if self.modified is not None:
            pairs.append(("Last-Modified", http_date(self.modified)))
        return pairs


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer with.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        offset: the first byte to send.
        length: how many bytes to send; 0 with 304, 412 and 416.
        content_range: the ``Content-Range`` header, with 206 and 416; empty with the others.
    """

    status: int
    offset: int = 0
    length: int = 0
    content_range: str = ""


def select(method: str, headers: Headers, facts: Facts) -> Selection:
    """Decide what a GET or HEAD request gets, in the order of RFC 9110 13.2.2. Any other method gets it all."""
    if method in ("GET", "HEAD"):
        if not _preconditions_hold(headers, facts):
            return Selection(412)
        if _is_not_modified(headers, facts):
            return Selection(304)
    if method == "GET" and _range_applies(headers, facts):
        return _select_range(headers.get_all("range"), facts.size)
    return Selection(200, 0, facts.size)


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Read a ``Range`` header with one byte range (RFC 9110 14.1.2).

    Returns:
        Offset and length; the length is 0 if no byte is inside (416). ``None`` if the header is to be ignored: another
        unit, several ranges, bad syntax, or a suffix of nothing.
    """
    unit, equals, text = value.partition("=")
    match = _RANGE.fullmatch(text)
    if not equals or unit.strip().lower() != "bytes" or match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    offset = int(first)
    if last and int(last) < offset:
        return None
    end = min(int(last) + 1, size) if last else size
    return (offset, end - offset) if offset < size else (0, 0)


def _suffix(digits: str, size: int) -> tuple[int, int] | None:
    if not digits or (size == 0 and int(digits)):
        return None
    length = min(int(digits), size)
    return size - length, length


def _select_range(values: list[str], size: int) -> Selection:
    found = parse_range(values[0], size) if len(values) == 1 else None
    if found is None:
        return Selection(200, 0, size)
    offset, length = found
    if length == 0:
        return Selection(416, content_range=f"bytes */{size}")
    return Selection(206, offset, length, f"bytes {offset}-{offset + length - 1}/{size}")


def _preconditions_hold(headers: Headers, facts: Facts) -> bool:
    """If-Match and If-Unmodified-Since (RFC 9110 13.1.1, 13.1.4)."""
    if "if-match" in headers:
        tags = headers.get_list("if-match")
        return "*" in tags or (_is_strong(facts.etag) and facts.etag in tags)
    since = _date(headers, "if-unmodified-since")
    return since is None or facts.modified is None or int(facts.modified) <= since


def _is_not_modified(headers: Headers, facts: Facts) -> bool:
    """If-None-Match, compared weakly, else If-Modified-Since (RFC 9110 13.1.2, 13.1.3)."""
    if "if-none-match" in headers:
        wanted = facts.etag.removeprefix("W/")
        return any(tag == "*" or tag.removeprefix("W/") == wanted for tag in headers.get_list("if-none-match"))
    since = _date(headers, "if-modified-since")
    return since is not None and facts.modified is not None and int(facts.modified) <= since


def _range_applies(headers: Headers, facts: Facts) -> bool:
    """Whether there is a Range header and If-Range, compared strongly, lets it count (RFC 9110 13.1.5)."""
    if "range" not in headers:
        return False
    validator = headers.get("if-range")
    if validator is None:
        return True
    if '"' in validator:
        return validator == facts.etag and _is_strong(validator)
    return facts.modified is not None and parse_http_date(validator) == int(facts.modified)


def _is_strong(etag: str) -> bool:
    return not etag.startswith("W/")


def _date(headers: Headers, name: str) -> float | None:
    return parse_http_date(headers.get(name) or "")
