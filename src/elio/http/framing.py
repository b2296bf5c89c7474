"""Bodies of HTTP/1.1 messages: counted, chunked, or up to the end of the connection (RFC 9112 6, 7).

Each decoder takes what was received and gives body data and what follows the message. httptools parses heads only: it
cannot stop at the end of a body, so what follows a chunked body would be parsed, unbounded, before its time.

Not here: deciding which of them a message has (``head``), and content codings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from ..errors import LimitExceeded
from ..limits import KIB, Limits
from .head import bad_request, check_head_size
from .message import END_OF_BODY, EndOfBody
from .wire_headers import WireHeaders

__all__ = ["BodyDecoder", "ChunkedDecoder", "LengthDecoder", "UntilCloseDecoder", "body_too_large", "decode_body"]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# RFC 9112 7.1 and 7.1.1. 16 digits fit in 64 bits. No white space outside of quotes: implementations disagree about it,
# which is what request smuggling lives on.
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*" % (_TOKEN, _TOKEN, _QUOTED))
# A chunk without extensions, as nearly all are.
_PLAIN_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
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


def decode_body(decoder: BodyDecoder, data: bytes, put: Callable[[bytes], object]) -> bytes:
    """Decode what was received, and hand on its data as one object, however many chunks the peer made of it.

    Args:
        decoder: of the present message.
        data: the next bytes of the connection.
        put: takes the data; not called if there is none, called before an error is raised.

    Returns:
        What follows the message.
    """
    pieces: list[bytes] = []
    try:
        return decoder.decode(data, pieces)
    finally:
        if pieces:
            put(pieces[0] if len(pieces) == 1 else b"".join(pieces))


def body_too_large(size: int, limit: int) -> LimitExceeded:
    """A body that is over ``max_body_size``."""
    message = f"body of {size} bytes, limit {limit}"
    return LimitExceeded(message, bound="max_body_size", size=size, limit=limit, status=413)


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


class _Step(Enum):
    SIZE = "in the line with the size of a chunk"
    DATA = "in the data of a chunk"
    DATA_END = "in the CRLF behind them"
    TRAILERS = "in the trailers"


class ChunkedDecoder:
    """A chunked body with its trailers (RFC 9112 7.1).

    Args:
        limits: the bounds of trailers, which count together with the headers of the head, and of one line.
        max_size: the most bytes of data.
        max_overhead: the most bytes of framing beyond the data, counted anew after 64 KiB of data. ``None`` suits event
            streams, where a small chunk now and then is all that ever comes.
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
        "_max_overhead",
        "_max_size",
        "_size",
        "_step",
        "_trailers",
        "_window",
        "end",
    )

    def __init__(
        self,
        limits: Limits,
        *,
        max_size: int | None,
        max_overhead: int | None,
        headers_size: int = 0,
        header_count: int = 0,
    ) -> None:
        self.end: EndOfBody | None = None
        self._limits = limits
        self._max_size = max_size
        self._max_overhead = max_overhead
        self._fields_size = headers_size
        self._count = header_count
        self._step = _Step.SIZE
        self._line = b""  # the beginning of a line whose end has not come
        self._chunk = 0  # bytes of the present chunk that have not come
        self._size = 0  # bytes of data announced so far
        self._framing = 0  # bytes of framing, and ...
        self._window = 0  # ... bytes of data announced, since they were counted anew
        self._trailers = b"\r\n"

    def decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """See :meth:`BodyDecoder.decode`."""
        if self._line:
            data = self._line + data
            self._line = b""
        position = 0
        while self.end is None:
            if self._step is _Step.SIZE:
                position = self._read_whole_chunks(data, position, pieces)
            elif self._step is _Step.DATA:
                position = self._read_data(data, position, pieces)
                if self._chunk:
                    return b""
            end = data.find(b"\r\n", position)
            if end < 0:
                self._keep_unfinished(data[position:])
                return b""
            self._read_line(data[position:end])
            position = end + 2
        return data[position:]

    def _read_whole_chunks(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Read the chunks that are here as a whole, in a quarter of the time (benchmarks/bench_http1.py)."""
        while (match := _PLAIN_SIZE.match(data, position)) is not None:
            size = int(match[1], 16)
            start = match.end()
            end = start + size
            if size == 0 or data[end : end + 2] != b"\r\n":
                break
            self._begin_chunk(size, start - position + 2)
            pieces.append(data[start:end])
            position = end + 2
        return position

    def _begin_chunk(self, size: int, framing: int) -> None:
        """Count a chunk against the limits, before anything of it is taken."""
        self._size += size
        if self._max_size is not None and self._size > self._max_size:
            raise body_too_large(self._size, self._max_size)
        if self._window >= _OVERHEAD_WINDOW:
            self._window = self._framing = 0
        self._window += size
        self._framing += framing
        if self._max_overhead is not None and self._framing - self._window > self._max_overhead:
            raise _too_much_overhead(self._framing - self._window, self._max_overhead)

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        piece = data[position : position + self._chunk]
        if piece:
            pieces.append(piece)
            self._chunk -= len(piece)
        if not self._chunk:
            self._step = _Step.DATA_END
        return position + len(piece)

    def _keep_unfinished(self, line: bytes) -> None:
        """Keep a line whose end has not come, unless it cannot become a good one: nobody may make us wait for that."""
        if b"\n" in line or b"\r" in line[:-1]:
            raise bad_request("line of a chunked body does not end in CRLF")
        if self._step is _Step.TRAILERS:
            self._check_trailers(len(line) - 1, 0)
        elif self._step is _Step.DATA_END and line not in (b"", b"\r"):
            raise bad_request("chunk is longer than its size")
        else:
            self._check_line_size(len(line) - 1)
        self._line = line

    def _check_line_size(self, size: int) -> None:
        if size > self._limits.max_body_overhead:
            raise _too_much_overhead(size, self._limits.max_body_overhead)

    def _read_line(self, line: bytes) -> None:
        if self._step is _Step.TRAILERS:
            self._read_trailer(line)
        elif self._step is _Step.SIZE:
            self._read_size(line)
        elif line:
            raise bad_request("chunk is longer than its size")
        else:
            self._step = _Step.SIZE

    def _read_size(self, line: bytes) -> None:
        self._check_line_size(len(line))
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise bad_request("malformed chunk size")
        size = int(match[1], 16)
        # Its line, that line's CRLF, and the CRLF behind the data.
        self._begin_chunk(size, len(line) + 4)
        self._chunk = size
        self._step = _Step.DATA if size else _Step.TRAILERS

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.end = EndOfBody(WireHeaders(self._trailers)) if len(self._trailers) > 2 else END_OF_BODY
            return
        if _FIELD_LINE.fullmatch(line) is None:
            raise bad_request("malformed trailer field")
        self._check_trailers(len(line) + 2, 1)
        self._trailers += line + b"\r\n"

    def _check_trailers(self, size: int, count: int) -> None:
        self._count += count
        check_head_size(0, self._fields_size + len(self._trailers) - 2 + size, self._count, self._limits)


def _too_much_overhead(size: int, limit: int) -> LimitExceeded:
    message = f"{size} bytes of chunk framing beyond the data, limit {limit}"
    return LimitExceeded(message, bound="max_body_overhead", size=size, limit=limit, status=413)
