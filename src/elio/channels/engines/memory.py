"""The engine in this process: history, leases and delivery in memory.

Delivery is direct: the receiver has a record when ``publish`` returns. The epoch is a random word for each start, so
that cursors of an earlier run of the program lead to a gap and not to wrong messages.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import inf
from secrets import token_hex
from typing import Final

from ...errors import ConfigurationError
from ..backend import History, Lease, Position, Receiver, Record, presence_channel
from ..names import is_pattern, matches
from .leases import Leases
from .log import Log

__all__ = ["MemoryBackend"]

_MAX_CHANNEL_SIZE: Final = 4 * 1024 * 1024
"""Bytes of history of one channel."""

_MAX_SIZE: Final = 256 * 1024 * 1024
"""Bytes of history of all channels."""

_MAX_REMEMBERED: Final = 100_000
"""Channels without history whose offsets are remembered."""


class MemoryBackend:
    """Channels of one process.

    Args:
        history: records kept of each channel.
        ttl: seconds for which a record is kept.
        max_channel_size: bytes of history of one channel.
        max_size: bytes of history of all channels.
        max_remembered: channels without history whose offsets are remembered. Behind that a channel that comes back
            may report a gap where there is none, but never misses one.

    Attributes:
        is_dense: see :class:`elio.channels.backend.Backend`.
    """

    is_dense = True

    def __init__(
        self,
        *,
        history: int = 1000,
        ttl: float = 300.0,
        max_channel_size: int = _MAX_CHANNEL_SIZE,
        max_size: int = _MAX_SIZE,
        max_remembered: int = _MAX_REMEMBERED,
    ) -> None:
        if history < 1 or not 0 < ttl < inf:
            raise ConfigurationError(f"history of {history} messages for {ttl} seconds, both must be above 0")
        self._history = history
        self._ttl = ttl
        self._max_channel_size = max_channel_size
        self._max_size = max_size
        self._max_remembered = max_remembered
        self._epoch = token_hex(4)
        self._floor = 0
        self._size = 0
        self._logs: OrderedDict[str, Log] = OrderedDict()  # the one that was published to last is the last one
        self._offsets: OrderedDict[str, int] = OrderedDict()  # of channels without history
        self._patterns: dict[str, None] = {}
        self._wildcards: list[str] = []
        self._leases = Leases()
        self._receiver: Receiver | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self, receiver: Receiver) -> None:
        """Begin."""
        self._receiver = receiver

    async def close(self) -> None:
        """Let go of everything."""
        self._receiver = None
        self._cancel_timer()

    # -- records -------------------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record, and give it to the receiver."""
        now = asyncio.get_running_loop().time()
        log = self._log(channel)
        known = log.known(idempotency_key)
        return self._append(log, channel, payload, idempotency_key, now) if known is None else known

    def _append(self, log: Log, channel: str, payload: bytes, key: str | None, now: float) -> Position:
        before = log.size
        record = log.append(payload, key, now)
        log.trim(count=self._history, size=self._max_channel_size, since=now - self._ttl)
        self._size += log.size - before
        self._logs.move_to_end(channel)
        while self._size > self._max_size:
            self._drop_oldest()
        if self._timer is None:  # one that is set is early enough
            self._set_timer()
        position = log.position
        self._deliver(record)
        return position

    def _log(self, channel: str) -> Log:
        log = self._logs.get(channel)
        if log is None:
            log = self._logs[channel] = Log(channel, self._position(channel))
            self._offsets.pop(channel, None)
        return log

    def position(self, channel: str) -> Position:
        """Where a channel is."""
        return self._position(channel)

    def _position(self, channel: str) -> Position:
        log = self._logs.get(channel)
        if log is not None:
            return log.position
        return Position(self._epoch, self._offsets.get(channel, self._floor))

    def _deliver(self, record: Record) -> None:
        if self._receiver is not None and (
            record.channel in self._patterns or any(matches(pattern, record.channel) for pattern in self._wildcards)
        ):
            self._receiver.records((record,))

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        """Give records of these channels to the receiver from now on."""
        self._patterns[pattern] = None
        if not is_pattern(pattern):
            return {pattern: self._position(pattern)}
        if pattern not in self._wildcards:
            self._wildcards.append(pattern)
        found = {name: self._position(name) for name in (*self._logs, *self._offsets) if matches(pattern, name)}
        return {**found, pattern: Position(self._epoch, 0)}

    async def stop_listening(self, pattern: str) -> None:
        """Undo :meth:`listen`."""
        self._patterns.pop(pattern, None)
        if pattern in self._wildcards:
            self._wildcards.remove(pattern)

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read what is kept."""
        log = self._logs.get(channel) or Log(channel, self._position(channel))
        now = asyncio.get_running_loop().time()
        before = log.size
        log.trim(count=self._history, size=self._max_channel_size, since=now - self._ttl)
        self._size += log.size - before
        return log.read(after, limit)

    # -- leases --------------------------------------------------------------------------------------------------------

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take or renew leases."""
        now = asyncio.get_running_loop().time()
        self._end_leases(now)
        for lease in leases:
            if self._leases.hold(lease, now + ttl):
                self._notify(lease, lease.joined, now)
        self._set_timer()

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease."""
        now = asyncio.get_running_loop().time()
        self._leases.release(lease, now + linger)
        self._end_leases(now)
        self._set_timer()

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present."""
        self._end_leases(asyncio.get_running_loop().time())
        return self._leases.members(channel)

    def _end_leases(self, now: float) -> None:
        for lease in self._leases.expire(now):
            self._notify(lease, lease.left, now)

    def _notify(self, lease: Lease, payload: bytes, now: float) -> None:
        channel = presence_channel(lease.channel)
        self._append(self._log(channel), channel, payload, None, now)

    # -- forgetting ----------------------------------------------------------------------------------------------------

    def _drop_oldest(self) -> None:
        """Drop half of the history of the channel that was published to longest ago."""
        channel, log = next(iter(self._logs.items()))
        before = log.size
        log.trim(count=len(log) // 2, size=self._max_channel_size, since=0.0)
        self._size += log.size - before
        if not log:
            self._remember(channel, log)

    def _remember(self, channel: str, log: Log) -> None:
        """A channel without history is no more than its offset, and the oldest of those no more than the floor."""
        del self._logs[channel]
        self._offsets[channel] = log.position.offset
        while len(self._offsets) > self._max_remembered:
            self._floor = max(self._floor, self._offsets.popitem(last=False)[1])

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        self._end_leases(now)
        while self._logs:
            channel, log = next(iter(self._logs.items()))
            if log.last_time > now - self._ttl:
                break
            self._size -= log.size
            self._remember(channel, log)
        self._set_timer()

    def _set_timer(self) -> None:
        wishes = [] if self._receiver is None else [end for end in (self._leases.next_end, self._next_expiry) if end]
        if not wishes:
            self._cancel_timer()
        elif self._timer is None or min(wishes) < self._timer.when():
            self._cancel_timer()
            self._timer = asyncio.get_running_loop().call_at(min(wishes), self._sweep)

    @property
    def _next_expiry(self) -> float | None:
        return next(iter(self._logs.values())).last_time + self._ttl if self._logs else None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
