"""Whatever bytes an event stream consists of, the parser raises nothing, keeps to its bound, and cuts do not matter.

The first byte of an input chooses the cuts; the rest is the stream.
"""

from __future__ import annotations

from harness import main, pieces

from elio.errors import EventTooBig
from elio.sse.event import Comment, Event
from elio.sse.parser import Parser

MAX_EVENT_SIZE = 200


def reduced(events: list[Event | Comment | EventTooBig]) -> list[Event | Comment | str]:
    """The events, with a violation reduced to that it happened."""
    return ["too big" if isinstance(event, EventTooBig) else event for event in events]


def check(data: bytes) -> None:
    if not data:
        return
    whole = Parser(max_event_size=MAX_EVENT_SIZE, comments=True)
    cut = Parser(max_event_size=MAX_EVENT_SIZE, comments=True)
    seen = reduced(whole.receive_data(data[1:]))
    parts = reduced([event for piece in pieces(data[1:], data[0]) for event in cut.receive_data(piece)])
    assert seen == parts, f"whole: {seen}, in pieces: {parts}"
    assert (whole.last_event_id, whole.retry) == (cut.last_event_id, cut.retry)
    assert "too big" not in seen[:-1], "something follows a violation"
    for event in seen:
        if isinstance(event, Event):
            # A byte of bad UTF-8 becomes a character of three bytes.
            assert len(event.data.encode()) <= 3 * MAX_EVENT_SIZE
            assert event.type
            assert "\0" not in (event.id or "")
    assert whole.receive_eof() == []


if __name__ == "__main__":
    main("sse", check)
