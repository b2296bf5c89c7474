"""Continuity for engines that deliver at most once: what comes live is checked for holes, history fills them.

Live records are given on as they come. A hole, another epoch or an unknown channel starts a *recovery*: the channel's
history is read from the last record that was given on until nothing is missing; live records of the channel are dropped
meanwhile, for history has them. What nobody told of, for the link was deaf, :meth:`Follower.check` finds by comparing
positions. Only where history does not reach, the receiver is told of a gap.

Not here: how records come and how the engine is asked. See :class:`Source`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ...errors import ChannelError
from ..backend import GapReason, History, Position, Receiver, Record
from ..continuity import Continuity, Step
from ..names import is_pattern, matches

__all__ = ["Follower", "Source"]

logger = logging.getLogger("elio.channels")

_BATCH: Final = 500
"""Records that are read from history at once."""


class Source(Protocol):
    """What a follower asks its engine."""

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where each of these channels is."""
        ...

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        """Where channels are that a pattern stands for, and, under its own name, where unknown ones begin.

        Args:
            pattern: which.
            only_new: whether those are enough that were not there when it was asked before.
        """
        ...

    def start_of(self, channel: str, start: Position) -> Position:
        """Where a channel begins that a pattern stands for and that was not there so far.

        Args:
            channel: which.
            start: what :meth:`matching` said of the pattern.
        """
        ...

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """See :meth:`elio.channels.backend.Backend.history`."""
        ...


class Follower:
    """What is listened to, and where each channel of it is.

    Args:
        source: the engine.
        receiver: who is given records and gaps.
    """

    def __init__(self, source: Source, receiver: Receiver) -> None:
        self._source = source
        self._receiver = receiver
        self._continuity = Continuity()
        self._names: set[str] = set()
        self._patterns: dict[str, Position | None] = {}
        # Channels whose live records are dropped for now, with the newest dropped one.
        self._held: dict[str, Position | None] = {}
        self._recoveries: dict[str, asyncio.Task[None]] = {}
        self._ready: list[Record] = []

    @property
    def patterns(self) -> list[str]:
        """All names and patterns that are listened to."""
        return [*self._names, *self._patterns]

    @property
    def channels(self) -> list[str]:
        """All channels that are followed."""
        return self._continuity.channels()

    # -- live ------------------------------------------------------------------------------------------

    def arrived(self, record: Record, previous: int | None = None) -> None:
        """A record came live. It is given on by the next :meth:`flush` if it is the next one.

        Args:
            record: what came.
            previous: offset of the record before it; None for one less.
        """
        channel, epoch, offset, _ = record
        if channel in self._held:
            self._held[channel] = _newer(self._held[channel], Position(epoch, offset))
            return
        step = self._continuity.step(channel, epoch, offset, previous)
        if step is Step.UNKNOWN and self._begins(record, offset - 1 if previous is None else previous):
            step = self._continuity.step(channel, epoch, offset, previous)
        if step is Step.NEXT:
            self._ready.append(record)
        elif step is Step.UNKNOWN:
            self._arrived_early(channel, Position(epoch, offset))
        elif step is not Step.KNOWN and self._is_wanted(channel):
            self._recover(channel)

    def _arrived_early(self, channel: str, at: Position) -> None:
        start = self._start_of(channel, at.epoch)
        if start is not None:
            self._continuity.start(channel, start)
            self._recover(channel)
        elif self._begins_soon(channel):
            self._held[channel] = at

    def flush(self) -> None:
        """Give on what has arrived."""
        if self._ready:
            ready, self._ready = self._ready, []
            self._receiver.records(ready)

    def _begins(self, record: Record, previous: int) -> bool:
        """Whether it is the first record of a new channel that a pattern stands for."""
        start = self._start_of(record.channel, record.epoch)
        if start is None or start.epoch != record.epoch or not previous <= start.offset < record.offset:
            return False
        self._continuity.start(record.channel, start)
        return True

    def _start_of(self, channel: str, epoch: str) -> Position | None:
        """Where a channel begins that was not there when listening to its pattern began.

        Of several patterns the earliest counts, first of all one from before the engine lost its memory: what the check
        of another has found, its own has not yet.
        """
        starts = [at for pattern, at in self._patterns.items() if at and matches(pattern, channel)]
        if not starts:
            return None
        return self._source.start_of(channel, min(starts, key=lambda at: (at.epoch == epoch, at.offset)))

    def _begins_soon(self, channel: str) -> bool:
        """Whether a pattern stands for it of which nothing is known yet."""
        return any(at is None and matches(pattern, channel) for pattern, at in self._patterns.items())

    def _is_wanted(self, channel: str) -> bool:
        return channel in self._names or any(matches(pattern, channel) for pattern in self._patterns)

    # -- listening -------------------------------------------------------------------------------------

    def expect(self, pattern: str) -> None:
        """Listening to a name or pattern is about to begin. Nothing of it is given on before :meth:`begin`."""
        if is_pattern(pattern):
            self._patterns.setdefault(pattern, None)
        elif pattern not in self._names:
            self._names.add(pattern)
            if pattern not in self._continuity:
                self._held.setdefault(pattern, None)

    async def begin(self, pattern: str) -> Mapping[str, Position]:
        """The engine delivers from now on: find out where everything is.

        Returns:
            What :meth:`elio.channels.backend.Backend.listen` returns.
        """
        if not is_pattern(pattern):
            found = await self._source.positions([pattern])
        else:
            found = await self._source.matching(pattern)
        for name, position in found.items():
            if not is_pattern(name):
                self._follow(name, position)
        if pattern in self._patterns:
            self._patterns[pattern] = self._patterns[pattern] or found[pattern]
        self._let_go_of(pattern)
        # Where unknown channels begin is known here alone: to the receiver, they begin at the beginning.
        return {name: Position(at.epoch, 0) if is_pattern(name) else at for name, at in found.items()}

    def _follow(self, channel: str, now: Position) -> None:
        """Live records of a channel count behind this; behind an earlier place if another pattern stands for it."""
        if channel in self._continuity:
            return
        start = self._start_of(channel, now.epoch)
        self._continuity.start(channel, start or now)
        if start is not None:
            self._seen(channel, now)

    def _seen(self, channel: str, now: Position) -> None:
        """The engine is here. What is missing is fetched, at once or when its live records count again."""
        if channel in self._held:
            self._held[channel] = _newer(self._held[channel], now)
        elif self._is_behind(channel, now):
            self._recover(channel)

    def _let_go_of(self, pattern: str) -> None:
        for channel in list(self._held):
            if channel not in self._recoveries and matches(pattern, channel):
                self._let_go(channel)

    def _let_go(self, channel: str) -> None:
        """Live records of a channel count again; those that were dropped are fetched."""
        dropped = self._held.pop(channel, None)
        if dropped is None:
            return
        start = self._start_of(channel, dropped.epoch)
        if channel not in self._continuity and start is not None:
            self._continuity.start(channel, start)
        if self._is_behind(channel, dropped):
            self._recover(channel)

    def _is_behind(self, channel: str, seen: Position) -> bool:
        return self._continuity.is_behind(channel, seen)

    def stop(self, pattern: str) -> None:
        """Nothing of it is given on any more, unless another pattern stands for it."""
        self._names.discard(pattern)
        self._patterns.pop(pattern, None)
        known = {*self._continuity.channels(), *self._held} if is_pattern(pattern) else {pattern}
        for channel in known:
            if not matches(pattern, channel):
                continue
            if not self._is_wanted(channel):
                self._forget(channel)
            elif channel not in self._recoveries and (channel in self._continuity or not self._begins_soon(channel)):
                self._let_go(channel)

    def _forget(self, channel: str) -> None:
        self._continuity.forget(channel)
        self._held.pop(channel, None)
        recovery = self._recoveries.pop(channel, None)
        if recovery is not None:
            recovery.cancel()

    # -- checking --------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Compare all positions with the engine's, and fetch what is missing.

        Raises:
            ChannelError: the engine does not answer.
        """
        before = {channel: self._continuity.position(channel) for channel in self._continuity.channels()}
        for channel, now in (await self._source.positions(list(before))).items():
            if _went_back(before[channel], now) and channel in self._continuity:
                self._recover(channel)
            self._seen(channel, now)
        for pattern in [pattern for pattern in self._patterns if is_pattern(pattern)]:
            await self._check_pattern(pattern)

    async def _check_pattern(self, pattern: str) -> None:
        start = self._patterns.get(pattern)
        if start is None:  # Listening is about to begin, and finds all this out itself.
            return
        found = dict(await self._source.matching(pattern, only_new=True))
        if self._patterns.get(pattern) is not start:  # Another listening to it has begun meanwhile.
            return
        now = found.pop(pattern)
        if start.epoch != now.epoch:
            self.flush()
            self._patterns[pattern] = Position(now.epoch, 0)
            self._receiver.gap(pattern, GapReason.EPOCH, None, Position(now.epoch, 0))
        # Those that are new began behind the old start, not behind the one that holds from now on.
        for channel, at in found.items():
            self._follow(channel, at)
        self._patterns[pattern] = now

    # -- recovery --------------------------------------------------------------------------------------

    def _recover(self, channel: str) -> None:
        self.flush()
        if channel in self._held:
            return
        self._held[channel] = None
        self._recoveries[channel] = asyncio.get_running_loop().create_task(self._fetch_all(channel))

    async def _fetch_all(self, channel: str) -> None:
        """Read history until nothing is missing. When the engine fails, the next check tries again."""
        try:
            while await self._fetch_some(channel):
                pass
        except (ChannelError, TimeoutError):
            self._held.pop(channel, None)
        except Exception:
            # A mistake of ours must not end all recoveries of the channel.
            logger.exception("what is missing of channel %s cannot be fetched", channel)
            self._held.pop(channel, None)
        del self._recoveries[channel]
        self._let_go(channel)

    async def _fetch_some(self, channel: str) -> bool:
        """Read a piece of history.

        Returns:
            Whether there is more.
        """
        after = self._continuity.position(channel)
        if after is None:
            return False
        history = await self._source.history(channel, after, _BATCH)
        if not history.is_complete:
            self._report(channel, after, history)
        last = self._give(channel, history)
        return last is not None and last != history.position

    def _give(self, channel: str, history: History) -> Position | None:
        if not history.records:
            self._continuity.start(channel, history.position)
            return None
        last = history.records[-1]
        at = Position(last.epoch, last.offset)
        self._continuity.start(channel, at)
        self._receiver.records(history.records)
        return at

    def _report(self, channel: str, after: Position, history: History) -> None:
        first = history.records[0].offset - 1 if history.records else history.position.offset
        goes_on = Position(history.position.epoch, first)
        lost_memory = after.epoch != goes_on.epoch or after.offset > history.position.offset
        reason = GapReason.EPOCH if lost_memory else GapReason.HISTORY
        self._continuity.start(channel, goes_on)
        self._receiver.gap(channel, reason, None if lost_memory else first - after.offset, goes_on)

    async def close(self) -> None:
        """Stop whatever is under way."""
        tasks = list(self._recoveries.values())
        self._recoveries.clear()
        self._held.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _newer(one: Position | None, other: Position) -> Position:
    if one is None or one.epoch != other.epoch or one.offset < other.offset:
        return other
    return one


def _went_back(before: Position | None, now: Position) -> bool:
    """Whether the engine forgot records that were given on already."""
    return before is not None and before.epoch == now.epoch and now.offset < before.offset
