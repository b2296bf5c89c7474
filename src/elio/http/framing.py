"""Bodies of HTTP/1.1 messages: counted, chunked, or up to the end of the connection (RFC 9112 6, 7).

Each decoder takes what was received and gives body data and what follows the message. httptools parses heads only: it
cannot stop at the end of a body, so what follows a chunked body would be parsed, unbounded, before its time.

Not here: deciding which of them a message has (``head``), and content codings.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeAlias

from ..errors import LimitExceeded
from ..headers import Headers
from ..limits import KIB, Limits
from .head import bad_request, check_head_size, parse_fields
from .message import END_OF_BODY, EndOfBody

__all__ = ["BodyDecoder", "ChunkedDecoder", "LengthDecoder", "UntilCloseDecoder", "body_too_large"]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9112 7.1 and 7.1.1. 16 digits fit in 64 bits. White space is allowed around ";" and "=" as "bad" white space only,
# behind the size not at all: implementations disagree there, which is what request smuggling lives on.
_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})"
    rb"(?:;[ \t]*"
    + _TOKEN
    + rb"(?:=(?:"
    + _TOKEN
    + rb'|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*'
)
_FIELD_LINE: Final = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*")
# After so much data, overhead is counted anew.
_OVERHEAD_WINDOW: Final = 64 * KIB


class BodyDecoder(Protocol):
    """What the three have in common."""

    end: EndOfBody | None
    """What the message ended with, once it has."""

    def decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Decode what was received.

        Args:
            data: the next bytes of the connection.
            pieces: body data is appended here.

        Returns:
            What follows the message; always empty while it has not ended.

        Raises:
            RemoteProtocolError: with the status to answer; what is in ``pieces`` came before it.
        """
        ...


def body_too_large(size: int, limit: int) -> LimitExceeded:
    """A body that is over ``max_body_size``."""
    return LimitExceeded(f"body of {size} bytes, limit {limit}", size=size, limit=limit, status=413)


class LengthDecoder:
    """A body of a known length.

    Args:
        length: its bytes, at least 1.
    """

    __slots__ = ("end", "remaining")

    def __init__(self, length: int) -> None:
        self.end: EndOfBody | None = None
        self.remaining = length

    def decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """See :meth:`BodyDecoder.decode`."""
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            if data:
                pieces.append(data)
            return b""
        pieces.append(data[: self.remaining])
        rest = data[self.remaining :]
        self.remaining = 0
        self.end = END_OF_BODY
        return rest


class UntilCloseDecoder:
    """A body that ends with the connection; only responses have it.

    Args:
        limit: the most bytes it may have.
    """

    __slots__ = ("_limit", "_size", "end")

    def __init__(self, limit: int | None) -> None:
        self.end: EndOfBody | None = None
        self._size = 0
        self._limit = limit

    def decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """See :meth:`BodyDecoder.decode`."""
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise body_too_large(self._size, self._limit)
        if data:
            pieces.append(data)
        return b""


_Step: TypeAlias = "int"
_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3


class ChunkedDecoder:
    """A chunked body with its trailers (RFC 9112 7.1).

    Args:
        limits: the bounds; trailers count together with the headers of the head.
        headers_size: bytes of the header lines of the head.
        header_count: header lines of the head.
    """

    __slots__ = (
        "_chunk",
        "_count",
        "_fields_size",
        "_framing",
        "_limits",
        "_line",
        "_size",
        "_step",
        "_trailers",
        "_window",
        "end",
    )

    def __init__(self, limits: Limits, headers_size: int = 0, header_count: int = 0) -> None:
        self.end: EndOfBody | None = None
        self._limits = limits
        self._fields_size = headers_size
        self._count = header_count
        self._step = _SIZE
        self._line = b""  # the beginning of a line whose end has not come
        self._chunk = 0  # bytes of the present chunk that have not come
        self._size = 0  # bytes of data announced so far
        self._framing = 0  # bytes of framing, and ...
        self._window = 0  # ... bytes of data, since they were counted anew
        self._trailers = bytearray()

    def decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """See :meth:`BodyDecoder.decode`."""
        if self._line:
            data = self._line + data
            self._line = b""
        position = 0
        while self.end is None:
            if self._step == _DATA:
                position = self._read_data(data, position, pieces)
                if self._chunk:
                    return b""
            end = self._find_line_end(data, position)
            if end < 0:
                return b""
            self._read_line(data[position:end])
            position = end + 2
        return data[position:]

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        piece = data[position : position + self._chunk]
        if piece:
            pieces.append(piece)
            self._chunk -= len(piece)
            self._window += len(piece)
        if not self._chunk:
            self._step = _DATA_END
        return position + len(piece)

    def _find_line_end(self, data: bytes, position: int) -> int:
        """Find the CRLF of the line that begins here; if it has not come, keep and check what has."""
        end = data.find(b"\r\n", position)
        if end >= 0:
            return end
        self._line = data[position:]
        self._check_unfinished(self._line)
        return -1

    def _check_unfinished(self, line: bytes) -> None:
        """A line that cannot become a good one is refused before its end: nobody may make us wait or keep it."""
        if b"\n" in line or b"\r" in line[:-1]:
            raise bad_request("line of a chunked body does not end in CRLF")
        if self._step == _DATA_END and line not in (b"", b"\r"):
            raise bad_request("chunk is longer than its size")
        if self._step == _TRAILERS:
            self._check_trailers(len(line) - 1, 0)
        else:
            self._check_overhead(len(line))

    def _read_line(self, line: bytes) -> None:
        if self._step == _TRAILERS:
            self._read_trailer(line)
            return
        self._framing += len(line) + 2
        self._check_overhead(0)
        if self._step == _SIZE:
            self._read_size(line)
            return
        if line:
            raise bad_request("chunk is longer than its size")
        self._step = _SIZE

    def _read_size(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise bad_request("malformed chunk size")
        size = int(match[1], 16)
        if size == 0:
            self._step = _TRAILERS
            return
        limit = self._limits.max_body_size
        if limit is not None and size > limit - self._size:
            raise body_too_large(self._size + size, limit)
        self._size += size
        self._chunk = size
        self._step = _DATA

    def _check_overhead(self, unfinished: int) -> None:
        if self._window >= _OVERHEAD_WINDOW:
            self._window = self._framing = 0
        overhead = self._framing + unfinished - self._window
        limit = self._limits.max_body_overhead
        if overhead > limit:
            message = f"{overhead} bytes of chunk framing beyond the data, limit {limit}"
            raise LimitExceeded(message, size=overhead, limit=limit, status=413)

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            fields = parse_fields(bytes(self._trailers))
            self.end = EndOfBody(Headers.from_trusted(fields)) if fields else END_OF_BODY
            return
        if _FIELD_LINE.fullmatch(line) is None:
            raise bad_request("malformed trailer field")
        self._check_trailers(len(line) + 2, 1)
        self._trailers += line + b"\r\n"

    def _check_trailers(self, size: int, count: int) -> None:
        self._count += count
        check_head_size(0, self._fields_size + len(self._trailers) + size, self._count, self._limits)
