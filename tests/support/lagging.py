"""The engine in memory, as slow and as irregular as one on the network: every step takes turns of the loop."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping

from elio.channels.backend import GapReason, History, Position, Record
from elio.channels.engines.memory import MemoryBackend
from elio.errors import ChannelError


class LaggingBackend(MemoryBackend):
    """Delivers later than it publishes, and answers later than it knows; all at random, and repeatable.

    Args:
        source: of randomness.
        most: turns of the loop that a step takes at most.
    """

    def __init__(self, source: random.Random, *, most: int = 4, **options: int) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._source = source
        self._most = most
        self._sent: deque[Record] = deque()
        self._sending: asyncio.Task[None] | None = None
        self.reads = 0
        self.failing = 0

    async def _lag(self) -> None:
        for _ in range(self._source.randint(0, self._most)):
            await asyncio.sleep(0)

    def _deliver(self, record: Record) -> None:
        self._sent.append(record)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._sent:
            await self._lag()
            count = self._source.randint(1, len(self._sent))
            for record in [self._sent.popleft() for _ in range(count)]:
                super()._deliver(record)

    async def settle(self) -> None:
        """Wait until everything is delivered."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        await self._lag()
        position = await super().publish(channel, payload, idempotency_key=idempotency_key)
        await self._lag()
        return position

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        await self._lag()
        found = await super().listen(pattern)
        await self._lag()
        return found

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        self.reads += 1
        await self._lag()
        if self.failing:
            self.failing -= 1
            raise ChannelError("the engine does not answer")
        found = await super().history(channel, after, limit)
        await self._lag()
        return found

    def forget_everything(self) -> None:
        """As a restart of an engine that keeps nothing."""
        positions = {name: self._position(name) for name in (*self._logs, *self._offsets)}
        self._logs.clear()
        self._offsets.clear()
        self._sent.clear()
        self._size = 0
        self._epoch += "x"
        for pattern in self._patterns:
            names = [pattern] if pattern not in self._wildcards else [pattern, *positions]
            for name in names:
                if self._receiver is not None:
                    self._receiver.gap(name, GapReason.EPOCH, None, Position(self._epoch, 0))

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        await super().close()
