"""A feed: the same channels for many subscribers.

All *live* subscribers of a feed are at the same place, so a message, its cursor included, is made once for all of them.
Who is not there yet, or cannot keep up, is *behind* and has a reader of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from ..backend import GapReason, Position
from ..cursor import cursor_of
from ..message import Draft, Gap, Message
from ..names import is_pattern
from .trail import Entry

__all__ = ["Behind", "Feed", "FeedState", "Live"]

MAX_CHANNELS: Final = 10_000
"""Channels of a pattern whose positions are kept; those that were published to longest ago are forgotten."""

_MAX_NAMED: Final = 100
"""Channels of patterns that a cursor names: it is made anew for each message."""


@dataclass(frozen=True, slots=True)
class FeedState:
    """How the subscribers of a feed fare.

    Attributes:
        channels: names and patterns.
        subscribers: how many there are.
        behind: how many of them read by themselves, since they are new or too slow.
        lag: messages that the last of them has not taken; an upper bound where the engine counts channels together.
        queued: bytes of messages that wait in this process.
    """

    channels: tuple[str, ...]
    subscribers: int
    behind: int
    lag: int
    queued: int


class Live(Protocol):
    """A subscriber, or a group of them, that is given messages as they come."""

    @property
    def waiting(self) -> int:
        """Messages that it has not taken."""
        ...

    @property
    def size(self) -> int:
        """Bytes of them."""
        ...

    def deliver(self, message: Message) -> None:
        """The next message."""
        ...

    def deliver_gap(self, gap: Gap) -> None:
        """Messages are missing here."""
        ...

    def end(self) -> None:
        """Nothing more comes."""
        ...


class Behind(Protocol):
    """A subscriber that reads by itself until it has what the live ones have."""

    @property
    def lag(self) -> int:
        """Messages that it has not read."""
        ...

    def appeared(self, channel: str, position: Position) -> None:
        """A channel has got a record for the first time; it is behind this position."""
        ...

    def missed(self, gap: Gap, position: Position) -> None:
        """Messages of a pattern are missing."""
        ...

    def end(self) -> None:
        """Nothing more comes."""
        ...


class Feed:
    """What is common to the subscribers of the same channels.

    Args:
        patterns: names and patterns, each once.

    Attributes:
        positions: what live subscribers have, by channel and, with offset 0, by pattern.
        users: how many subscribers there are.
        is_whole: whether every channel of its patterns is in ``positions``.
        groups: live subscribers that stand for many, by what they have in common.
    """

    __slots__ = (
        "_behind",
        "_has_patterns",
        "_live",
        "_progress",
        "closing",
        "groups",
        "is_whole",
        "opening",
        "patterns",
        "positions",
        "users",
    )

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.patterns = patterns
        self.positions: dict[str, Position] = {}
        self.users = 0
        self.is_whole = True
        self.groups: dict[object, Live] = {}
        self.opening: asyncio.Future[None] | None = None
        self.closing: asyncio.TimerHandle | None = None
        self._has_patterns = any(map(is_pattern, patterns))
        self._live: dict[Live, None] = {}
        self._behind: dict[Behind, None] = {}
        self._progress: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Feed {' '.join(self.patterns)}: {self.users} subscribers>"

    def state(self) -> FeedState:
        """How its subscribers fare."""
        lags = [live.waiting for live in self._live] + [behind.lag for behind in self._behind]
        queued = sum(live.size for live in self._live)
        return FeedState(self.patterns, self.users, len(self._behind), max(lags, default=0), queued)

    # -- subscribers ---------------------------------------------------------------------------------------------------

    def admit(self, live: Live) -> None:
        """From now on it is given what comes; it has everything up to ``positions``."""
        self._live[live] = None

    def follow(self, behind: Behind) -> None:
        """It reads by itself."""
        self._behind[behind] = None

    def dismiss(self, live: Live) -> None:
        """It is given nothing more."""
        self._live.pop(live, None)

    def unfollow(self, behind: Behind) -> None:
        """It has arrived, or gone."""
        self._behind.pop(behind, None)

    def end(self) -> None:
        """Nothing more comes: tell everybody."""
        for live in tuple(self._live):
            live.end()
        for behind in tuple(self._behind):
            behind.end()
        self._step()

    async def progress(self) -> None:
        """Wait until anything comes."""
        if self._progress is None:
            self._progress = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._progress)

    def _step(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None and not progress.done():
            progress.set_result(None)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def start(self, positions: Mapping[str, Position]) -> None:
        """Listening has begun: what the engine says of channels, some of which may have got records meanwhile."""
        for channel, position in positions.items():
            known = self.positions.get(channel)
            if known is None or known.epoch != position.epoch or known.offset < position.offset:
                self.positions[channel] = position
        self._forget_oldest()

    def receive(self, entry: Entry) -> None:
        """A record. One that was known when listening began is none."""
        channel, position, _ = entry
        before = self.positions.get(channel)
        if before is not None and before.epoch == position.epoch and position.offset <= before.offset:
            return
        if before is None:
            for behind in self._behind:
                behind.appeared(channel, Position(position.epoch, position.offset - 1))
        self._move(channel, position)
        if before is None:
            self._forget_oldest()
        if self._live:
            message = message_of(entry, self.cursor())
            for live in tuple(self._live):
                live.deliver(message)
        if self._progress is not None:
            self._step()

    def gap(self, channel: str, reason: GapReason, missed: int | None, position: Position) -> None:
        """Records are missing, of a channel or of a pattern."""
        self._move(channel, position)
        gap = Gap(channel, reason, missed, self.cursor())
        for live in tuple(self._live):
            live.deliver_gap(gap)
        if is_pattern(channel):
            for behind in self._behind:
                behind.missed(gap, position)
        self._step()

    def _move(self, channel: str, position: Position) -> None:
        if self._has_patterns:
            self.positions.pop(channel, None)  # what was published to last stands last
        self.positions[channel] = position

    def _forget_oldest(self) -> None:
        excess = len(self.positions) - MAX_CHANNELS
        if excess <= 0:
            return
        for channel in list(islice(self.positions, excess + len(self.patterns))):
            if channel not in self.patterns and len(self.positions) > MAX_CHANNELS:
                del self.positions[channel]
                self.is_whole = False

    # -- cursors -------------------------------------------------------------------------------------------------------

    def cursor(self) -> str:
        """Where live subscribers are."""
        return self.cursor_at(self.positions, is_whole=self.is_whole)

    def cursor_at(self, positions: Mapping[str, Position], *, is_whole: bool) -> str:
        """Where a subscriber with these positions is."""
        if not self._has_patterns:
            return cursor_of(positions.items(), is_whole=is_whole)
        first = [(pattern, positions[pattern]) for pattern in self.patterns if pattern in positions]
        is_whole = is_whole and len(positions) - len(first) <= _MAX_NAMED
        return cursor_of((*first, *self._newest(positions)), is_whole=is_whole)

    def _newest(self, positions: Mapping[str, Position]) -> Iterable[tuple[str, Position]]:
        found: Iterator[str] = (channel for channel in reversed(list(positions)) if channel not in self.patterns)
        return [(channel, positions[channel]) for channel, _ in zip(found, range(_MAX_NAMED), strict=False)]


def message_of(entry: Entry, id: str) -> Message:
    """A record as a message with its cursor."""
    (epoch, offset), (data, type, key, time) = entry.position, entry.envelope
    return Draft(entry.channel, data, type, key, id, epoch, offset, time).freeze()
