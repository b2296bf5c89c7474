"""Bytes to events: the receiving half of the event stream format (WHATWG HTML 9.2.5 and 9.2.6).

How it reads. Line ends become LF first: a CR that ends a read is one at once, and an LF that opens the next read is
part of it. An unfinished line waits in a buffer of which only new bytes are searched, so an endless line in small
pieces costs linear time. Complete lines are decoded in one go and searched as text (``_read_text``), unless they could
break the limit: then they are read one by one as bytes (``_read_lines``). Line ends are ASCII, so decoding piece by
piece gives the same U+FFFD as decoding the stream as a whole.

Not here: when to reconnect (``reconnection``), time and I/O.
"""

from __future__ import annotations

import sys
from typing import Final

from ..errors import EventTooBig
from .event import Comment, Event, received_event

__all__ = ["MAX_RETRY", "Parser"]

MAX_RETRY: Final = 86_400.0
"""Seconds: a longer ``retry`` counts as this, one day."""

_MAX_RETRY_MS: Final = 86_400_000
_MAX_RETRY_DIGITS: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10

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
        max_event_size: bytes of one line, and of the data of one event as UTF-8; None for no bound.
        last_event_id: the last event ID of an earlier connection. It stays until the stream sets another.
        comments: whether comment lines come out too, as :class:`Comment`.
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
        self._limit = sys.maxsize if max_event_size is None else max_event_size
        self._comments = comments
        self._last_event_id = last_event_id
        self._retry: float | None = None
        self._start()

    def _start(self) -> None:
        self._expected = _MAYBE_BOM
        self._buffer = bytearray()
        # The buffers of 9.2.6. The data is UTF-8 with an LF behind each line. The last event ID buffer starts with what
        # the earlier connection left, as in browsers: the standard's empty string would lose it with the first event.
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
        lines = data.rfind(b"\n") + 1
        if lines:
            lines += len(buffer)
            buffer += data
            # No byte becomes more than the three of a U+FFFD.
            if lines <= (self._limit - len(self._data)) // 3:
                self._read_text(buffer[:lines].decode("utf-8", "replace"), events)
            else:
                self._read_lines(bytes(buffer[:lines]), events)
            del buffer[:lines]
        else:
            buffer += data
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

    def _read_text(self, text: str, events: list[Event | Comment | EventTooBig]) -> None:
        """Read complete lines, each ended by LF, that are surely within the limit."""
        pos = 0
        size = len(text)
        kind = self._type
        last_id = self._id
        dispatched_id = self._last_event_id
        values: list[str] = []
        # Whether the event has data already, in _data or in values.
        more = len(self._data) > 0
        while pos < size:
            stop = text.find("\n", pos)
            if text.startswith("data:", pos):
                value = text[pos + 6 if text[pos + 5] == " " else pos + 5 : stop]
                if stop + 1 == size or text[stop + 1] != "\n":
                    values.append(value)
                    more = True
                else:
                    # The event ends here, as nearly always: its empty line is read along.
                    stop += 1
                    if more:
                        values.append(value)
                        value = self._take_data(values)
                        more = False
                    events.append(received_event(value, kind or "message", last_id))
                    dispatched_id = last_id
                    kind = ""
            elif stop == pos:
                if more:
                    events.append(received_event(self._take_data(values), kind or "message", last_id))
                    more = False
                dispatched_id = last_id
                kind = ""
            elif text.startswith("event:", pos):
                kind = text[pos + 7 if text[pos + 6] == " " else pos + 6 : stop]
            elif text.startswith("id:", pos):
                value = text[pos + 4 if text[pos + 3] == " " else pos + 3 : stop]
                if "\0" not in value:
                    last_id = value
            elif text.startswith("data\n", pos):
                values.append("")
                more = True
            else:
                self._type, self._id = kind, last_id
                self._read_line(text[pos:stop], events)
                kind, last_id = self._type, self._id
            pos = stop + 1
        self._type = kind
        self._id = last_id
        self._last_event_id = dispatched_id
        if values:
            self._data += "\n".join(values).encode()
            self._data += b"\n"

    def _take_data(self, values: list[str]) -> str:
        """The data of the event: what earlier reads left and the lines of this one. Both are empty afterwards."""
        text = self._data.decode()
        self._data.clear()
        if not values:
            return text[:-1]
        text += "\n".join(values)
        values.clear()
        return text

    def _read_lines(self, lines: bytes, events: list[Event | Comment | EventTooBig]) -> None:
        """Read complete lines, each ended by LF, one by one within the limit."""
        limit = self._limit
        data = self._data
        for line in lines[:-1].split(b"\n"):
            if len(line) > limit:
                self._fail(len(line), "line", events)
                return
            text = line.decode("utf-8", "replace")
            if text.startswith("data:") or text == "data":
                value = (text[6:] if text.startswith("data: ") else text[5:]).encode()
                if len(value) > limit - len(data):
                    self._fail(len(data) + len(value), "event", events)
                    return
                data += value
                data += b"\n"
            elif text:
                self._read_line(text, events)
            else:
                self._last_event_id = self._id
                if data:
                    events.append(received_event(self._take_data([]), self._type or "message", self._id))
                self._type = ""

    def _read_line(self, line: str, events: list[Event | Comment | EventTooBig]) -> None:
        """Process a line that is neither empty nor a data field (9.2.6); unknown fields are ignored."""
        name, _, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if name == "event":
            self._type = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry":
            if value.isascii() and value.isdigit():
                self._retry = _retry_seconds(value)
        elif not name and self._comments:
            events.append(Comment(value))


def _retry_seconds(digits: str) -> float:
    digits = digits.lstrip("0")
    if len(digits) > _MAX_RETRY_DIGITS:
        return MAX_RETRY
    return min(int(digits or "0"), _MAX_RETRY_MS) / 1000
