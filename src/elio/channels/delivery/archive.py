"""What was read of history lately: those who come back from nearly the same place read it once for all.

When a node goes, its clients come to the others together. One reading of the engine serves all whom it reaches: who
asks while it is under way waits for it, and what it brought is kept for who asks a little later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from ..backend import Backend, History, Position
from ..envelope import open_envelope
from .trail import Entry, between, index_behind, size_of

__all__ = ["Archive", "Page"]

_MAX_SIZE: Final = 8 * 1024 * 1024
"""Bytes of all runs."""

_MAX_RUN: Final = 1024 * 1024
"""Bytes of one run."""


class Page(NamedTuple):
    """A part of the history of one channel: :class:`elio.channels.backend.History` with its payloads read."""

    entries: Sequence[Entry]
    is_complete: bool
    position: Position


class _Run:
    """Consecutive records of one channel, somewhere in its history."""

    __slots__ = ("entries", "position", "size", "start")

    def __init__(self, start: Position, entries: list[Entry], position: Position) -> None:
        self.start = start
        self.entries = entries
        self.position = position
        self.size = sum(map(size_of, entries))
        excess = 0
        while self.size > _MAX_RUN:
            self.size -= size_of(entries[excess])
            self.start = entries[excess].position
            excess += 1
        del entries[:excess]

    def after(self, position: Position, until: Position, limit: int) -> list[Entry]:
        """Records behind a position, as far as another."""
        return between(self.entries, self.start, position, until, limit)

    def joined(self, other: _Run) -> _Run:
        """Both as one if they touch, else the other one alone, which is newer."""
        if self.start.epoch != other.start.epoch or not (self.entries and other.entries):
            return other
        early, late = (self, other) if self.start.offset <= other.start.offset else (other, self)
        end = early.entries[-1].position.offset
        if late.start.offset > end:
            return other
        return _Run(early.start, [*early.entries, *late.entries[index_behind(late.entries, end) :]], other.position)


class Archive:
    """Reads history for all subscribers of this process.

    Args:
        backend: whose history.
        spawn: does something in a task that ends with the hub.

    Attributes:
        backend: the same.
        size: bytes that are kept.
    """

    __slots__ = ("_flights", "_runs", "_spawn", "backend", "size")

    def __init__(self, backend: Backend, spawn: Callable[[Coroutine[Any, Any, Page]], asyncio.Task[Page]]) -> None:
        self.backend = backend
        self.size = 0
        self._spawn = spawn
        self._runs: OrderedDict[str, _Run] = OrderedDict()  # the one that was used last is the last one
        self._flights: dict[str, dict[tuple[Position | None, int], asyncio.Task[Page]]] = {}

    async def read(self, channel: str, after: Position, until: Position, limit: int) -> Page:
        """The oldest records behind a position. It may be cancelled.

        Args:
            channel: its name.
            after: behind which.
            until: where the channel is. What is kept is given up to there, and is not asked if it is another memory's.
            limit: how many at most.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        page = self._kept(channel, after, until, limit)
        if page is None:
            earlier = self._flight_before(channel, after)
            if earlier is not None:
                await asyncio.wait([earlier])
                page = self._kept(channel, after, until, limit)
        if page is None:
            page = await asyncio.shield(self._fetching(channel, after, limit))
        return page

    async def newest(self, channel: str, limit: int) -> Page:
        """The newest records; whether these are all that was ever published is ``is_complete``.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        return await asyncio.shield(self._fetching(channel, None, limit))

    def forget(self, channel: str) -> None:
        """The channel is not listened to any more."""
        run = self._runs.pop(channel, None)
        if run is not None:
            self.size -= run.size

    def _kept(self, channel: str, after: Position, until: Position, limit: int) -> Page | None:
        run = self._runs.get(channel)
        entries = [] if run is None else run.after(after, until, limit)
        if run is None or not entries:
            return None
        self._runs.move_to_end(channel)
        return Page(entries, True, run.position)

    # -- asking the engine ---------------------------------------------------------------------------------------------

    def _flight_before(self, channel: str, after: Position) -> asyncio.Task[Page] | None:
        """The reading under way that will most likely bring what is behind a position."""
        flights = {
            start.offset: flight
            for (start, _), flight in self._flights.get(channel, {}).items()
            if start is not None and start.epoch == after.epoch and start.offset < after.offset
        }
        return flights[max(flights)] if flights else None

    def _fetching(self, channel: str, after: Position | None, limit: int) -> asyncio.Task[Page]:
        flights = self._flights.setdefault(channel, {})
        flight = flights.get((after, limit))
        if flight is None:
            flight = flights[after, limit] = self._spawn(self._fetch(channel, after, limit))
        return flight

    async def _fetch(self, channel: str, after: Position | None, limit: int) -> Page:
        try:
            history = await self.backend.history(channel, after, limit)
        finally:
            flights = self._flights[channel]
            del flights[after, limit]
            if not flights:
                del self._flights[channel]
        entries = _entries(history)
        if entries:
            epoch, offset = entries[0].position
            begin = after if history.is_complete and after is not None else Position(epoch, offset - 1)
            self._keep(channel, _Run(begin, list(entries), history.position))
        return Page(entries, history.is_complete, history.position)

    def _keep(self, channel: str, run: _Run) -> None:
        known = self._runs.get(channel)
        self.forget(channel)
        self._runs[channel] = run = run if known is None else known.joined(run)
        self.size += run.size
        while self.size > _MAX_SIZE:
            self.forget(next(iter(self._runs)))


def _entries(history: History) -> list[Entry]:
    return [
        Entry(channel, Position(epoch, offset), open_envelope(payload))
        for channel, epoch, offset, payload in history.records
    ]
