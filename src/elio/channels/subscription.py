"""What a program iterates over: ``async for message in channels.subscribe("news")``."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, cast

from ..errors import ConcurrencyError, SubscriptionClosed
from .backlog import Policy
from .delivery.hub import Hub
from .delivery.subscriber import Subscriber
from .message import Gap, Item, Snapshot

__all__ = ["SnapshotHook", "Subscription"]

SnapshotHook: TypeAlias = Callable[[], Awaitable[Any]]
"""Loads the state of what is subscribed to: a coroutine function that returns it, or a :class:`Snapshot` of it."""

_Item = TypeVar("_Item", bound=Item, covariant=True)


class Subscription(Generic[_Item]):
    """Messages of some channels, in order for each channel, and gaps where there are any.

    ``async for`` gives them until the subscription is closed. It begins with the first use, or with ``async with``,
    which also ends it; one that is forgotten ends by itself. Any ``await`` may be cancelled and loses nothing.

    With a snapshot hook there is a :class:`elio.channels.message.Snapshot` first, unless ``since`` leads on without a
    gap, and one behind each gap. The hook is called when listening has begun, so that whatever was published after it
    began to load comes as a message.
    """

    def __init__(
        self,
        hub: Callable[[], Hub],
        patterns: tuple[str, ...],
        *,
        since: str | None,
        backlog: int,
        policy: Policy,
        max_queue_size: int,
        snapshot: SnapshotHook | None,
    ) -> None:
        self._subscriber: Subscriber | None = None
        self._hub = hub
        self._patterns = patterns
        self._since = since
        self._newest = backlog
        self._policy = policy
        self._limit = max_queue_size
        self._snapshot = snapshot
        self._needs_snapshot = snapshot is not None and since is None
        self._waiter: asyncio.Future[None] | None = None
        self._is_taken = False
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Subscription {' '.join(self._patterns)}{' closed' if self._is_closed else ''}>"

    @property
    def channels(self) -> tuple[str, ...]:
        """The names and patterns."""
        return self._patterns

    @property
    def dropped(self) -> int:
        """How many messages the policy has dropped."""
        return 0 if self._subscriber is None else self._subscriber.dropped

    @property
    def size(self) -> int:
        """Bytes of messages that wait to be taken."""
        return 0 if self._subscriber is None else self._subscriber.size

    # -- life ----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._subscriber is not None:
            self._subscriber.abandon()

    async def _open(self) -> Subscriber:
        if self._is_closed:
            raise SubscriptionClosed("the subscription was closed")
        if self._subscriber is not None:
            return self._subscriber
        subscriber = Subscriber(self._hub(), self._policy, self._limit, _waker(weakref.ref(self)))
        self._subscriber = subscriber
        try:
            await subscriber.open(self._patterns, since=self._since, backlog=self._newest)
        except BaseException:
            self._subscriber = None
            raise
        return subscriber

    async def close(self) -> None:
        """End it: who waits for a message is told, and nothing waits any more."""
        self._is_closed = True
        if self._subscriber is not None:
            self._subscriber.leave()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- receiving -----------------------------------------------------------------------------------------------------

    async def receive(self) -> _Item:
        """The next item.

        Raises:
            SubscriptionClosed: the subscription or the channels were closed.
            SlowSubscriber: the policy is ``close``, and too little was received.
            ChannelError: the engine does not answer; it can be tried again.
            ConcurrencyError: another task is receiving from this subscription.
        """
        item = self._at_hand()
        if item is not None:
            return item
        self._is_taken = True
        try:
            return cast(_Item, await self._receive())
        finally:
            self._is_taken = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        item = self._at_hand()
        if item is not None:
            return item
        try:
            return await self.receive()
        except SubscriptionClosed:
            raise StopAsyncIteration from None

    def _at_hand(self) -> _Item | None:
        """The next item, if nothing has to be waited for."""
        if self._is_taken:
            raise ConcurrencyError("another task is receiving from this subscription already")
        subscriber = self._subscriber
        if subscriber is None or self._is_closed or self._needs_snapshot:
            return None
        item = subscriber.take_nowait()
        self._needs_snapshot = self._snapshot is not None and isinstance(item, Gap)
        return cast("_Item | None", item)

    async def _receive(self) -> Item:
        subscriber = await self._open()
        while True:
            if self._needs_snapshot:
                return await self._load(subscriber)
            item = await subscriber.take()
            if self._is_closed:
                raise SubscriptionClosed("the subscription was closed")
            if item is not None:
                self._needs_snapshot = self._snapshot is not None and isinstance(item, Gap)
                return item
            await self._wait()

    async def _wait(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    async def _load(self, subscriber: Subscriber) -> Snapshot:
        """Ask the hook, while messages are kept; then go on from where it says, or with those."""
        cursor = subscriber.cursor
        found = self._snapshot() if self._snapshot is not None else None
        state = await found if inspect.isawaitable(found) else found
        snapshot = state if isinstance(state, Snapshot) else Snapshot(state)
        self._needs_snapshot = False
        if snapshot.since is None:
            return Snapshot(snapshot.state, None, cursor)
        subscriber.go_to(snapshot.since)
        return Snapshot(snapshot.state, snapshot.since, snapshot.since)


def _waker(subscription: weakref.ref[Subscription[Any]]) -> Callable[[], None]:
    """Wakes a subscription that somebody still holds: a feed does not keep it alive."""

    def wake() -> None:
        held = subscription()
        if held is not None:
            held._wake()

    return wake
