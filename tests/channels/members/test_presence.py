"""Leases of this process. Over the network: ``test_joining.py``."""

from __future__ import annotations

import asyncio

import pytest

from elio.channels.engines.memory import MemoryBackend
from elio.channels.members.presence import Presence
from elio.errors import ChannelError
from support.deliveries import hub_over


async def test_leases_are_renewed_as_long_as_they_are_held() -> None:
    async with hub_over(MemoryBackend()) as hub:
        presence = Presence(hub, lease=0.6, linger=0.3)
        lease = await presence.hold("room", "ann", {"name": "Ann"})
        held: list[int] = []
        often = asyncio.Event()
        hold = hub.backend.hold

        async def counted(*arguments: object) -> None:
            held.append(1)
            if len(held) == 1:
                raise ChannelError("no answer")
            await hold(*arguments)  # type: ignore[arg-type]
            if len(held) == 5:
                often.set()

        hub.backend.hold = counted  # type: ignore[method-assign]
        async with asyncio.timeout(30):
            await often.wait()
        assert await presence.members("room") == {"ann": {"name": "Ann"}}
        presence.release(lease, at_once=True)
        presence.release(lease, at_once=True)
        await presence.close()
        assert await presence.members("room") == {}


async def test_at_the_end_leases_linger() -> None:
    async with hub_over(MemoryBackend()) as hub:
        presence = Presence(hub)
        await presence.hold("room", "ann", {})
        await presence.close()
        assert await presence.members("room") == {"ann": {}}


async def test_what_is_no_json_is_refused() -> None:
    async with hub_over(MemoryBackend()) as hub:
        with pytest.raises(TypeError):
            await Presence(hub).hold("room", "ann", {"x": object()})
