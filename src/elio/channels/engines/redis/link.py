"""The connections to Redis: to one server, to the master that sentinels name, or to the masters of a cluster.

Every channel has a *bucket*: number 0 on a server, one of 64 in a cluster, where each is on one node and its news come
by sharded pub/sub. For each node there are two lines, for commands and for news.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final, Protocol

from ....errors import ChannelError, EngineError, EngineLost
from ...names import is_pattern
from .cluster import BUCKETS, bucket_of, masters_of_buckets
from .node import Node, master_by_sentinels
from .resp import Argument, RespConnection
from .scripts import Script
from .url import Address, Kind, RedisURL

__all__ = ["Owner", "RedisLink"]

_TRIES: Final = 20
_PAUSE: Final = 0.05
"""Tries, and seconds between them, while a cluster moves what is asked for to another node."""


class Owner(Protocol):
    """Who uses the connections."""

    @property
    def subscriptions(self) -> Iterable[str]:
        """Names and patterns to subscribe to when a connection is new."""
        ...

    def arrived(self, channel: str, news: bytes) -> None:
        """News of a channel."""
        ...

    def settled(self) -> None:
        """All that came at once was told."""
        ...

    def came_back(self) -> None:
        """A connection is there, or was made again."""
        ...

    def went(self, why: str) -> None:
        """A connection was lost."""
        ...


class RedisLink:
    """All connections of one backend.

    Args:
        url: where to.
        prefix: begins the names of all keys.
        constants: history, ttl and keep, which every script is told.
        timeout: seconds for an answer.
        tls: of ``rediss``; None trusts what the system trusts.
        owner: told what comes.

    Attributes:
        buckets: their numbers.
    """

    def __init__(
        self,
        url: RedisURL,
        *,
        prefix: str,
        constants: tuple[int, int, int],
        timeout: float,
        tls: ssl.SSLContext | None,
        owner: Owner,
    ) -> None:
        self.is_cluster = url.kind is Kind.CLUSTER
        self.buckets = range(BUCKETS if self.is_cluster else 1)
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._tls = tls
        self._owner = owner
        self._nodes: dict[Address, Node] = {}
        self._by_bucket: dict[int, Node] = {}
        self._is_stale = False
        # Behind the life of its server every script is told these; first what epochs of this process begin with.
        verb, is_told_of_all = ("SPUBLISH", "1") if self.is_cluster else ("PUBLISH", "0")
        self._words: tuple[Argument, ...] = (token_hex(5), *constants, verb, is_told_of_all)
        self._keys = [f"{prefix}:{{{bucket}}}:" for bucket in self.buckets]

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self, timeout: float) -> None:
        """Connect, to every master.

        Args:
            timeout: seconds.

        Raises:
            EngineLost: that is not possible in time.
        """
        if self.is_cluster:
            await self._find_masters(self._url.addresses)
        else:
            node = self._node(self._url.addresses[0])
            self._by_bucket = dict.fromkeys(self.buckets, node)
        for node in list(self._nodes.values()):
            await node.ready(timeout)

    async def close(self) -> None:
        """Hang up."""
        for node in self._nodes.values():
            await node.close()

    def _node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(self._url, address, timeout=self._timeout, tls=self._tls, link=self)
            if self._url.kind is Kind.SENTINEL:
                node.find = lambda: master_by_sentinels(self._url, self._tls)
            node.start()
        return node

    # -- commands ------------------------------------------------------------------------------------------------------

    def bucket(self, channel: str) -> int:
        """The bucket of a channel."""
        return bucket_of(channel, BUCKETS) if self.is_cluster else 0

    def by_bucket(self, channels: Iterable[str]) -> Mapping[int, Sequence[str]]:
        """Channels by their buckets."""
        found: dict[int, list[str]] = {}
        for channel in channels:
            found.setdefault(self.bucket(channel), []).append(channel)
        return found

    async def ready(self, bucket: int, *, waits: bool) -> RespConnection:
        """The connection for commands on a bucket, when it takes more.

        Args:
            bucket: which.
            waits: whether to wait for a connection if there is none.

        Raises:
            EngineLost: there is none.
        """
        node = self._by_bucket[bucket]
        connection = node.command_line.connection
        if connection is None or not connection.has_room:
            connection = await node.commands_ready(None if waits else 0.0)
        return connection

    async def run(self, script: Script, bucket: int, arguments: Sequence[Argument], *, waits: bool) -> Any:
        """Run a script.

        Args:
            script: which one.
            bucket: on which bucket.
            arguments: behind those that all scripts have.
            waits: whether to wait for a connection if there is none.

        Raises:
            EngineLost: there is no connection, or it was lost on the way.
            EngineError: the server refuses.
        """
        for _ in range(_TRIES):
            connection = await self.ready(bucket, waits=waits)
            node = self._by_bucket[bucket]
            key = f"{self._keys[bucket]}e"
            try:
                return await connection.execute("EVALSHA", script.digest, 1, key, node.life, *self._words, *arguments)
            except EngineError as error:
                if not await self._is_passing(node, script, error):
                    raise
        raise EngineLost("the cluster keeps moving what was asked for")

    async def _is_passing(self, node: Node, script: Script, error: EngineError) -> bool:
        """Whether a command can be sent again at once, for nothing was done and what was wrong has been put right."""
        word = str(error).partition(" ")[0]
        if word == "NOSCRIPT":
            await node.load(script)
            return True
        if word == "READONLY":
            node.leave("it is a replica now")
        if not self.is_cluster or word not in ("MOVED", "ASK", "TRYAGAIN"):
            return False
        await asyncio.sleep(_PAUSE)
        await self._find_masters(self._nodes)
        return True

    # -- news ----------------------------------------------------------------------------------------------------------

    async def subscribe(self, pattern: str) -> None:
        """News of a name or pattern come from now on, and again with every new connection.

        Raises:
            EngineLost: there is no connection in time.
        """
        for node in self._nodes_of(pattern):
            await node.subscribe([pattern], self._timeout)

    def unsubscribe(self, pattern: str) -> None:
        """News of it are not wanted any more."""
        if self.is_cluster and is_pattern(pattern) and any(map(is_pattern, self._owner.subscriptions)):
            return
        for node in self._nodes_of(pattern):
            node.unsubscribe(pattern)

    def _nodes_of(self, pattern: str) -> Collection[Node]:
        if is_pattern(pattern):
            return set(self._by_bucket.values())
        return (self._by_bucket[self.bucket(pattern)],)

    def subscription(self, node: Node, pattern: str) -> tuple[str, Sequence[str]]:
        """Kind of pub/sub ("", "P" or "S") and names that stand for a name or pattern at a node."""
        if not self.is_cluster:
            name = f"{self._keys[0]}c:{_glob(pattern)}" if is_pattern(pattern) else f"{self._keys[0]}c:{pattern}"
            return ("P" if is_pattern(pattern) else "", [name])
        if is_pattern(pattern):
            return ("S", [f"{self._keys[bucket]}a" for bucket in self.buckets if self._by_bucket[bucket] is node])
        bucket = self.bucket(pattern)
        return ("S", [f"{self._keys[bucket]}c:{pattern}"] if self._by_bucket[bucket] is node else [])

    def subscriptions_of(self, node: Node) -> Sequence[str]:
        """All that a node must have been asked for."""
        return list(self._owner.subscriptions)

    def news(self, name: bytes, data: bytes) -> None:
        """A message of pub/sub."""
        place = name[len(self._prefix) :].partition(b"}:")[2]
        if place[:1] == b"a":
            channel, _, data = data.partition(b" ")
            self._owner.arrived(channel.decode(), data)
        else:
            self._owner.arrived(place[2:].decode(), data)

    def settled(self) -> None:
        """All that came at once was told."""
        self._owner.settled()

    # -- faults --------------------------------------------------------------------------------------------------------

    def came_back(self) -> None:
        """A line has a new connection."""
        self._owner.came_back()

    def went(self, why: str) -> None:
        """A line lost its connection."""
        self._is_stale = self.is_cluster
        self._owner.went(why)

    def moved(self) -> None:
        """A node of the cluster left a subscription by itself: its slot went elsewhere."""
        self._is_stale = True

    def watch(self) -> None:
        """Give up connections whose answers are overdue."""
        for node in self._nodes.values():
            node.watch(self._timeout)

    async def check(self) -> None:
        """See that every node answers, on both lines.

        Raises:
            ChannelError: one does not.
        """
        if self._is_stale:
            await self._find_masters(self._nodes)
        for node in set(self._by_bucket.values()):
            await node.check()

    async def _find_masters(self, addresses: Iterable[Address]) -> None:
        """Ask the first node that answers where everything is, and subscribe there."""
        reason: Exception = EngineLost("no node of the cluster answers")
        for address in list(addresses):
            node = self._node(address)
            try:
                connection = await node.commands_ready(self._timeout / 4)
                masters = await masters_of_buckets(connection, address)
            except ChannelError as error:
                reason = error
                continue
            if len(masters) == len(self.buckets):
                await self._settle(masters)
                return
        raise reason

    async def _settle(self, masters: Mapping[int, Address]) -> None:
        self._is_stale = False
        before = self._by_bucket
        self._by_bucket = {bucket: self._node(address) for bucket, address in masters.items()}
        used = set(self._by_bucket.values())
        for address, node in list(self._nodes.items()):
            if node not in used:
                del self._nodes[address]
                await node.close()
        if before and before != self._by_bucket:
            for node in used:
                node.resubscribe()
            self.came_back()


def _glob(pattern: str) -> str:
    """The pattern of Redis that lets through at least what ours stands for."""
    escaped = "".join(f"\\{letter}" if letter in "[]?^\\-" else letter for letter in pattern)
    return escaped.removesuffix(">") + "*" if escaped.endswith(">") else escaped
