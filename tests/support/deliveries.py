"""What the tests of delivery share: a hub over the engine in memory, and subscribers that remember."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from elio.channels.delivery.hub import Hub
from elio.channels.engines.memory import MemoryBackend
from elio.channels.envelope import seal
from elio.channels.message import Gap, Message


@asynccontextmanager
async def hub_over(backend: MemoryBackend) -> AsyncIterator[Hub]:
    """A started hub."""
    hub = Hub(backend)
    await backend.start(hub)
    try:
        yield hub
    finally:
        await hub.close()
        await backend.close()


async def publish(hub: Hub, channel: str, *texts: str) -> None:
    for text in texts:
        await hub.backend.publish(channel, seal(text, type="", key=None, time=0.0))


class Listener:
    """A live subscriber that remembers, and has taken all."""

    waiting = size = lag = 0

    def __init__(self) -> None:
        self.items: list[Message | Gap] = []
        self.has_ended = False

    @property
    def texts(self) -> list[str]:
        return [str(item.data) if isinstance(item, Message) else f"gap {item.missed}" for item in self.items]

    def deliver(self, message: Message) -> None:
        self.items.append(message)

    def deliver_gap(self, gap: Gap) -> None:
        self.items.append(gap)

    def end(self) -> None:
        self.has_ended = True
