"""The queue of a subscriber that takes messages more slowly than they come, and what happens when it is full."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import replace
from enum import StrEnum
from typing import Final

from .backend import GapReason
from .message import Gap, Message

__all__ = ["Backlog", "Policy"]

_OVERHEAD: Final = 200
"""Bytes that a message takes beside its data, about: many empty ones have a bound too."""


class Policy(StrEnum):
    """What happens to a message for which a subscriber has no room."""

    BLOCK = "block"
    """Nothing is lost as long as history has it: the subscriber goes on from there, and nobody else waits for it."""
    DROP_OLDEST = "drop_oldest"
    """The oldest ones that wait make room."""
    DROP_NEWEST = "drop_newest"
    """The new one is dropped."""
    COALESCE = "coalesce"
    """While one with the same key waits, the new one takes its turn at the end; then as ``drop_oldest``."""
    CLOSE = "close"
    """The subscription ends with :class:`elio.SlowSubscriber`."""


class Backlog:
    """Messages that wait, bounded in bytes. What is dropped is counted, and becomes a gap where it was.

    Args:
        policy: ``BLOCK`` and ``CLOSE`` are the owner's matter: :meth:`push` says that there is no room.
        limit: bytes; a single message may have more.
        drops: counts dropped messages by policy, for all subscribers together.

    Attributes:
        dropped: how many messages were dropped, in all.
        size: bytes that wait.
    """

    __slots__ = ("_drops", "_front", "_items", "_keys", "_limit", "_number", "_policy", "dropped", "size")

    def __init__(self, policy: Policy, limit: int, drops: Counter[Policy] | None = None) -> None:
        self._policy = policy
        self._drops = Counter[Policy]() if drops is None else drops
        self._limit = limit
        self._items: OrderedDict[int, Message | Gap] = OrderedDict()
        self._front: dict[tuple[str, GapReason], Gap] = {}  # what was dropped before the first that waits
        self._keys: dict[tuple[str, str], int] = {}
        self._number = 0
        self.dropped = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._items) + len(self._front)

    def push(self, message: Message) -> bool:
        """Add a message, or drop one. Returns False if there is no room and nothing may be dropped."""
        size = _size(message)
        if self._policy is Policy.COALESCE:
            self._replace(message)
        if self._items and self.size + size > self._limit:
            if self._policy is Policy.BLOCK or self._policy is Policy.CLOSE:
                return False
            if self._policy is Policy.DROP_NEWEST:
                self._count()
                self.push_gap(Gap(message.channel, GapReason.SLOW_CONSUMER, 1, message.id))
                return True
            self._make_room(size)
        self._add(message)
        self.size += size
        return True

    def push_gap(self, gap: Gap) -> None:
        """Add a gap, which is small and never dropped. It goes into the one before it if that is of its kind."""
        last = self._items.get(self._number)
        if isinstance(last, Gap) and (last.channel, last.reason) == (gap.channel, gap.reason):
            self._items[self._number] = _joined(last, gap)
        else:
            self._add(gap)

    def pop(self) -> Message | Gap | None:
        """Take the next one, None if nothing waits."""
        if self._front:
            return self._front.pop(next(iter(self._front)))
        if not self._items:
            return None
        number, item = self._items.popitem(last=False)
        if isinstance(item, Message):
            self._left(number, item)
        return item

    def clear(self) -> None:
        """Drop all of it, and do not count that."""
        self._items.clear()
        self._front.clear()
        self._keys.clear()
        self.size = 0

    def _add(self, item: Message | Gap) -> None:
        self._number += 1
        self._items[self._number] = item
        if self._policy is Policy.COALESCE and isinstance(item, Message) and item.key is not None:
            self._keys[item.channel, item.key] = self._number

    def _left(self, number: int, message: Message) -> None:
        self.size -= _size(message)
        if message.key is not None and self._keys.get((message.channel, message.key)) == number:
            del self._keys[message.channel, message.key]

    def _make_room(self, size: int) -> None:
        while self._items and self.size + size > self._limit:
            number, item = self._items.popitem(last=False)
            if isinstance(item, Message):
                self._left(number, item)
                self._drop(Gap(item.channel, GapReason.SLOW_CONSUMER, 1, item.id))
            else:
                self._put_in_front(item)

    def _replace(self, message: Message) -> None:
        number = None if message.key is None else self._keys.pop((message.channel, message.key), None)
        older = None if number is None else self._items.pop(number)
        if isinstance(older, Message):
            self.size -= _size(older)
            # No id: others that wait were published before it.
            self._drop(Gap(message.channel, GapReason.COALESCED, 1))

    def _drop(self, gap: Gap) -> None:
        self._count()
        self._put_in_front(gap)

    def _count(self) -> None:
        self.dropped += 1
        self._drops[self._policy] += 1

    def _put_in_front(self, gap: Gap) -> None:
        before = self._front.pop((gap.channel, gap.reason), None)
        self._front[gap.channel, gap.reason] = gap if before is None else _joined(before, gap)


def _joined(one: Gap, two: Gap) -> Gap:
    missed = None if one.missed is None or two.missed is None else one.missed + two.missed
    return replace(two, missed=missed)


def _size(message: Message) -> int:
    return len(message.data) + _OVERHEAD
