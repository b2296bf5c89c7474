"""Which feeds a channel belongs to."""

from __future__ import annotations

from typing import Final

from ..names import is_pattern, matches
from .feed import Feed

__all__ = ["Routes"]

_MAX_KNOWN: Final = 10_000
"""Channels whose feeds are remembered, where there are patterns."""


class Routes:
    """Feeds by the names and patterns they are for."""

    __slots__ = ("_by_name", "_by_pattern", "_known")

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[Feed, ...]] = {}
        self._by_pattern: dict[str, tuple[Feed, ...]] = {}
        self._known: dict[str, tuple[Feed, ...]] = {}

    def of(self, channel: str) -> tuple[Feed, ...]:
        """The feeds of a channel, each once; of a pattern, those that have it among theirs."""
        if is_pattern(channel):
            return self._by_pattern.get(channel, ())
        if not self._by_pattern:
            return self._by_name.get(channel, ())
        feeds = self._known.get(channel)
        if feeds is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            feeds = self._known[channel] = self._find(channel)
        return feeds

    def _find(self, channel: str) -> tuple[Feed, ...]:
        found = dict.fromkeys(self._by_name.get(channel, ()))
        for pattern, feeds in self._by_pattern.items():
            if matches(pattern, channel):
                found.update(dict.fromkeys(feeds))
        return tuple(found)

    def add(self, feed: Feed) -> None:
        """From now on it gets what belongs to it."""
        for pattern in feed.patterns:
            table = self._table(pattern)
            table[pattern] = (*table.get(pattern, ()), feed)

    def remove(self, feed: Feed) -> None:
        """Undo :meth:`add`."""
        for pattern in feed.patterns:
            table = self._table(pattern)
            table[pattern] = tuple(other for other in table[pattern] if other is not feed)
            if not table[pattern]:
                del table[pattern]

    def _table(self, pattern: str) -> dict[str, tuple[Feed, ...]]:
        """The table that a name or a pattern stands in, which is about to change."""
        if is_pattern(pattern):
            self._known.clear()
            return self._by_pattern
        self._known.pop(pattern, None)
        return self._by_name
