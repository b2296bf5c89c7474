"""Bytes to events: the receiving half of the event stream format (WHATWG HTML 9.2.5 and 9.2.6).

How it reads. Line ends become LF first (a CR that ends a read is one at once; an LF that opens the next read belongs to
it). What follows the last LF waits in ``_partial``, which only grows by appending, so an endless line in small pieces
costs linear time. Complete lines take one of two ways:

- whole events, from boundary to boundary, which are decoded in one go and searched as text (``_read_events``);
- anything that begins or ends inside an event, or that may be over the limit, line by line as bytes
  (``_read_lines``), since the limit counts bytes.

Line ends are ASCII, so decoding piece by piece gives the same U+FFFD as decoding the stream as a whole.

Not here: when to reconnect (``reconnection``), time and I/O.
"""

from __future__ import annotations

from typing import Final

from ..errors import EventTooBig
from .event import Comment, Draft, Event, received_event

__all__ = ["MAX_RETRY", "Parser"]

MAX_RETRY: Final = 86_400.0
"""Seconds: a longer ``retry`` counts as this, one day."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_RETRY_MS: Final = 86_400_000
_MAX_RETRY_DIGITS: Final = 8


class Parser:
    """Reads one event stream.

    An event stream is one response body. For the body of the next connection make a new parser with the old one's
    ``last_event_id``, or call :meth:`reset`.

    Args:
        max_event_size: bytes of one line, and of the data of one event; None for no bound.
        last_event_id: the last event ID of an earlier connection. It stays until the stream sets another.
        comments: whether comment lines come out too, as :class:`Comment`.
    """

    __slots__ = (
        "_at_start",
        "_comments",
        "_data",
        "_ended",
        "_id",
        "_last_event_id",
        "_limit",
        "_partial",
        "_retry",
        "_skip_lf",
        "_type",
    )

    def __init__(self, *, max_event_size: int | None, last_event_id: str = "", comments: bool = False) -> None:
        self._limit = max_event_size
        self._comments = comments
        self._last_event_id = last_event_id
        self._retry: float | None = None
        self._start()

    def _start(self) -> None:
        self._at_start = True
        self._ended = False
        self._skip_lf = False
        self._partial = bytearray()
        # The buffers of 9.2.6. The data has an LF behind each line; the last event ID buffer starts with what the
        # earlier connection left, as browsers do.
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
        if self._ended:
            return events
        if self._at_start:
            data = self._without_bom(data)
        if self._skip_lf and data:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = data.rfind(b"\n") + 1
        if not end:
            self._partial += data
            self._check_size(len(self._partial), "line", events)
            return events
        complete = data[:end]
        if self._partial:
            complete = bytes(self._partial) + complete
        self._partial = bytearray(data[end:])
        self._read_complete(complete, events)
        self._check_size(len(self._partial), "line", events)
        return events

    def _without_bom(self, data: bytes) -> bytes:
        """Drop a byte order mark at the very start (9.2.5), which may come in three reads."""
        data = bytes(self._partial) + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._partial[:] = data
            return b""
        self._partial.clear()
        self._at_start = False
        return data.removeprefix(_BOM)

    def _end(self) -> None:
        self._ended = True
        self._partial.clear()
        self._data.clear()

    def _check_size(self, size: int, what: str, events: list[Event | Comment | EventTooBig]) -> bool:
        """Whether the size is within the limit; if it is not, the stream has ended."""
        if self._limit is None or size <= self._limit or self._ended:
            return True
        events.append(EventTooBig(size=size, limit=self._limit, what=what))
        self._end()
        return False

    def _read_complete(self, lines: bytes, events: list[Event | Comment | EventTooBig]) -> None:
        """Read complete lines, each ended by LF."""
        start = 0
        if self._data or self._type:
            start = _event_end(lines)
            self._read_lines(lines[:start], events)
        end = lines.rfind(b"\n\n", start) + 2
        if end < start + 2 or (self._limit is not None and end - start > self._limit):
            end = start
        if start < end and not self._ended:
            self._read_events(lines[start:end].decode("utf-8", "replace"), events)
        if end < len(lines) and not self._ended:
            self._read_lines(lines[end:], events)

    def _read_events(self, text: str, events: list[Event | Comment | EventTooBig]) -> None:
        """Read whole events: the text begins behind an event and ends with an empty line.

        The shapes that nearly every event has are cut out here: ``data``, or ``id``, ``event`` and ``data`` in this
        order, some left out, and lines of ``data: ``. All else goes line by line through ``_read_block``.
        """
        pos = 0
        size = len(text)
        while pos < size:
            begin = pos
            kind = "message"
            stop = text.find("\n", pos)
            if not text.startswith("data:", pos):
                if stop == pos:
                    pos += 1
                    continue
                if text.startswith("id:", pos):
                    ident = text[pos + 4 if text[pos + 3] == " " else pos + 3 : stop]
                    if "\0" not in ident:
                        self._id = ident
                    pos = stop + 1
                    stop = text.find("\n", pos)
                if text.startswith("event:", pos):
                    kind = text[pos + 7 if text[pos + 6] == " " else pos + 6 : stop] or "message"
                    pos = stop + 1
                    stop = text.find("\n", pos)
            value: str | None
            if text.startswith("data:", pos) and text[stop + 1] == "\n":
                value = text[pos + 6 if text[pos + 5] == " " else pos + 5 : stop]
                pos = stop + 2
            else:
                stop = text.find("\n\n", begin)
                value = text[pos + 6 : stop]
                if not text.startswith("data: ", pos) or value.count("\n") != value.count("\ndata: "):
                    value = self._read_block(text[begin:stop], events)
                    kind = self._type or "message"
                    self._type = ""
                    pos = stop + 2
                    if value is None:
                        continue
                else:
                    value = value.replace("\ndata: ", "\n")
                    pos = stop + 2
            # received_event(value, kind, self._id), written out: a call costs a tenth of the event.
            draft = Draft()
            draft.data = value
            draft.type = kind
            draft.id = self._id
            draft.retry = None
            draft.__class__ = Event  # type: ignore[assignment]
            events.append(draft)  # type: ignore[arg-type]
        self._last_event_id = self._id

    def _read_block(self, block: str, events: list[Event | Comment | EventTooBig]) -> str | None:
        """Read the lines of one event; its data, or None if it has no data field."""
        values = []
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            if value.startswith(" "):
                value = value[1:]
            if name == "data":
                values.append(value)
            elif name:
                self._read_field(name, value)
            elif colon and self._comments:
                events.append(Comment(value))
        return "\n".join(values) if values else None

    def _read_lines(self, lines: bytes, events: list[Event | Comment | EventTooBig]) -> None:
        """Read complete lines one by one, with the limit."""
        for line in lines[:-1].split(b"\n"):
            if not self._check_size(len(line), "line", events):
                return
            if not line:
                self._dispatch(events)
                continue
            name, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if name == b"data":
                if not self._check_size(len(self._data) + len(value), "event", events):
                    return
                self._data += value
                self._data += b"\n"
            elif name:
                self._read_field(name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            elif self._comments:
                events.append(Comment(value.decode("utf-8", "replace")))

    def _read_field(self, name: str, value: str) -> None:
        """Process a field other than data (9.2.6); unknown ones are ignored."""
        if name == "event":
            self._type = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            digits = value.lstrip("0")
            too_long = len(digits) > _MAX_RETRY_DIGITS
            self._retry = (_MAX_RETRY_MS if too_long else min(int(digits or "0"), _MAX_RETRY_MS)) / 1000

    def _dispatch(self, events: list[Event | Comment | EventTooBig]) -> None:
        """An empty line ends the event (9.2.6): without data none comes out, but its id is remembered."""
        self._last_event_id = self._id
        if self._data:
            text = self._data[:-1].decode("utf-8", "replace")
            events.append(received_event(text, self._type or "message", self._id))
            self._data.clear()
        self._type = ""


def _event_end(lines: bytes) -> int:
    """Where the event that these lines continue ends: behind the first empty line, or behind them all."""
    if lines.startswith(b"\n"):
        return 1
    end = lines.find(b"\n\n")
    return len(lines) if end < 0 else end + 2
