"""``Channels``: publish and subscribe, in one process or over many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from types import TracebackType
from typing import Any, Final, Self, overload

from ..errors import ChannelError, ConfigurationError, InvalidChannel
from .backend import Backend, presence_channel
from .backlog import Policy
from .cursor import cursor_of
from .delivery.feed import FeedState
from .delivery.hub import Hub
from .engines.choose import EngineOptions, engine_url, open_engine
from .envelope import seal
from .members import joining
from .members.audience import Connection, Encode
from .members.presence import Presence
from .message import Gap, Message, Snapshot
from .names import check_channel, check_pattern, is_pattern
from .runs import OnDisconnect, Run, RunSource, on_disconnect_of
from .subscription import SnapshotHook, Subscription

__all__ = ["Channels"]

_MAX_QUEUE_SIZE: Final = 1024 * 1024
"""Bytes that may wait for a subscriber."""

_MAX_CHANNELS: Final = 100
"""Names and patterns of one subscription: its cursor has to carry them all."""


class Channels:
    """Channels over one engine.

    It works between :meth:`start` and :meth:`close`, which ``async with channels:`` calls, and so does a server whose
    router was made with ``Router(channels=channels)``. Both count: it ends with the last close.

    Args:
        url: the engine: ``memory:`` for this process alone. By default what the environment variable
            ``ELIO_CHANNELS`` says, else memory.
        history: messages that the engine keeps of each channel.
        ttl: seconds for which it keeps them.
        on_outage: what :meth:`publish` does while the engine is away: "raise" an :class:`elio.PublishError`, or
            "wait".
        backend: an engine of your own, instead of a URL.

    Raises:
        ConfigurationError: there is no such engine, or a value is not allowed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        history: int = 1000,
        ttl: float = 300.0,
        on_outage: str = "raise",
        backend: Backend | None = None,
    ) -> None:
        if url is not None and backend is not None:
            raise ConfigurationError("channels have a url or a backend, not both")
        self._url = url
        self._options = EngineOptions(history=history, ttl=ttl, on_outage=on_outage)
        self._given = backend
        self._hub: Hub | None = None
        self._presence: Presence | None = None
        self._users = 0
        if backend is None:
            self._open()  # what is wrong is said now

    def __repr__(self) -> str:
        return f"<Channels {'started' if self._hub is not None else 'not started'}>"

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether it can be used."""
        return self._hub is not None

    @property
    def is_healthy(self) -> bool:
        """Whether it is started and the engine works."""
        return self._hub is not None and not self._hub.trouble

    @property
    def trouble(self) -> str:
        """What is wrong with the link to the engine, for people; "" when all is well."""
        return "the channels are not started" if self._hub is None else self._hub.trouble

    def states(self) -> list[FeedState]:
        """How the subscribers of this process fare, for each combination of channels."""
        return [] if self._hub is None else self._hub.states()

    def drops(self) -> dict[str, int]:
        """Messages that were dropped since the start, by policy; for ``close`` subscribers that were sent away."""
        drops: Mapping[Policy, int] = {} if self._hub is None else self._hub.drops
        return {policy.value: drops.get(policy, 0) for policy in Policy if policy is not Policy.BLOCK}

    async def start(self) -> None:
        """Connect to the engine.

        Raises:
            ChannelError: the engine cannot be reached, or cannot be used.
        """
        if self._users:
            self._users += 1
            return
        hub = Hub(self._given or self._open())
        self._users = 1
        try:
            await hub.backend.start(hub)
        except BaseException:
            self._users = 0
            await hub.backend.close()
            raise
        self._hub = hub
        self._presence = Presence(hub)

    async def close(self) -> None:
        """End all subscriptions and leave the engine, unless somebody else has started it too."""
        self._users = max(self._users - 1, 0)
        if self._users or self._hub is None:
            return
        hub, self._hub = self._hub, None
        presence, self._presence = self._presence, None
        if presence is not None:
            await presence.close()
        await hub.close()
        await hub.backend.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _open(self) -> Backend:
        return open_engine(engine_url(self._url), self._options)

    def _running(self) -> Hub:
        if self._hub is None:
            raise ChannelError("the channels are not started: use async with channels, or Router(channels=channels)")
        return self._hub

    # -- publish -------------------------------------------------------------------------------------------------------

    async def publish(
        self,
        channel: str,
        data: str | bytes | bytearray | memoryview,
        *,
        type: str = "",
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Publish a message.

        Args:
            channel: its name; no pattern, and not one of the library's own, which begin with ``$``.
            data: text or bytes.
            type: as an event has one.
            key: what it is about: with the policy ``coalesce`` a later message of the same key replaces this one.
            idempotency_key: a message that is published again with the same key is not published twice, as long as
                history has the first.

        Returns:
            A cursor behind the message, in this channel alone.

        Raises:
            PublishError: it was not published, or nobody knows.
            InvalidChannel: it is no name of a channel.
        """
        check_channel(channel)
        if channel.startswith("$"):
            raise InvalidChannel(
                f"channel {channel!r} belongs to the library; nobody else publishes there", name=channel
            )
        payload = seal(data, type=type, key=key, time=time.time())
        position = await self._running().backend.publish(channel, payload, idempotency_key=idempotency_key)
        return cursor_of(((channel, position),))

    # -- subscribe -----------------------------------------------------------------------------------------------------

    @overload
    def subscribe(
        self,
        *channels: str,
        since: str | None = None,
        backlog: int = 0,
        policy: str = Policy.BLOCK,
        max_queue_size: int = _MAX_QUEUE_SIZE,
        snapshot: None = None,
    ) -> Subscription[Message | Gap]: ...

    @overload
    def subscribe(
        self,
        *channels: str,
        since: str | None = None,
        backlog: int = 0,
        policy: str = Policy.BLOCK,
        max_queue_size: int = _MAX_QUEUE_SIZE,
        snapshot: SnapshotHook,
    ) -> Subscription[Message | Gap | Snapshot]: ...

    def subscribe(
        self,
        *channels: str,
        since: str | None = None,
        backlog: int = 0,
        policy: str = Policy.BLOCK,
        max_queue_size: int = _MAX_QUEUE_SIZE,
        snapshot: SnapshotHook | None = None,
    ) -> Subscription[Message | Gap] | Subscription[Message | Gap | Snapshot]:
        """Subscribe to channels. It begins with the first use; ``async with`` begins and ends it.

        Args:
            channels: names, and patterns such as ``news.*`` and ``news.>``.
            since: a cursor to go on from: ``id`` of a message, or the answer of :meth:`publish`. One that cannot be
                read, or leads too far back, becomes a gap.
            backlog: without a cursor, how many of the newest messages of each channel come first.
            policy: what happens when messages come faster than they are taken: ``block`` (they are fetched from
                history later), ``drop_oldest``, ``drop_newest``, ``coalesce`` (by key) or ``close``.
            max_queue_size: bytes that may wait before that happens.
            snapshot: a coroutine function that loads the state that messages change: it is called when listening has
                begun, and behind each gap.

        Raises:
            InvalidChannel: a name that no channel can have.
            ConfigurationError: there is no channel or there are too many, or a value is not allowed.
        """
        patterns = check_patterns(channels)
        if backlog < 0 or max_queue_size < 0:
            raise ConfigurationError(f"backlog is {backlog}, max_queue_size {max_queue_size}, at least 0 is allowed")
        return Subscription(
            self._running,
            patterns,
            since=since,
            backlog=backlog,
            policy=check_policy(policy),
            max_queue_size=max_queue_size,
            snapshot=snapshot,
        )

    async def cursor(self, channel: str) -> str:
        """Where a channel is: who goes on ``since`` this gets what is published from now on.

        Args:
            channel: its name, or a pattern.

        Raises:
            ChannelError: the engine does not answer.
            InvalidChannel: a name that no channel can have.
        """
        hub = self._running()
        feed = await hub.acquire((check_pattern(channel),))
        try:
            return feed.cursor()
        finally:
            hub.release(feed)

    # -- connections ---------------------------------------------------------------------------------------------------

    async def join(
        self,
        connection: Connection,
        channel: str,
        *,
        since: str | None = None,
        backlog: int = 0,
        policy: str = Policy.BLOCK,
        encode: Encode | None = None,
        presence: Mapping[str, Any] | None = None,
        member: str | None = None,
    ) -> str:
        """Send a connection what is published on a channel, until it leaves or ends. Nobody has to wait for that.

        WebSockets of a server have this as ``ws.join(channel)``, event streams as ``router.sse(path, channel=...)``.
        What is the same for many connections is encoded once. One that takes too little is treated as its policy says,
        and delays nobody.

        Args:
            connection: a WebSocket (its handshake is answered now) or an event stream.
            channel: its name, or a pattern.
            since: the cursor to go on from; see :meth:`subscribe`.
            backlog: without a cursor, how many of the newest messages come first.
            policy: see :meth:`subscribe`.
            encode: a function that makes what is sent of a message or a gap; None is not sent. It is called once for
                all connections that use the same function. By default JSON text
                (:func:`elio.channels.members.formats.as_json`), on event streams events.
            presence: what others are told of this connection, as JSON: it is among :meth:`members` until it leaves.
            member: who it is there, by default nobody else: connections with the same name are one member, and
                whoever reconnects within 5 seconds was never away.

        Returns:
            A cursor of where the subscription begins.

        Raises:
            ChannelError: it has joined already, or the engine does not answer.
            InvalidChannel: a name that no channel can have.
            ConnectionClosed: the connection has ended.
        """
        hub = self._running()
        hold = None
        if presence is not None and self._presence is not None:
            hold = joining.Hold(self._presence, check_channel(channel), member or token_hex(8), presence)
        return await joining.join(
            hub,
            connection,
            check_pattern(channel),
            joining.Wishes(since, backlog, check_policy(policy), encode, hold),
        )

    async def leave(self, connection: Connection, channel: str) -> None:
        """Undo :meth:`join`. Nothing happens if the connection has not joined the channel."""
        joining.leave(connection, channel)

    async def members(self, channel: str) -> dict[str, Any]:
        """Who is present on a channel: what each member has said, by its name.

        Raises:
            ChannelError: the engine does not answer.
        """
        self._running()
        return {} if self._presence is None else await self._presence.members(check_channel(channel))

    def presence(self, channel: str) -> Subscription[Message | Gap | Snapshot]:
        """Follow who is present: first a snapshot of :meth:`members`, then messages of the types ``join`` and
        ``leave``; their ``key`` is the member, their ``data`` what it has said, as JSON text.
        """

        async def load() -> dict[str, Any]:
            return await self.members(channel)

        return self.subscribe(presence_channel(check_channel(channel)), snapshot=load)

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def run(
        self,
        id: str,
        source: Callable[[], RunSource],
        *,
        on_disconnect: str = OnDisconnect.DETACH,
        ttl: float = 60.0,
        owner: str | None = None,
    ) -> Run:
        """Begin what a generator says, or join it where it runs already, on whatever node; then follow it:
        ``async for part in run.follow(since=cursor)``.

        Args:
            id: the name of the run, one or more tokens of a channel's name.
            source: an async generator function, which is called only where the run begins.
            on_disconnect: what happens when nobody follows it any more: ``cancel``, ``detach`` (cancel it in ``ttl``
                seconds) or ``continue``.
            ttl: seconds for which a detached run goes on.
            owner: whose it is; nobody else can join.

        Raises:
            HTTPError: 403, it belongs to somebody else.
            ChannelError: the engine does not answer.
        """
        check_channel(id)
        run = Run(
            self._running(),
            id,
            subscribe=self.subscribe,
            on_disconnect=on_disconnect_of(on_disconnect),
            ttl=ttl,
            owner=owner,
        )
        await run.begin(source)
        return run


def check_patterns(channels: Iterable[str]) -> tuple[str, ...]:
    """Names and patterns, each once.

    Raises:
        InvalidChannel: a name that no channel can have.
        ConfigurationError: there is none, or there are too many.
    """
    patterns = tuple(sorted({check_pattern(channel) for channel in channels}, key=_by_kind))
    if not 0 < len(patterns) <= _MAX_CHANNELS:
        raise ConfigurationError(f"subscription to {len(patterns)} channels, allowed are 1 to {_MAX_CHANNELS}")
    return patterns


def _by_kind(pattern: str) -> tuple[bool, str]:
    return is_pattern(pattern), pattern


def check_policy(policy: str) -> Policy:
    """The policy of a name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return Policy(policy)
    except ValueError:
        names = ", ".join(Policy)
        raise ConfigurationError(f"policy is {policy!r}, allowed are {names}") from None
