"""Channels through the hub of this machine (:class:`elio.channels.engines.local.hub.LocalHub`).

While the connection lives, nothing can be missed. When it was lost, positions tell what was, and history has it if the
hub is still the same; of another hub everything is a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from secrets import token_hex
from typing import Any, Final

from ....errors import ConfigurationError, EngineError, EngineLost, PublishError
from ...backend import History, Lease, Position, Record
from ..follower import Follower
from ..line import Line, answer_within
from ..remote import RemoteBackend
from .frames import FrameProtocol

__all__ = ["LocalBackend"]

_PAUSE: Final = 0.05
"""Seconds before the next try where ``publish`` waits."""


class LocalBackend(RemoteBackend):
    """This process's link to the hub.

    Args:
        url: ``local:`` and the path of the hub's socket.
        on_outage: what ``publish`` does while the hub is away: "raise" at once, or "wait".
        timeout: seconds that an answer may take.

    Attributes:
        is_dense: see :class:`elio.channels.backend.Backend`.

    Raises:
        ConfigurationError: the URL has no path.
    """

    is_dense = True

    def __init__(self, url: str, *, on_outage: str = "raise", timeout: float = 5.0) -> None:
        super().__init__()
        scheme, _, self._path = url.partition(":")
        if scheme != "local" or not self._path:
            raise ConfigurationError(f"the hub is at {url!r}, it must be local: and the path of a socket")
        self._waits = on_outage == "wait"
        self._timeout = timeout
        self._name = token_hex(4)
        self._numbers = count(1)
        self._line: Line[_Call] = Line(
            f"the hub at {self._path}", self._open, on_up=self._up, on_down=self.went, timeout=timeout
        )

    # -- life ----------------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self._line.start()
        await self._line.ready(self._timeout)

    async def _disconnect(self) -> None:
        await self._line.close()

    async def _open(self, on_lost: Callable[[str], object]) -> _Call:
        loop = asyncio.get_running_loop()
        _, call = await loop.create_unix_connection(lambda: _Call(on_lost, self._following), self._path)
        return call

    async def _up(self, call: _Call) -> None:
        for pattern in self._following.patterns:
            await call.ask({"op": "listen", "pattern": pattern})
        self.came_back()

    async def _check(self) -> None:
        if self._line.connection is None:
            raise EngineLost(self._line.why)
        await self._following.check()

    def _checked(self) -> None:
        """Requests have their own time limits."""

    async def _ask(self, head: dict[str, object], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        async with answer_within(self._timeout):
            return await (await self._line.ready(None)).ask(head, body)

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record. What was interrupted is tried again only where it waits, and is not published twice then."""
        key = idempotency_key
        if key is None and self._waits:
            key = f"\0{self._name}:{next(self._numbers)}"
        head: dict[str, object] = {"op": "publish", "channel": channel, "key": key}
        while True:
            try:
                call = self._line.connection or await self._line.ready(None if self._waits else 0.0)
                answer, _ = await call.ask(head, payload)
                return Position(*answer["at"])
            except EngineLost as error:
                if not self._waits:
                    raise PublishError(str(error), channel=channel, is_unknown=error.is_unknown) from error
                await asyncio.sleep(_PAUSE)

    # -- listening -----------------------------------------------------------------------------------------------------

    async def _subscribe(self, pattern: str) -> None:
        await self._ask({"op": "listen", "pattern": pattern})

    async def _unsubscribe(self, pattern: str) -> None:
        if self._line.connection is not None:
            with suppress(EngineLost):
                await self._ask({"op": "stop", "pattern": pattern})

    # -- what the follower asks ----------------------------------------------------------------------------------------

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where channels are."""
        answer, _ = await self._ask({"op": "positions", "channels": list(channels)})
        return {name: Position(*at) for name, at in zip(channels, answer["at"], strict=True)}

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        """Where channels are that a pattern stands for."""
        answer, _ = await self._ask({"op": "matching", "pattern": pattern})
        return {name: Position(*at) for name, at in answer["at"].items()}

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Ask the hub."""
        answer, body = await self._ask({"op": "history", "channel": channel, "after": after, "limit": limit})
        position = Position(*answer["at"])
        records, start = [], 0
        for offset, size in answer["records"]:
            records.append(Record(channel, position.epoch, offset, body[start : start + size]))
            start += size
        return History(records, answer["complete"], position)

    # -- leases --------------------------------------------------------------------------------------------------------

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take or renew leases."""
        await self._ask({"op": "hold", "leases": [_words(lease) for lease in leases], "ttl": ttl})

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease."""
        await self._ask({"op": "release", "lease": _words(lease), "linger": linger})

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present."""
        answer, _ = await self._ask({"op": "members", "channel": channel})
        members: dict[str, str] = answer["members"]
        return members


class _Call(FrameProtocol):
    """The connection to the hub: requests, their answers, and records."""

    def __init__(self, on_lost: Callable[[str], object], follower: Follower) -> None:
        super().__init__()
        self._on_lost = on_lost
        self._follower = follower
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}

    async def ask(self, head: dict[str, object], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send a request, and wait for its answer."""
        number = next(self._numbers)
        self.send({"id": number, **head}, body)
        answer: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    def received(self, head: dict[str, Any], body: bytes) -> None:
        if "record" in head:
            channel, epoch, offset = head["record"]
            self._follower.arrived(Record(channel, epoch, offset, body))
            return
        answer = self._waiting.get(head["id"])
        if answer is None or answer.done():
            return
        if "error" in head:
            answer.set_exception(EngineError(head["error"]))
        else:
            answer.set_result((head, body))

    def settled(self) -> None:
        self._follower.flush()

    def lost(self, why: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(EngineLost(why, is_unknown=True))
        self._on_lost(why)


def _words(lease: Lease) -> list[str]:
    return [lease.channel, lease.member, lease.holder, lease.data]
