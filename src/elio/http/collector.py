"""Where a head ends in what is received, and what is refused before it does (RFC 9112 2.2, 3, 5).

A head that arrives in one piece costs a search for its end; one that dribbles in is checked as far as it has come, each
byte once, so that neither a bad nor an endless one is kept in memory.

Not here: what the head says (``head``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..limits import Limits
from . import octets
from .head import bad_request, check_head_size

__all__ = ["HeadCollector", "measure_head", "split_head"]

_BLANK_LINE: Final = b"\r\n\r\n"
# What a head may contain: no control characters but CR, LF and tab.
_LEGAL: Final = bytes(byte for byte in range(256) if byte in b"\t\r\n" or (byte >= 0x20 and byte != 0x7F))


def split_head(data: bytes, limits: Limits) -> tuple[bytes, bytes] | None:
    """Split data that begins with a whole head, as most does, and needs no :class:`HeadCollector`.

    Returns:
        The head up to and including its empty line, and what follows it; ``None`` if it is not complete, or if there is
        an empty line before it.

    Raises:
        RemoteProtocolError: with status 414 or 431.
    """
    end = octets.find(data, _BLANK_LINE, 0)
    if end < 0 or data.startswith(b"\r\n"):
        return None
    return _split(data, end, limits)


def _split(data: bytes, end: int, limits: Limits) -> tuple[bytes, bytes]:
    line_end = octets.find(data, b"\r\n", 0)
    check_head_size(line_end, end - line_end, octets.count(data, b"\n", 0, end), limits)
    return data[: end + 4], data[end + 4 :]


def measure_head(raw: bytes) -> tuple[int, int]:
    """Bytes of the header lines of a head, and how many lines they are."""
    end = len(raw) - 4
    return end - octets.find(raw, b"\r\n", 0), raw.count(b"\r\n", 0, end)


class HeadCollector:
    """Collects heads of messages, one after the other.

    Args:
        limits: the bounds of a head.
        check_line: raises for a first line that is none of this protocol.
        empty_lines: how many empty lines before a head are ignored.
    """

    __slots__ = (
        "_buffer",
        "_check_line",
        "_empty_lines",
        "_empty_lines_left",
        "_limits",
        "_line_count",
        "_line_end",
        "_scanned",
    )

    def __init__(self, limits: Limits, check_line: Callable[[bytes], object], *, empty_lines: int) -> None:
        self._limits = limits
        self._check_line = check_line
        self._empty_lines = empty_lines
        self._reset()

    def _reset(self) -> None:
        self._buffer: bytes | bytearray = b""  # a head that is not complete
        self._empty_lines_left = self._empty_lines
        self._scanned = 0  # bytes that were checked
        self._line_count = 0  # line ends among them
        self._line_end = -1  # where the first line ends

    @property
    def started(self) -> bool:
        """Whether the first bytes of a head have come and its end has not."""
        return bool(self._buffer)

    def collect(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Add what was received.

        Returns:
            The head up to and including its empty line, and what follows it; ``None`` while it is not complete.

        Raises:
            RemoteProtocolError: with status 400, 414, 431, or what ``check_line`` raises.
        """
        seen: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            seen = self._buffer
        if self._empty_lines_left and seen.startswith(b"\r\n"):
            self._empty_lines_left -= 1
            self._scanned = 0
            self._line_count = 0
            seen = seen[2:]
        end = seen.find(_BLANK_LINE, max(self._scanned - 3, 0))
        if end < 0:
            self._check_unfinished(seen)
            if seen is not self._buffer:
                self._buffer = bytearray(seen)
            return None
        found = _split(bytes(seen), end, self._limits)
        self._reset()
        return found

    def _check_unfinished(self, data: bytes | bytearray) -> None:
        start = self._scanned
        new = data[start:]
        overlap = data[max(start - 1, 0) :]
        line_ends = overlap.count(b"\r\n")
        if new.count(b"\n") != line_ends or overlap.count(b"\r", 0, -1) != line_ends:
            raise bad_request("line of the head does not end in CRLF")
        if new.translate(None, _LEGAL):
            raise bad_request("control character in the head")
        self._line_count += line_ends
        self._scanned = len(data)
        if self._line_end < 0:
            self._line_end = data.find(b"\r\n", max(start - 1, 0))
            if self._line_end >= 0:
                self._check_line(bytes(data[: self._line_end]))
        # The last byte may be the CR of a line end that has not come.
        if self._line_end < 0:
            check_head_size(len(data) - 1, 0, 0, self._limits)
        else:
            headers_size = len(data) - self._line_end - 2
            check_head_size(self._line_end, headers_size - 1, self._line_count - 1, self._limits)
