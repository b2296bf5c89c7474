"""Who is present: leases that are renewed for as long as a connection is there.

A member is there from its first lease to the end of its last. When a connection is lost its lease stays a little, so
that somebody who reconnects was never away; when this process dies nobody renews its leases, and they end by
themselves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Final

from ...errors import ChannelError
from ..backend import Lease
from ..delivery.hub import Hub

__all__ = ["LEASE", "LINGER", "Presence"]

logger = logging.getLogger("elio.channels")

LEASE: Final = 30.0
"""Seconds of a lease; it is renewed three times in each."""

LINGER: Final = 5.0
"""Seconds for which a member whose connection was lost stays."""


class Presence:
    """The leases of this process.

    Args:
        hub: of the engine.
        lease: seconds of a lease.
        linger: seconds for which it stays when its connection is lost.
    """

    def __init__(self, hub: Hub, *, lease: float = LEASE, linger: float = LINGER) -> None:
        self._hub = hub
        self._lease = lease
        self._linger = linger
        self._leases: dict[Lease, None] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def hold(self, channel: str, member: str, data: Mapping[str, Any]) -> Lease:
        """Be present, until :meth:`release`.

        Raises:
            ChannelError: the engine does not answer.
            TypeError: the data is no JSON.
        """
        lease = Lease(channel, member, token_hex(8), json.dumps(data, separators=(",", ":")))
        await self._hub.backend.hold([lease], self._lease)
        self._leases[lease] = None
        if self._renewing is None or self._renewing.done():
            self._renewing = self._hub.spawn(self._renew())
        return lease

    def release(self, lease: Lease, *, at_once: bool) -> None:
        """Be present no more: now, or in a little while if nobody comes back."""
        if self._leases.pop(lease, lease) is lease:
            return
        task = self._hub.spawn(self._end(lease, 0.0 if at_once else self._linger))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def members(self, channel: str) -> dict[str, Any]:
        """Who is present, with the data of each.

        Raises:
            ChannelError: the engine does not answer.
        """
        found = await self._hub.backend.members(channel)
        return {member: json.loads(data) for member, data in found.items()}

    async def close(self) -> None:
        """Let go of all leases: whoever reconnects to another process in time was never away."""
        for lease in list(self._leases):
            self.release(lease, at_once=False)
        if self._ending:
            await asyncio.wait(self._ending, timeout=self._linger)

    async def _end(self, lease: Lease, linger: float) -> None:
        try:
            await self._hub.backend.release(lease, linger)
        except ChannelError as error:
            logger.info("%s stays on channel %s until its lease ends: %s", lease.member, lease.channel, error)

    async def _renew(self) -> None:
        while self._leases:
            await asyncio.sleep(self._lease / 3 * random.uniform(0.8, 1.0))
            try:
                if self._leases:
                    await self._hub.backend.hold(list(self._leases), self._lease)
            except ChannelError as error:
                logger.warning("%d leases cannot be renewed: %s", len(self._leases), error)
