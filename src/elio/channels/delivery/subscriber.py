"""A subscriber: one place in one feed, live or behind, with the queue of what it has not taken yet.

It knows nothing of who takes: a program that iterates, or a connection that is sent to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ...errors import ChannelError, SlowSubscriber, SubscriptionClosed
from ..backend import Position
from ..backlog import Backlog, Policy
from ..cursor import read_cursor
from ..message import Gap, Message
from .feed import Feed
from .hub import Hub
from .reader import Reader

__all__ = ["Subscriber"]


class Subscriber:
    """One subscriber (a :class:`elio.channels.delivery.feed.Live`).

    Args:
        hub: where it subscribes.
        policy: what happens when it takes too little.
        limit: bytes that may wait for it.
        wake: called when there is something to take, or nothing will come any more.

    Attributes:
        error: why nothing more comes, or None.
    """

    __slots__ = ("__weakref__", "_backlog", "_feed", "_hub", "_limit", "_policy", "_read", "_reader", "_wake", "error")

    def __init__(self, hub: Hub, policy: Policy, limit: int, wake: Callable[[], object]) -> None:
        self._hub = hub
        self._policy = policy
        self._limit = limit
        self._wake = wake
        self._backlog = Backlog(policy, limit, hub.drops)
        self._feed: Feed | None = None
        self._reader: Reader | None = None
        self._read: deque[Message | Gap] = deque()
        self.error: ChannelError | None = None

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """How many messages its policy has dropped."""
        return self._backlog.dropped

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._backlog.size

    @property
    def waiting(self) -> int:
        """How many messages and gaps wait."""
        return len(self._backlog)

    @property
    def feed(self) -> Feed | None:
        """The feed it belongs to, None before it was opened and after it has left."""
        return self._feed

    @property
    def has_all(self) -> bool:
        """Whether nothing waits and it is live."""
        return self._reader is None and not self._read and not self._backlog and self._feed is not None

    @property
    def cursor(self) -> str:
        """A cursor behind everything that has come up to now, whether or not it was taken."""
        if self._reader is not None:
            return self._reader.cursor()
        return "" if self._feed is None else self._feed.cursor()

    # -- life ----------------------------------------------------------------------------------------------------------

    async def open(self, patterns: tuple[str, ...], *, since: str | None = None, backlog: int = 0) -> None:
        """Subscribe.

        Args:
            patterns: names and patterns, each once.
            since: the cursor to go on from; one that cannot be read becomes a gap.
            backlog: without a cursor, how many of the newest messages of each channel come first.

        Raises:
            ChannelError: the engine does not answer; it is not subscribed then.
        """
        feed = self._feed = await self._hub.acquire(patterns)
        if since is not None:
            self._follow({}).begin(read_cursor(since))
        elif backlog:
            try:
                await self._follow({}).begin_with_newest(backlog)
            except BaseException:
                self.leave()
                raise
        else:
            feed.admit(self)

    def attach(self, feed: Feed) -> None:
        """Subscribe to a feed that is in use, from now on."""
        self._hub.retain(feed)
        self._feed = feed
        feed.admit(self)

    def go_to(self, cursor: str) -> None:
        """Drop what waits and go on from a cursor."""
        if self._feed is None:
            return
        self._backlog.clear()
        self._read.clear()
        self._step_aside(self._feed)
        self._follow({}).begin(read_cursor(cursor))

    def leave(self) -> None:
        """Unsubscribe. What waits can still be taken."""
        feed, self._feed = self._feed, None
        if feed is not None:
            self._step_aside(feed)
            self._hub.release(feed)

    def _step_aside(self, feed: Feed) -> None:
        reader, self._reader = self._reader, None
        if reader is None:
            feed.dismiss(self)
        else:
            feed.unfollow(reader)

    def abandon(self) -> None:
        """Leave soon, from whatever thread: nobody holds it any more."""
        if self._feed is not None:
            self._hub.call_soon(self.leave)

    def _follow(self, positions: dict[str, Position]) -> Reader:
        if self._feed is None:
            raise SubscriptionClosed("the subscription was closed")
        self._reader = self._hub.reader(self._feed, positions)
        self._feed.follow(self._reader)
        return self._reader

    def _end_with(self, error: ChannelError) -> None:
        self.error = error
        self.leave()
        self._wake()

    # -- called by the feed --------------------------------------------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """The next message."""
        if not self._backlog.push(message):
            if self._policy is Policy.CLOSE:
                size = self._backlog.size + len(message.data)
                self._backlog.clear()
                self._hub.drops[Policy.CLOSE] += 1
                self._end_with(SlowSubscriber(size=size, limit=self._limit))
                return
            self._fall_behind(message)
        self._wake()

    def deliver_gap(self, gap: Gap) -> None:
        """Messages are missing here."""
        self._backlog.push_gap(gap)
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self._end_with(SubscriptionClosed("the channels were closed"))

    def _fall_behind(self, message: Message) -> None:
        """There is no room for this message: go on from before it, by reading, once there is."""
        feed = self._feed
        if feed is not None:
            self._step_aside(feed)
            positions = dict(feed.positions)
            positions[message.channel] = Position(message.epoch, message.offset - 1)
            self._follow(positions)

    # -- taking --------------------------------------------------------------------------------------------------------

    async def take(self) -> Message | Gap | None:
        """The next item; None if there is none yet. It may be cancelled.

        Raises:
            ChannelError: the engine does not answer, and it can be tried again; or :attr:`error`, nothing more comes.
        """
        while True:
            item = self.take_nowait()
            if item is not None:
                return item
            if self.error is not None:
                raise self.error
            reader = self._reader
            if reader is None:
                return None
            self._read.extend(await reader.read())
            if not self._read and reader is self._reader:
                self._arrive(reader)

    def take_nowait(self) -> Message | Gap | None:
        """The next item that is here."""
        return self._backlog.pop() or (self._read.popleft() if self._read else None)

    def _arrive(self, reader: Reader) -> None:
        """Everything is read: from now on messages come."""
        if reader.is_ended:
            self.end()
        elif self._feed is not None:
            self._step_aside(self._feed)
            self._feed.admit(self)
