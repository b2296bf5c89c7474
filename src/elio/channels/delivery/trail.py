"""The last records of one channel, kept so that many subscribers who come back do not all ask the engine."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from ..backend import Position
from ..envelope import Envelope

__all__ = ["Entry", "Trail", "size_of"]

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
        if not (position.epoch == until.epoch == self._start.epoch) or position.offset < self._start.offset:
            return None
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.position.offset <= position.offset:
                break
            if entry.position.offset <= until.offset:
                found.append(entry)
        found.reverse()
        return found if found and found[-1].position == until else None

    def newest(self, count: int, until: Position) -> Entry | None:
        """The first of so many records up to a position, which is the newest; None if they are not all here."""
        if len(self._entries) < count or self._entries[-1].position != until:
            return None
        return self._entries[-count]
