"""Headers as they came over the wire, taken apart only when somebody asks (RFC 9112 5).

A browser's headers are about 400 bytes on the wire and 2 KiB as strings in a list (benchmarks/bench_http1.py), and
thousands of WebSockets keep theirs. Looking up one header costs about the same either way.

Not here: checking them. The bytes have passed the parser.
"""

from __future__ import annotations

from typing import Final

from ..headers import Headers
from . import octets

__all__ = ["WireHeaders", "parse_fields"]


def parse_fields(block: bytes) -> list[tuple[str, str]]:
    """Split checked header lines, each ended by CRLF, into pairs of name and value."""
    lines = block.decode("latin-1").split("\r\n")
    lines.pop()
    return [(name, value.strip(" \t")) for name, _, value in [line.partition(":") for line in lines]]


class WireHeaders(Headers):
    """Headers that stay bytes until they are changed.

    Args:
        raw: CRLF, then the header lines, each ended by CRLF. Checked already: tokens as names, no folding.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._pairs = None

    def _fields(self) -> list[tuple[str, str]]:
        return parse_fields(self._raw[2:]) if self._pairs is None else self._pairs

    def _own(self) -> list[tuple[str, str]]:
        if self._pairs is None:
            self._pairs = parse_fields(self._raw[2:])
            self._raw = b""
        return self._pairs

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the name, or the default."""
        if self._pairs is not None:
            return Headers.get(self, name, default)
        key = _line_start(name)
        start = octets.find_name(self._raw, key, 0)
        return default if start < 0 else octets.value_at(self._raw, start + len(key))

    def get_all(self, name: str) -> list[str]:
        """Every value of the name, in order."""
        if self._pairs is not None:
            return Headers.get_all(self, name)
        key = _line_start(name)
        values: list[str] = []
        start = octets.find_name(self._raw, key, 0)
        while start >= 0:
            values.append(octets.value_at(self._raw, start + len(key)))
            start = octets.find_name(self._raw, key, start + 2)
        return values


_LINE_STARTS: Final[dict[str, bytes]] = {}
_MAX_LINE_STARTS: Final = 256


def _line_start(name: str) -> bytes:
    """What a line of that name begins with; a colon would reach into the value, so it is made what no name has."""
    key = _LINE_STARTS.get(name)
    if key is None:
        if len(_LINE_STARTS) >= _MAX_LINE_STARTS:  # a program looks up a few names, unless it makes them up
            _LINE_STARTS.clear()
        key = _LINE_STARTS[name] = f"\r\n{name.lower().replace(':', '?')}:".encode("ascii", "replace")
    return key
