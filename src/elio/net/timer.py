"""One coarse timer for a whole server or client, instead of one timer a connection.

Items are kept in buckets of ``RESOLUTION`` seconds. When a bucket is due, every item in it is asked and may schedule
itself anew. A deadline that moves away costs nothing: the item is asked at the old one and names the new one.

Time here excludes the time during which this very event loop was blocked: a peer is not charged for that.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

from ..causes import LoopBlocked
from ..histogram import Histogram

__all__ = ["RESOLUTION", "CoarseTimer", "Timed"]

RESOLUTION: Final = 0.05
"""Seconds of one bucket: nothing is early, and nothing later than this on an idle loop."""

_WIDTH: Final = RESOLUTION

_LAG_THRESHOLD: Final = 0.1
"""Seconds of delay from which on the loop counts as blocked."""

_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_RECOVERY: Final = 0.25
"""Seconds that a loop gets, once it was blocked, to read what has come meanwhile, before anybody's time is over."""

_AFTERMATH: Final = 0.25
"""Seconds after a loop was blocked in which a peer that leaves is taken to have left for that."""


class Timed(Protocol):
    """What can be put into a :class:`CoarseTimer`."""

    def check_time(self, now: float) -> None:
        """Act on what is due, and schedule anew if there is more to come."""
        ...


class CoarseTimer:
    """Asks its items at (or shortly after) the time they want.

    Attributes:
        lag: seconds that the event loop was late at the last turn of this timer; 0.0 if it was on time.
        lags: seconds that it was late, of all turns.
    """

    __slots__ = (
        "_aftermath",
        "_blockage",
        "_blocked",
        "_buckets",
        "_due",
        "_handle",
        "_last",
        "_loop",
        "_recovering",
        "_time",
        "lag",
        "lags",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._time = loop.time
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._blocked = 0.0
        self._last = 0
        self._blockage: LoopBlocked | None = None
        self._aftermath = 0.0
        self._recovering = False
        self.lag = 0.0
        self.lags = Histogram(_LAGS)

    def now(self) -> float:
        """Seconds on a monotonic clock that leaves out the time in which the loop was blocked."""
        return self._time() - self._blocked

    def schedule(self, item: Timed, when: float) -> int:
        """Ask the item at ``when``, in seconds of :meth:`now`.

        Returns:
            The number of its bucket, for :meth:`forget`.
        """
        bucket = int(when / _WIDTH)
        if bucket * _WIDTH < when:
            bucket += 1
        if bucket <= self._last:
            bucket = self._last + 1
        items = self._buckets.get(bucket)
        if items is None:
            items = self._buckets[bucket] = {}
        items[item] = None
        if bucket * _WIDTH < self._due:
            self._arm(bucket)
        return bucket

    def forget(self, item: Timed, bucket: int) -> None:
        """Take the item out of that bucket; nothing happens if it is not there."""
        items = self._buckets.get(bucket)
        if items is not None:
            items.pop(item, None)
            if not items:
                del self._buckets[bucket]

    def note_blockage(self, blockage: LoopBlocked) -> None:
        """The loop was blocked until now, for so long that peers may have given up."""
        self._blockage = blockage
        self._aftermath = self._loop.time() + _AFTERMATH

    def blockage(self) -> LoopBlocked | None:
        """What the loop was blocked by just now; None if it was not."""
        if self._blockage is not None and self._loop.time() > self._aftermath:
            self._blockage = None
        return self._blockage

    def close(self) -> None:
        """Ask nobody any more."""
        self._buckets.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._due = math.inf

    def _arm(self, bucket: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = bucket * RESOLUTION
        self._handle = self._loop.call_at(self._due + self._blocked, self._turn)

    def _turn(self) -> None:
        self._handle = None
        late = self.now() - self._due
        self.lags.observe(late)
        lag = late if late > _LAG_THRESHOLD else 0.0
        self._blocked += lag
        recovered, self._recovering = self._recovering, False
        self.lag = self.lag + lag if recovered else lag
        if lag and not recovered:
            self._recovering = True
            self._blocked += _RECOVERY
            self._handle = self._loop.call_at(self._due + self._blocked, self._turn)
            return
        self._due = math.inf
        now = self.now()
        self._last = math.floor(now / RESOLUTION)
        for bucket in sorted(number for number in self._buckets if number <= self._last):
            for item in self._buckets.pop(bucket):
                item.check_time(now)
        if self._buckets:
            first = min(self._buckets)
            if first * RESOLUTION < self._due:
                self._arm(first)
