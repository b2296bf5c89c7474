"""The hub: what stands between one backend and all subscribers of this process.

It listens once for each name or pattern, however many subscribe, reads each payload once, and hands it to the feeds
that it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from ...errors import ChannelError
from ..backend import Backend, GapReason, Position, Receiver, Record
from ..backlog import Policy
from ..envelope import open_envelope
from .archive import Archive
from .feed import MAX_CHANNELS, Feed, FeedState
from .reader import Reader
from .routes import Routes
from .trail import Entry, Trail

__all__ = ["Hub"]

logger = logging.getLogger("elio.channels")

_LINGER: Final = 5.0
"""Seconds for which a feed without subscribers goes on: who reconnects finds the last records here."""

_MAX_SIZE: Final = 32 * 1024 * 1024
"""Bytes of all trails."""

_MAX_TRAILS: Final = MAX_CHANNELS // 2
"""Fewer than the positions that a feed keeps: so each of its trails ends with it, and none has a hole."""

T = TypeVar("T")


class _Listening:
    """How many feeds want a pattern; the lock keeps its beginning and its end in order."""

    __slots__ = ("feeds", "lock")

    def __init__(self) -> None:
        self.feeds = 0
        self.lock = asyncio.Lock()


class Hub(Receiver):
    """The feeds of one backend.

    Attributes:
        backend: the engine.
        drops: messages that policies have dropped, by policy; for ``close`` subscribers that were sent away.
        trouble: what is wrong with the link to the engine, for people; "" when all is well.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.drops: Counter[Policy] = Counter()
        self.trouble = ""
        self._loop = asyncio.get_running_loop()
        self._feeds: dict[tuple[str, ...], Feed] = {}
        self._listening: dict[str, _Listening] = {}
        self._trails: OrderedDict[str, Trail] = OrderedDict()  # the one that got a record last is the last one
        self._routes = Routes()
        self._size = 0
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._archive = Archive(backend, self.spawn)

    # -- subscribers ---------------------------------------------------------------------------------------------------

    async def acquire(self, patterns: tuple[str, ...]) -> Feed:
        """The feed of these channels, to be given back with :meth:`release`. It listens when this returns.

        Raises:
            ChannelError: the engine does not answer.
        """
        feed = self._feeds.get(patterns)
        if feed is None:
            feed = self._feeds[patterns] = Feed(patterns)
            self._routes.add(feed)
            feed.opening = self.spawn(self._open(feed))
        feed.users += 1
        if feed.closing is not None:
            feed.closing.cancel()
            feed.closing = None
        try:
            if feed.opening is not None:
                await asyncio.shield(feed.opening)
        except BaseException:
            self.release(feed)
            raise
        return feed

    def retain(self, feed: Feed) -> None:
        """One subscriber more of a feed that is in use; to be given back as after :meth:`acquire`."""
        feed.users += 1

    def release(self, feed: Feed) -> None:
        """A subscriber has gone."""
        feed.users -= 1
        if feed.users == 0 and self._feeds.get(feed.patterns) is feed:
            feed.closing = self._loop.call_later(_LINGER, self._let_go, feed)

    def states(self) -> list[FeedState]:
        """How all subscribers fare, feed by feed."""
        return [feed.state() for feed in self._feeds.values()]

    def reader(self, feed: Feed, positions: dict[str, Position]) -> Reader:
        """A reader for a subscriber that is behind."""
        return Reader(feed, self._archive, self._trails, positions)

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call from the loop, whichever thread asks for it; not at all when everything is over."""
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    async def close(self) -> None:
        """End every feed."""
        self._closed = True
        feeds, self._feeds = list(self._feeds.values()), {}
        for feed in feeds:
            self._routes.remove(feed)
            if feed.closing is not None:
                feed.closing.cancel()
            feed.end()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._trails.clear()
        self._size = 0

    # -- listening -----------------------------------------------------------------------------------------------------

    async def _open(self, feed: Feed) -> None:
        listenings = [self._listening.setdefault(pattern, _Listening()) for pattern in feed.patterns]
        for listening in listenings:
            listening.feeds += 1
        try:
            for pattern, listening in zip(feed.patterns, listenings, strict=True):
                async with listening.lock:
                    feed.start(await self.backend.listen(pattern))
        except BaseException:
            self._forget(feed)
            raise
        feed.opening = None

    def _let_go(self, feed: Feed) -> None:
        feed.closing = None
        if not feed.users:
            self._forget(feed)

    def _forget(self, feed: Feed) -> None:
        """The feed is not used any more, or never was; what nobody else wants is not listened to any longer."""
        if self._closed or self._feeds.get(feed.patterns) is not feed:
            return
        del self._feeds[feed.patterns]
        self._routes.remove(feed)
        for pattern in feed.patterns:
            listening = self._listening[pattern]
            listening.feeds -= 1
            if not listening.feeds:
                self.spawn(self._stop(pattern, listening))
        for channel in feed.positions:
            if not self._routes.of(channel):
                self._drop(channel)
                self._archive.forget(channel)

    async def _stop(self, pattern: str, listening: _Listening) -> None:
        async with listening.lock:
            if listening.feeds:
                return
            try:
                await self.backend.stop_listening(pattern)
            except ChannelError as error:
                logger.warning("cannot stop listening to %s: %s", pattern, error)
            if not listening.feeds and self._listening.get(pattern) is listening:
                del self._listening[pattern]

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something in a task that ends with the hub at the latest."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; nobody may wait any more

    # -- called by the backend -----------------------------------------------------------------------------------------

    def records(self, records: Sequence[Record]) -> None:
        """Records of channels that are listened to."""
        for channel, epoch, offset, payload in records:
            feeds = self._routes.of(channel)
            if feeds:
                entry = Entry(channel, Position(epoch, offset), open_envelope(payload))
                self._remember(entry)
                for feed in feeds:
                    feed.receive(entry)

    def gap(self, channel: str, reason: GapReason, missed: int | None, position: Position) -> None:
        """Records are missing that history does not have."""
        logger.warning("channel %s: messages are missing (%s)", channel, reason)
        trail = self._trails.get(channel)
        if trail is not None:
            self._size -= trail.size
            trail.restart(position)
        for feed in self._routes.of(channel):
            feed.gap(channel, reason, missed, position)

    def health(self, is_healthy: bool, why: str) -> None:
        """The link to the engine was lost, or is back."""
        if is_healthy == (not self.trouble):
            return
        self.trouble = "" if is_healthy else why or "the engine cannot be reached"
        if is_healthy:
            logger.info("the engine is back")
        else:
            logger.warning("trouble with the engine: %s", self.trouble)

    # -- the last records ----------------------------------------------------------------------------------------------

    def _remember(self, entry: Entry) -> None:
        trail = self._trails.get(entry.channel)
        if trail is None:
            start = Position(entry.position.epoch, entry.position.offset - 1)
            trail = self._trails[entry.channel] = Trail(start)
        else:
            self._trails.move_to_end(entry.channel)
        self._size -= trail.size
        trail.add(entry)
        self._size += trail.size
        while self._size > _MAX_SIZE or len(self._trails) > _MAX_TRAILS:
            self._drop(next(iter(self._trails)))

    def _drop(self, channel: str) -> None:
        trail = self._trails.pop(channel, None)
        if trail is not None:
            self._size -= trail.size
