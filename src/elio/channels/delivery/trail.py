"""The last records of one channel, kept so that many subscribers who come back do not all ask the engine."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from ..backend import Position
from ..envelope import Envelope

__all__ = ["Entry", "Trail", "between", "index_behind", "size_of"]

_MAX_SIZE: Final = 384 * 1024
"""Bytes of one channel: about a thousand short messages."""

_OVERHEAD: Final = 330
"""Bytes that a record takes beside its data, about."""


class Entry(NamedTuple):
    """A record with its payload read."""

    channel: str
    position: Position
    envelope: Envelope


def size_of(entry: Entry) -> int:
    """Bytes that a record takes."""
    return _OVERHEAD + len(entry.envelope.data)


def index_behind(entries: Sequence[Entry], offset: int) -> int:
    """Where the records behind an offset begin."""
    return bisect_right(entries, offset, key=_offset)


def _offset(entry: Entry) -> int:
    return entry.position.offset


def between(
    entries: Sequence[Entry], start: Position, after: Position, until: Position, limit: int | None = None
) -> list[Entry]:
    """Those of consecutive records that are behind a position, up to another.

    Args:
        entries: the records.
        start: behind which they go on. What is asked of before it, or of another epoch, is not here at all.
        after: behind which.
        until: up to where.
        limit: how many at most, the first of them; all without one.
    """
    if not (after.epoch == until.epoch == start.epoch) or after.offset < start.offset:
        return []
    first, last = index_behind(entries, after.offset), index_behind(entries, until.offset)
    return list(islice(entries, first, last if limit is None else min(last, first + limit)))


class Trail:
    """Consecutive records of one channel up to the newest.

    Args:
        start: behind which its records go on.

    Attributes:
        size: bytes that are kept.
    """

    __slots__ = ("_entries", "_start", "size")

    def __init__(self, start: Position) -> None:
        self._entries: deque[Entry] = deque()
        self._start = start
        self.size = 0

    def add(self, entry: Entry) -> None:
        """The newest record. One of another epoch begins anew."""
        if entry.position.epoch != self._start.epoch:
            self.restart(Position(entry.position.epoch, entry.position.offset - 1))
        self._entries.append(entry)
        self.size += size_of(entry)
        while self.size > _MAX_SIZE:
            oldest = self._entries.popleft()
            self.size -= size_of(oldest)
            self._start = oldest.position

    def restart(self, start: Position) -> None:
        """There was a gap: what is kept is not connected to what follows."""
        self._entries.clear()
        self._start = start
        self.size = 0

    def after(self, position: Position, until: Position) -> list[Entry] | None:
        """The records behind a position, up to another; None if they are not all here."""
        found = between(self._entries, self._start, position, until)
        return found if found and found[-1].position == until else None

    def newest(self, count: int, until: Position) -> Entry | None:
        """The first of so many records up to a position, which is the newest; None if they are not all here."""
        if len(self._entries) < count or self._entries[-1].position != until:
            return None
        return self._entries[-count]
