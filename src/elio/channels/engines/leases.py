"""Leases in memory: who is present, and who came and left. No I/O; time enters as an argument."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from ..backend import Lease

__all__ = ["Leases"]


class Leases:
    """All leases of one engine.

    :meth:`hold`, :meth:`release` and :meth:`expire` say whose first lease has begun or whose last one has ended, for
    the engine to publish.
    """

    __slots__ = ("_channels", "_due", "_number")

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, dict[str, tuple[Lease, float]]]] = {}
        self._due: list[tuple[float, int, Lease]] = []
        self._number = count()

    @property
    def next_end(self) -> float | None:
        """When to call :meth:`expire` at the latest; None if there is no lease."""
        return self._due[0][0] if self._due else None

    def members(self, channel: str) -> dict[str, str]:
        """The data of one lease, the one that was held last, of each member."""
        return {
            member: next(reversed(holders.values()))[0].data
            for member, holders in self._channels.get(channel, {}).items()
        }

    def hold(self, lease: Lease, end: float) -> bool:
        """Take or renew a lease. Returns whether the member has joined by that."""
        members = self._channels.setdefault(lease.channel, {})
        has_joined = lease.member not in members
        holders = members.setdefault(lease.member, {})
        holders.pop(lease.holder, None)
        self._set(holders, lease, end)
        return has_joined

    def release(self, lease: Lease, end: float) -> None:
        """Let a lease end then, or earlier if it would have anyway; :meth:`expire` does it."""
        holders = self._channels.get(lease.channel, {}).get(lease.member, {})
        held = holders.get(lease.holder)
        if held is not None and end < held[1]:
            self._set(holders, held[0], end)

    def expire(self, now: float) -> Iterator[Lease]:
        """End what has run out. Gives the last lease of each member that has left."""
        while self._due and self._due[0][0] <= now:
            end, _, lease = heapq.heappop(self._due)
            members = self._channels.get(lease.channel, {})
            holders = members.get(lease.member, {})
            if holders.get(lease.holder, (lease, None))[1] != end:
                continue  # renewed, or gone
            del holders[lease.holder]
            if holders:
                continue
            del members[lease.member]
            if not members:
                del self._channels[lease.channel]
            yield lease

    def _set(self, holders: dict[str, tuple[Lease, float]], lease: Lease, end: float) -> None:
        holders[lease.holder] = (lease, end)
        heapq.heappush(self._due, (end, next(self._number), lease))
