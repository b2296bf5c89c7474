"""Where a head ends in what is received, and what is refused before it does (RFC 9112 2.2, 3, 5).

A head that arrives in one piece costs a search for its end; one that dribbles in is checked as far as it has come, each
byte once, so that neither a bad nor an endless one is kept in memory.

Not here: what the head says (``head``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..limits import Limits
from .head import bad_request, check_head_size

__all__ = ["HeadCollector"]

_BLANK_LINE: Final = b"\r\n\r\n"
# What a head may contain: no control characters but CR, LF and tab.
_LEGAL: Final = bytes(byte for byte in range(256) if byte in b"\t\r\n" or (byte >= 0x20 and byte != 0x7F))


class HeadCollector:
    """Collects heads of messages, one after the other.

    Args:
        limits: the bounds of a head.
        check_line: raises for a first line that is none of this protocol.
        empty_lines: how many empty lines before a head are ignored.

    Attributes:
        headers_size: bytes of the header lines of the last head.
        header_count: header lines of the last head.
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
        "header_count",
        "headers_size",
    )

    def __init__(self, limits: Limits, check_line: Callable[[bytes], object], *, empty_lines: int) -> None:
        self._limits = limits
        self._check_line = check_line
        self._empty_lines = empty_lines
        self.headers_size = 0
        self.header_count = 0
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
        line_end = seen.find(b"\r\n")
        self.headers_size = end - line_end
        self.header_count = seen.count(b"\r\n", 0, end)
        check_head_size(line_end, self.headers_size, self.header_count, self._limits)
        found = bytes(seen[: end + 4]), bytes(seen[end + 4 :])
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
