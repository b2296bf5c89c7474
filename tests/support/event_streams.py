"""Event streams cut into pieces in every way that a network may cut them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from elio.errors import EventTooBig
from elio.sse.event import Comment, Event
from elio.sse.parser import Parser

Items = list[Event | Comment | EventTooBig]


def cut(stream: bytes, seed: int, *, longest: int = 12) -> list[bytes]:
    """The stream in pieces of random length, empty ones among them."""
    source = random.Random(seed)
    pieces = []
    rest = stream
    while rest:
        size = source.randint(0, longest)
        pieces.append(rest[:size])
        rest = rest[size:]
    return pieces


def ways(stream: bytes) -> Iterator[list[bytes]]:
    """The stream whole, byte by byte, in two pieces at every place, and cut at random."""
    yield [stream]
    yield [stream[i : i + 1] for i in range(len(stream))]
    for place in range(1, min(len(stream), 200)):
        yield [stream[:place], stream[place:]]
    for seed in range(10):
        yield cut(stream, seed, longest=3 + seed * 7)


def read(pieces: Iterable[bytes], parser: Parser) -> Items:
    """What comes out of a parser for the pieces, up to the end of the stream."""
    items: Items = []
    for piece in pieces:
        items += parser.receive_data(piece)
    return items + parser.receive_eof()


def line_ends(stream: bytes) -> list[bytes]:
    """The stream as it is, and with each other kind of line end if it has LF only."""
    if b"\r" in stream:
        return [stream]
    return [stream, stream.replace(b"\n", b"\r\n"), stream.replace(b"\n", b"\r")]


def check(
    stream: bytes,
    expected: list[Event | Comment],
    *,
    last_event_id: str | None = None,
    retry: float | None = None,
    started_from: str = "",
) -> None:
    """Assert what a stream gives, however it is cut, with each kind of line end, and with limits wide and tight.

    Args:
        stream: the bytes.
        expected: every item; with comments if there is one among them.
        last_event_id: what the parser ends with; by default that of the last event.
        retry: what the parser ends with, in seconds.
        started_from: the last event ID that the parser starts with.
    """
    if last_event_id is None:
        ids = [item.id for item in expected if isinstance(item, Event)]
        last_event_id = (ids[-1] if ids else started_from) or ""
    comments = any(isinstance(item, Comment) for item in expected)
    for variant in line_ends(stream):
        for limit in (None, 1 << 20, tight_limit(stream)):
            for pieces in ways(variant):
                parser = Parser(max_event_size=limit, last_event_id=started_from, comments=comments)
                assert read(pieces, parser) == expected, (pieces, limit)
                assert parser.last_event_id == last_event_id, (pieces, limit)
                assert parser.retry == retry, (pieces, limit)


def tight_limit(stream: bytes) -> int:
    """A limit that the stream keeps, but that makes the parser look at each line: its size, U+FFFD counted as three."""
    return len(stream.decode("utf-8", "replace").encode()) or 1


def message(data: str, id: str = "", type: str = "message") -> Event:
    """An event as it is received."""
    return Event(data, type=type, id=id)
