"""The history of one channel in memory. No I/O; time enters as an argument."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import NamedTuple

from ..backend import History, Position, Record

__all__ = ["Log"]


class _Entry(NamedTuple):
    record: Record
    time: float
    key: str | None


class Log:
    """The records of one channel that are kept, and its offset.

    Args:
        channel: its name.
        position: behind which its offsets go on.

    Attributes:
        size: bytes of the payloads that are kept.
    """

    __slots__ = ("_channel", "_entries", "_keys", "_start", "position", "size")

    def __init__(self, channel: str, position: Position) -> None:
        self._channel = channel
        self._entries: deque[_Entry] = deque()
        self._keys: dict[str, Position] = {}
        self._start = position.offset
        self.position = position
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last_time(self) -> float:
        """When the newest record came; 0.0 if none is kept."""
        return self._entries[-1].time if self._entries else 0.0

    def known(self, key: str | None) -> Position | None:
        """Where the record with this idempotency key is, if it is kept."""
        return None if key is None else self._keys.get(key)

    def append(self, payload: bytes, key: str | None, now: float) -> Record:
        """Add a record."""
        self.position = position = Position(self.position.epoch, self.position.offset + 1)
        record = Record(self._channel, position.epoch, position.offset, payload)
        self._entries.append(_Entry(record, now, key))
        self.size += len(payload)
        if key is not None:
            self._keys[key] = position
        return record

    def trim(self, *, count: int, size: int, since: float) -> None:
        """Drop the oldest records: those over a number or over so many bytes in all, and those from before a time."""
        entries = self._entries
        while entries and (len(entries) > count or self.size > size or entries[0].time < since):
            entry = entries.popleft()
            self.size -= len(entry.record.payload)
            if entry.key is not None:
                del self._keys[entry.key]

    def read(self, after: Position | None, limit: int) -> History:
        """What is kept behind a position, or the newest records."""
        first = self.position.offset - len(self._entries)  # before the oldest that is kept
        if after is None:
            skip = max(len(self._entries) - limit, 0)
            return History(self._records(skip, limit), skip == 0 and first == self._start == 0, self.position)
        is_complete = after.epoch == self.position.epoch and first <= after.offset <= self.position.offset
        skip = after.offset - first if is_complete else 0
        return History(self._records(skip, limit), is_complete, self.position)

    def _records(self, skip: int, limit: int) -> list[Record]:
        return [entry.record for entry in islice(self._entries, skip, skip + limit)]
