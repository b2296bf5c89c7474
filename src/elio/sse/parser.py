"""Bytes to events: the receiving half of the event stream format (WHATWG HTML 9.2.5 and 9.2.6).

How it reads. Line ends become LF first: a CR that ends a read is one at once, and an LF that opens the next read is
part of it. An unfinished line waits in a buffer of which only new bytes are searched, so an endless line in small
pieces costs linear time. Complete lines are read as bytes, and what comes out is decoded: line ends are ASCII, so that
gives the same U+FFFD as decoding the stream as a whole.

Not here: when to reconnect (``reconnection``), time and I/O.
"""

from __future__ import annotations

import sys
from typing import Final

from ..errors import EventTooBig
from ..limits import bound
from . import received
from .event import Comment, Event

__all__ = ["MAX_RETRY", "Parser"]

MAX_RETRY: Final = 86_400.0
"""Seconds: a longer ``retry`` counts as this, one day."""

_MAX_RETRY_MS: Final = 86_400_000
_MAX_RETRY_DIGITS: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10
_SPACE: Final = 32

# What the next bytes may be apart from lines.
_ANYTHING: Final = 0
_MAYBE_BOM: Final = 1
_MAYBE_LF: Final = 2
_IGNORED: Final = 3


class Parser:
    """Reads one event stream.

    An event stream is one response body. For the body of the next connection make a new parser with the old one's
    ``last_event_id``, or call :meth:`reset`.

    Args:
        max_event_size: bytes of one line, and of the data of one event, as they arrive; None for no bound.
        last_event_id: the last event ID of an earlier connection. It stays until the stream sets another.
        comments: whether comment lines come out too, as :class:`Comment`.

    Raises:
        ConfigurationError: the bound is negative, or too large to be counted.
    """

    __slots__ = (
        "_buffer",
        "_comments",
        "_data",
        "_expected",
        "_id",
        "_last_event_id",
        "_limit",
        "_retry",
        "_type",
    )

    def __init__(self, *, max_event_size: int | None, last_event_id: str = "", comments: bool = False) -> None:
        self._limit = min(bound("max_event_size", max_event_size), sys.maxsize)
        self._comments = comments
        self._last_event_id = last_event_id
        self._retry: float | None = None
        self._start()

    def _start(self) -> None:
        self._expected = _MAYBE_BOM
        self._buffer = bytearray()
        # The buffers of 9.2.6. The data is as it came, with an LF behind each line. The last event ID buffer begins
        # with what the earlier connection left, as in browsers: the standard's empty string would lose that.
        self._data = bytearray()
        self._type = ""
        self._id = self._last_event_id

    @property
    def last_event_id(self) -> str:
        """The last event ID: what the next request sends as ``Last-Event-ID``; "" if there is none."""
        return self._last_event_id

    @property
    def retry(self) -> float | None:
        """The reconnection time that the stream asked for, in seconds, at most MAX_RETRY; None if it did not."""
        return self._retry

    def reset(self) -> None:
        """Start over with the body of a new connection. The last event ID and the reconnection time stay."""
        self._start()

    def receive_eof(self) -> list[Event | Comment | EventTooBig]:
        """The body has ended. An event without its empty line is dropped (9.2.6), so nothing comes out."""
        self._end()
        return []

    def receive_data(self, data: bytes) -> list[Event | Comment | EventTooBig]:
        """Read what came of the body.

        Returns:
            what it completed, in order. An :class:`EventTooBig` is the last item, and nothing comes out after it.
        """
        events: list[Event | Comment | EventTooBig] = []
        if self._expected:
            data = self._read_start(data)
        if _CR in data:
            data = self._with_lf(data)
        buffer = self._buffer
        if received.line_end(data, 0) < 0:
            received.append(buffer, data, 0, len(data))
        else:
            if len(buffer):
                data = received.joined(buffer, data)
            pos = self._read_lines(data, events)
            if self._expected == _IGNORED:
                return events
            received.keep(buffer, data, pos)
        if len(buffer) > self._limit:
            self._fail(len(buffer), "line", events)
        return events

    def _read_start(self, data: bytes) -> bytes:
        """Drop what the first bytes are apart from lines."""
        if self._expected == _IGNORED:
            return b""
        if self._expected == _MAYBE_LF:
            if data:
                self._expected = _ANYTHING
            return data.removeprefix(b"\n")
        # A byte order mark at the very start (9.2.5), which may come in three reads.
        data = bytes(self._buffer) + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._buffer[:] = data
            return b""
        self._buffer.clear()
        self._expected = _ANYTHING
        return data.removeprefix(_BOM)

    def _with_lf(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF."""
        ended_by = data[-1]
        if ended_by == _CR:
            self._expected = _MAYBE_LF
        # bytes.splitlines, unlike that of str, knows only CR, LF and CRLF. It costs half of two calls of replace.
        data = b"\n".join(data.splitlines())
        return data + b"\n" if ended_by in (_CR, _LF) else data

    def _end(self) -> None:
        self._expected = _IGNORED
        self._buffer.clear()
        self._data.clear()

    def _fail(self, size: int, what: str, events: list[Event | Comment | EventTooBig]) -> None:
        events.append(EventTooBig(size=size, limit=self._limit, what=what))
        self._end()

    def _read_lines(self, lines: bytes, events: list[Event | Comment | EventTooBig]) -> int:
        """Read the complete lines; the position behind them."""
        limit = self._limit
        data = self._data
        octets = lines
        size = len(lines)
        pos = 0
        while True:
            stop = received.line_end(lines, pos)
            if stop < 0:
                return pos
            if stop - pos > limit:
                self._fail(stop - pos, "line", events)
                return pos
            if stop > pos and lines.startswith(b"data:", pos):
                start = pos + 6 if octets[pos + 5] == _SPACE else pos + 5
                if len(data):
                    end = -1
                elif stop + 1 < size and octets[stop + 1] == _LF:
                    # One line of data, as nearly always: the empty line behind it is read along.
                    self._add_event(received.text(lines, start, stop), events)
                    pos = stop + 2
                    continue
                else:
                    # Data in several lines, all of it at hand: read in one go if nothing else is between them.
                    end = received.block_end(lines, pos) if start == pos + 6 else -1
                if end > 0 and end - pos <= limit:
                    self._add_event(received.block_text(lines, pos, end), events)
                    stop = end
                elif stop - start > limit - len(data):
                    self._fail(len(data) + stop - start, "event", events)
                    return pos
                else:
                    received.append(data, lines, start, stop + 1)
            elif stop == pos:
                self._end_event(events)
            elif stop - pos > 5 and lines.startswith(b"event:", pos):
                start = pos + 7 if octets[pos + 6] == _SPACE else pos + 6
                self._type = received.text(lines, start, stop)
            elif stop - pos == 4 and lines.startswith(b"data", pos):
                if len(data) > limit:
                    self._fail(len(data), "event", events)
                    return pos
                data += b"\n"
            else:
                self._read_line(lines[pos:stop], events)
            pos = stop + 1

    def _add_event(self, data: str, events: list[Event | Comment | EventTooBig]) -> None:
        events.append(received.event(data, self._type or "message", self._id))
        self._last_event_id = self._id
        self._type = ""

    def _end_event(self, events: list[Event | Comment | EventTooBig]) -> None:
        """An empty line ends the event (9.2.6): without data none comes out, but its ID counts from now on."""
        data = self._data
        if len(data):
            self._add_event(received.take_text(data), events)
        else:
            self._last_event_id = self._id
            self._type = ""

    def _read_line(self, line: bytes, events: list[Event | Comment | EventTooBig]) -> None:
        """Process a line that is neither empty nor a data field (9.2.6); unknown fields are ignored."""
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"retry":
            if value.isdigit():
                self._retry = _retry_seconds(value)
        elif not name and self._comments:
            events.append(Comment(value.decode("utf-8", "replace")))


def _retry_seconds(digits: bytes) -> float:
    digits = digits.lstrip(b"0")
    if len(digits) > _MAX_RETRY_DIGITS:
        return MAX_RETRY
    return min(int(digits or b"0"), _MAX_RETRY_MS) / 1000
