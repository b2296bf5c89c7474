"""A connection that has joined a channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from ...errors import ChannelError, SlowSubscriber
from ...event_stream import EventStream
from ...fan_out import broadcast
from ...websocket.codes import CloseCode
from ..backlog import Policy
from ..delivery.feed import Feed
from ..delivery.hub import Hub
from ..delivery.subscriber import Subscriber
from .audience import Audience, Connection, Encode, audience_of, encoded

__all__ = ["Member"]

logger = logging.getLogger("elio.channels")

_MAX_QUEUE_SIZE: Final = 1024 * 1024
"""Bytes of messages that may wait for one connection in one channel."""


class Member:
    """One connection in one channel (an :class:`elio.net.outlet.Watcher`).

    It is *direct* as long as it takes what comes: then its audience sends to it. Else it has a subscriber, and a task
    for as long as it catches up.

    Args:
        hub: where it subscribes.
        connection: open.
        encode: what it is sent.
        policy: for when it takes too little.
        on_leave: called once when it is over, with whether the connection was lost.
    """

    __slots__ = (
        "_audience",
        "_connection",
        "_encode",
        "_hub",
        "_on_leave",
        "_policy",
        "_subscriber",
        "_task",
        "is_over",
    )

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        encode: Encode,
        policy: Policy,
        on_leave: Callable[[bool], object] | None = None,
    ) -> None:
        self._hub = hub
        self._connection = connection
        self._encode = encode
        self._policy = policy
        self._on_leave = on_leave
        self.is_over = False
        self._audience: Audience | None = None
        self._subscriber: Subscriber | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_direct(self) -> bool:
        """Whether it has everything and takes what comes."""
        return self._audience is not None

    async def join(self, pattern: str, since: str | None, backlog: int) -> str:
        """Subscribe, and send what comes first as far as there is room.

        Returns:
            A cursor of where the subscription has begun.

        Raises:
            ChannelError: the engine does not answer.
        """
        if since is None and not backlog:
            feed = await self._hub.acquire((pattern,))
            if self.is_over:  # the connection was lost meanwhile
                self._hub.release(feed)
            else:
                self._go_direct(feed)
            return feed.cursor()
        subscriber = self._subscriber = self._new_subscriber()
        try:
            await subscriber.open((pattern,), since=since, backlog=backlog)
        except BaseException:
            self._subscriber = None
            raise
        cursor = subscriber.cursor
        if self.is_over:
            subscriber.leave()
        await self._catch_up()
        return cursor

    def leave(self, *, is_lost: bool = False) -> None:
        """It is over, whatever state it is in."""
        self.is_over = True
        audience, self._audience = self._audience, None
        if audience is not None:
            audience.remove(self._connection)
            self._hub.release(audience.feed)
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.leave()
        on_leave, self._on_leave = self._on_leave, None
        if on_leave is not None:
            on_leave(is_lost)

    # -- called by the connection --------------------------------------------------------------------------------------

    def paused(self) -> None:
        """The peer takes too little: from now on what comes waits."""
        audience, self._audience = self._audience, None
        if audience is None:
            return
        audience.remove(self._connection)
        self._subscriber = self._new_subscriber()
        self._subscriber.attach(audience.feed)
        self._hub.release(audience.feed)

    def resumed(self) -> None:
        """The peer has room again."""
        if self._subscriber is not None and (self._task is None or self._task.done()):
            self._task = self._hub.spawn(self._catch_up())

    def lost(self) -> None:
        """The connection has ended."""
        self.leave(is_lost=True)

    # -- catching up ---------------------------------------------------------------------------------------------------

    def _new_subscriber(self) -> Subscriber:
        return Subscriber(self._hub, self._policy, _MAX_QUEUE_SIZE, self._woken)

    def _go_direct(self, feed: Feed) -> None:
        audience = self._audience = audience_of(feed, self._encode)
        audience.add(self._connection, self._end)

    async def _catch_up(self) -> None:
        """Send what waits, as far as there is room; at the end of it be direct again."""
        while (subscriber := self._subscriber) is not None and self._connection.has_room:
            try:
                item = await subscriber.take()
            except ChannelError:
                return  # whoever ended it has told this member
            if subscriber is not self._subscriber:
                return
            if item is None:
                self._arrive(subscriber)
                return
            payload = encoded(self._encode, item)
            if payload is not None:
                target: Any = (self._connection,)
                broadcast(target, payload)

    def _arrive(self, subscriber: Subscriber) -> None:
        feed = subscriber.feed
        if feed is not None:
            self._hub.retain(feed)
            subscriber.leave()
            self._subscriber = None
            self._go_direct(feed)

    def _woken(self) -> None:
        subscriber = self._subscriber
        if subscriber is None or subscriber.error is None:
            return
        if isinstance(subscriber.error, SlowSubscriber):
            logger.info("a connection is closed: %s", subscriber.error)
        self._end()

    def _end(self) -> None:
        """Nothing more comes, or it is too slow: the client is to come back, and to go on from where it was."""
        connection = self._connection
        if isinstance(connection, EventStream) or not connection.has_room:
            connection.abort()
        else:
            connection.close_soon(CloseCode.TRY_AGAIN_LATER, "messages could not be sent")
        self.leave()
