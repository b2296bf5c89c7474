"""A reader: a subscriber's way from where it is to where the live subscribers of its feed are.

It reads, channel by channel, what the hub still has of the last records, else what the engine's history has. When
nothing is left to read it says so, and in that very step of the loop its owner can be admitted to the feed: what comes
later comes live, and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ...errors import ChannelError
from ..backend import GapReason, Position
from ..cursor import Cursor
from ..message import Gap, Message
from ..names import is_pattern, matches
from .archive import Archive, Page
from .feed import Feed, message_of
from .trail import Entry, Trail

__all__ = ["Reader"]

logger = logging.getLogger("elio.channels")

_PAGE: Final = 100
"""Records that are read at once; then everybody else has a turn."""

_NEWEST: Final = 100_000
"""Records of a channel that is new: all that history has."""

_PAUSE: Final = (0.2, 1.0)
"""Seconds before an engine that did not answer is asked again, at random: many ask at once."""


class Reader:
    """One subscriber that is behind (a :class:`elio.channels.delivery.feed.Behind`).

    Args:
        feed: where it is going to.
        archive: for history.
        trails: the last records of channels, as the hub has them.
        positions: what the subscriber has.
        is_whole: whether channels that are not in ``positions`` are new to it.
    """

    __slots__ = ("_archive", "_feed", "_gaps", "_has_read", "_is_whole", "_positions", "_trails", "is_ended")

    def __init__(
        self,
        feed: Feed,
        archive: Archive,
        trails: Mapping[str, Trail],
        positions: dict[str, Position],
        *,
        is_whole: bool = True,
    ) -> None:
        self._feed = feed
        self._archive = archive
        self._trails = trails
        self._positions = positions
        self._is_whole = is_whole
        self._gaps: list[tuple[str, GapReason]] = []
        self._has_read = False
        self.is_ended = False

    # -- where it begins -----------------------------------------------------------------------------------------------

    def begin(self, cursor: Cursor | None) -> None:
        """Begin where a cursor says; None is one that cannot be read. What it does not say becomes a gap."""
        named = {} if cursor is None else dict(cursor.positions)
        self._is_whole = self._feed.is_whole if cursor is None else cursor.is_whole
        for pattern in self._feed.patterns:
            now = self._feed.positions[pattern]
            position = named.get(pattern)
            if position is None:
                self._gaps.append((pattern, GapReason.CURSOR))
                self._skip(pattern)
            elif is_pattern(pattern) and position.epoch != now.epoch:
                self._gaps.append((pattern, GapReason.EPOCH))
                self._is_whole = True
                self._positions[pattern] = now
            else:
                self._positions[pattern] = position
                self._take_named(pattern, named)

    def _skip(self, pattern: str) -> None:
        for channel, position in self._feed.positions.items():
            if matches(pattern, channel):
                self._positions.setdefault(channel, position)

    def _take_named(self, pattern: str, named: Mapping[str, Position]) -> None:
        for channel, position in named.items():
            if channel in self._positions or not is_pattern(pattern) or not matches(pattern, channel):
                continue
            if channel in self._feed.positions:
                self._positions[channel] = position
            else:  # known to whoever made the cursor, and forgotten since
                self._gaps.append((channel, GapReason.HISTORY))

    async def begin_with_newest(self, count: int) -> None:
        """Begin so many messages, in each channel, before the newest."""
        for channel, position in list(self._feed.positions.items()):
            self._positions[channel] = position
            if is_pattern(channel):
                continue
            trail = self._trails.get(channel)
            first = None if trail is None else trail.newest(count, position)
            if first is not None:
                self._positions[channel] = Position(position.epoch, first.position.offset - 1)
            else:
                self._before(channel, await self._archive.newest(channel, count))

    def _before(self, channel: str, page: Page) -> None:
        if not page.entries:
            self._positions[channel] = page.position
        else:
            epoch, offset = page.entries[0].position
            self._positions[channel] = Position(epoch, offset - 1)

    # -- called by the feed --------------------------------------------------------------------------------------------

    def appeared(self, channel: str, position: Position) -> None:
        """A channel has got its first record."""
        self._positions.setdefault(channel, position)

    def missed(self, gap: Gap, position: Position) -> None:
        """Messages of a pattern are missing."""
        self._positions[gap.channel] = position
        self._gaps.append((gap.channel, gap.reason))

    def end(self) -> None:
        """Nothing more comes."""
        self.is_ended = True

    @property
    def lag(self) -> int:
        """Messages that it has not read, in channels that it knows."""
        mine = self._positions
        return sum(
            position.offset - mine[channel].offset
            for channel, position in self._feed.positions.items()
            if channel in mine and mine[channel].epoch == position.epoch
        )

    # -- reading -------------------------------------------------------------------------------------------------------

    def cursor(self) -> str:
        """Where the subscriber is behind what was read."""
        return self._feed.cursor_at(self._positions, is_whole=self._is_whole)

    async def read(self) -> list[Message | Gap]:
        """What comes next, at least one item; none at all if the subscriber has what the live ones have.

        While the engine does not answer it is asked again. It may be cancelled, and nothing is lost.
        """
        if self._has_read:
            await asyncio.sleep(0)  # many come back at once, each with much to read
        self._has_read = True
        while not self.is_ended:
            if self._gaps:
                return [self._gap(*self._gaps.pop(0))]
            channel = self._next_channel()
            if channel is None:
                return []
            items = self._from_trail(channel) or await self._from_history(channel)
            if items:
                return items
        return []

    def _next_channel(self) -> str | None:
        mine = self._positions
        return next((name for name, position in self._feed.positions.items() if mine.get(name) != position), None)

    def _from_trail(self, channel: str) -> list[Message | Gap]:
        mine, trail = self._positions.get(channel), self._trails.get(channel)
        if mine is None or trail is None:
            return []
        entries = trail.after(mine, self._feed.positions[channel]) or []
        return [self._message(entry) for entry in entries[:_PAGE]]

    async def _from_history(self, channel: str) -> list[Message | Gap]:
        mine, until = self._positions.get(channel), self._feed.positions[channel]
        if mine is None:
            return await self._find(channel)
        page = await self._ask(lambda: self._archive.read(channel, mine, until, _PAGE))
        now = self._feed.positions.get(channel, page.position)
        if self._positions.get(channel) != mine or now.epoch != until.epoch:
            return []
        if page.is_complete and (mine.epoch != now.epoch or mine.offset > now.offset):
            await self._feed.progress()  # what it has was read elsewhere, and is still on its way to here
            return []
        items: list[Message | Gap] = []
        if not page.is_complete:
            items.append(self._hole(channel, mine, page, now))
        return items + self._from_page(page, now)

    def _from_page(self, page: Page, now: Position) -> list[Message | Gap]:
        """What history has, as far as live subscribers are; the rest will come live."""
        items: list[Message | Gap] = []
        for entry in page.entries:
            mine, (epoch, offset) = self._positions[entry.channel], entry.position
            if epoch != now.epoch or offset > now.offset:
                break
            if epoch != mine.epoch or offset > mine.offset:
                items.append(self._message(entry))
        return items

    def _hole(self, channel: str, mine: Position, page: Page, now: Position) -> Gap:
        """History does not reach back to where the subscriber is: go on with what it has."""
        self._before(channel, page)
        start = self._positions[channel]
        if mine.epoch != start.epoch:
            return self._gap(channel, GapReason.EPOCH)
        if mine.offset > start.offset:  # no record was ever there: nobody can tell what this subscriber has
            self._positions[channel] = now
            return self._gap(channel, GapReason.CURSOR)
        return self._gap(
            channel, GapReason.HISTORY, start.offset - mine.offset if self._archive.backend.is_dense else None
        )

    async def _find(self, channel: str) -> list[Message | Gap]:
        """A channel of a pattern that the subscriber knows nothing of: all of it is new, or nobody can tell."""
        if not self._is_whole:
            self._positions[channel] = self._feed.positions[channel]
            return [self._gap(channel, GapReason.CURSOR)]
        page = await self._ask(lambda: self._archive.newest(channel, _NEWEST))
        if channel in self._positions:
            return []
        self._before(channel, page)
        return [] if page.is_complete else [self._gap(channel, GapReason.HISTORY)]

    async def _ask(self, read: Callable[[], Awaitable[Page]]) -> Page:
        while True:
            try:
                return await read()
            except ChannelError as error:
                logger.info("history cannot be read, trying again: %s", error)
            await asyncio.sleep(random.uniform(*_PAUSE))

    def _message(self, entry: Entry) -> Message:
        self._positions.pop(entry.channel, None)  # what moved last is what a short cursor names
        self._positions[entry.channel] = entry.position
        return message_of(entry, self.cursor())

    def _gap(self, channel: str, reason: GapReason, missed: int | None = None) -> Gap:
        return Gap(channel, reason, missed, self.cursor())
