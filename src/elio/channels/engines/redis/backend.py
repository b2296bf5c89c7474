"""Channels on Redis or Valkey: streams are the history, pub/sub delivers, scripts make each step one.

Pub/sub may lose: a :class:`Follower` checks offsets, compares positions every second, and fills holes from the streams.
Commands and pub/sub have connections of their own, so that one can be lost without the other.

What survives a restart of the server is the server's business (:mod:`elio.channels.engines.redis.node`).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from itertools import count
from math import ceil
from secrets import token_hex
from typing import Any, Final

from ....errors import EngineError, EngineLost, PublishError
from ..._made import made
from ...backend import History, Lease, Position, Record
from ...names import matches
from ..line import answer_within
from ..remote import RemoteBackend
from .link import RedisLink
from .publisher import Publisher
from .resp import Argument
from .scripts import HISTORY, HOLD, MATCHING, MEMBERS, POSITIONS, RELEASE, SWEEP, Script
from .url import RedisURL

__all__ = ["RedisBackend"]

_PAUSE: Final = 0.05
"""Seconds before the next try where ``publish`` waits."""
_MIN_KEEP: Final = 86400
"""Seconds at least that a channel is remembered behind its last message."""
_PAGE: Final = 500
"""Channels asked for in one command: one that takes long delays everybody."""


class RedisBackend(RemoteBackend):
    """This process's link to Redis.

    Args:
        url: see :mod:`elio.channels.engines.redis.url`.
        history: records kept of each channel.
        ttl: seconds for which the history of a channel is kept behind its last record.
        prefix: begins the names of all keys.
        on_outage: what ``publish`` does while the server is away: "raise" at once, or "wait".
        timeout: seconds that an answer may take before the connection is given up.
        tls: for ``rediss``; trusts what the system trusts by default.

    Attributes:
        is_dense: see :class:`elio.channels.backend.Backend`.

    Raises:
        ConfigurationError: a number that makes no sense, or hiredis is not installed.
        InvalidURL: the URL cannot be used.
    """

    is_dense = True

    def __init__(
        self,
        url: str,
        *,
        history: int = 1000,
        ttl: float = 300.0,
        prefix: str = "elio",
        on_outage: str = "raise",
        timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self._waits = on_outage == "wait"
        self._timeout = timeout
        keep = max(_MIN_KEEP, ceil(2 * ttl))
        self._link = RedisLink(
            RedisURL.parse(url),
            prefix=prefix,
            constants=(history, ceil(ttl), keep),
            timeout=timeout,
            tls=tls,
            owner=self,
        )
        self._publisher = Publisher(self._link, remember=ceil(ttl), waits=self._waits)
        self._name = token_hex(4)
        self._numbers = count(1)
        self._births: dict[tuple[str, int], bytes] = {}
        self._starts: dict[int, Position] = {}
        self._touched_at = 0.0

    # -- life ----------------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._link.start(self._timeout)

    async def _disconnect(self) -> None:
        await self._publisher.close()
        await self._link.close()

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record. What was interrupted is tried again only where it waits, and is not published twice then."""
        nonce = f"{self._name}:{next(self._numbers)}"
        is_again = False
        while True:
            try:
                return _position(
                    await self._publisher.publish(channel, payload, nonce, idempotency_key or "", is_again=is_again)
                )
            except EngineLost as error:
                is_again = is_again or error.is_unknown
                if not self._waits:
                    raise PublishError(str(error), channel=channel, is_unknown=error.is_unknown) from error
                await asyncio.sleep(_PAUSE)
            except EngineError as error:
                raise PublishError(str(error), channel=channel) from error

    # -- listening -----------------------------------------------------------------------------------------------------

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        """Give records of these channels to the receiver from now on."""
        found = await super().listen(pattern)
        return {name: at for name, at in found.items() if at.offset or name == pattern}

    async def _subscribe(self, pattern: str) -> None:
        await self._link.subscribe(pattern)

    async def _unsubscribe(self, pattern: str) -> None:
        self._link.unsubscribe(pattern)
        for key in [key for key in self._births if key[0] == pattern]:
            del self._births[key]

    # -- what the link tells -------------------------------------------------------------------------------------------

    def arrived(self, channel: str, news: bytes) -> None:
        """A record came by pub/sub."""
        epoch, offset, payload = news.split(b":", 2)
        self._following.arrived(made(Record, (channel, epoch.decode(), int(offset), payload)))

    @property
    def subscriptions(self) -> Iterable[str]:
        """What the link must subscribe to."""
        return self._following.patterns

    # -- what the follower asks ----------------------------------------------------------------------------------------

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where channels are; one command for many of them."""
        found: dict[str, Position] = {}
        for bucket, names in self._link.by_bucket(channels).items():
            for start in range(0, len(names), _PAGE):
                page = names[start : start + _PAGE]
                found.update(await self._positions(bucket, page, "0"))
        return found

    async def _positions(self, bucket: int, names: Sequence[str], touch: str) -> Mapping[str, Position]:
        epoch, _, _, *offsets = await self._run(POSITIONS, bucket, touch, *names)
        word = epoch.decode()
        return {name: Position(word, int(offset)) for name, offset in zip(names, offsets, strict=True)}

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        """Where channels are that a pattern stands for."""
        found: dict[str, Position] = {}
        read: dict[tuple[str, int], bytes] = {}
        for bucket in self._link.buckets:
            since = self._births.get((pattern, bucket), b"0") if only_new else b"0"
            read[pattern, bucket] = await self._born(pattern, bucket, since, found)
        # Only what the caller is told of counts as read: before the last wait this can be broken off.
        self._births.update(read)
        return {**found, pattern: self._start()}

    async def _born(self, pattern: str, bucket: int, since: bytes, found: dict[str, Position]) -> bytes:
        """Read on in the births of a bucket. Returns up to where."""
        while True:
            epoch, floor, since, *pairs = await self._run(MATCHING, bucket, since, _PAGE)
            self._starts[bucket] = Position(epoch.decode(), int(floor))
            for name, offset in zip(pairs[::2], pairs[1::2], strict=True):
                if matches(pattern, channel := name.decode()):
                    found[channel] = Position(epoch.decode(), int(offset))
            if len(pairs) < 2 * _PAGE:
                return bytes(since)

    def _start(self) -> Position:
        """Where channels begin. Buckets of a cluster have epochs of their own; the one of all changes with each."""
        starts = [self._starts[bucket] for bucket in self._link.buckets]
        if len(starts) == 1:
            return starts[0]
        words = " ".join(start.epoch for start in starts)
        return Position(sha1(words.encode(), usedforsecurity=False).hexdigest()[:16], 0)

    def start_of(self, channel: str, start: Position) -> Position:
        """It begins where its bucket does, as long as that is the memory that the pattern began in."""
        return self._starts[self._link.bucket(channel)] if start.epoch == self._start().epoch else start

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read a stream."""
        since = ("", "") if after is None else after
        epoch, offset, is_complete, found = await self._run(HISTORY, self._link.bucket(channel), channel, *since, limit)
        word = epoch.decode()
        records = [Record(channel, word, int(at), payload) for at, payload in zip(found[::2], found[1::2], strict=True)]
        return History(records, is_complete == 1, Position(word, int(offset)))

    async def _run(self, script: Script, bucket: int, *arguments: Argument) -> Any:
        async with answer_within(self._timeout):
            return await self._link.run(script, bucket, arguments, waits=True)

    # -- checking ------------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        await self._link.check()
        await self._following.check()
        for bucket in self._link.buckets:
            await self._run(SWEEP, bucket)
        await self._touch()

    def _checked(self) -> None:
        self._link.watch()

    async def _touch(self) -> None:
        """What is listened to is not forgotten."""
        now = asyncio.get_running_loop().time()
        if self._touched_at and now - self._touched_at < _MIN_KEEP / 24:
            return
        for bucket, names in self._link.by_bucket(self._following.channels).items():
            for start in range(0, len(names), _PAGE):
                await self._positions(bucket, names[start : start + _PAGE], "1")
        self._touched_at = now

    # -- leases --------------------------------------------------------------------------------------------------------

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take or renew leases."""
        by_channel: dict[str, list[Lease]] = {}
        for lease in leases:
            by_channel.setdefault(lease.channel, []).append(lease)
        for channel, held in by_channel.items():
            words = [word for lease in held for word in (_lease_id(lease), lease.member, lease.joined, lease.left)]
            await self._run(HOLD, self._link.bucket(channel), channel, ceil(ttl * 1000), *words)

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease."""
        arguments = (lease.channel, ceil(linger * 1000), _lease_id(lease))
        await self._run(RELEASE, self._link.bucket(lease.channel), *arguments)

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present."""
        notices = [json.loads(notice) for notice in await self._run(MEMBERS, self._link.bucket(channel), channel)]
        return {notice["k"]: notice["d"] for notice in notices}


def _position(place: bytes) -> Position:
    epoch, _, offset = place.decode().partition(":")
    return made(Position, (epoch, int(offset)))


def _lease_id(lease: Lease) -> str:
    """The member's size in bytes stands before it: Lua reads it back."""
    return f"{len(lease.member.encode())}:{lease.member}{lease.holder}"
