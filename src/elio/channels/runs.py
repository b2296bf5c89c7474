"""Durable runs: what a generator gives, for readers that come, go and come back, on whatever node.

A run is a channel of its own. The node that was first to begin it draws from the generator and publishes; everybody,
that node included, follows the channel. So a reader that comes back goes on from its cursor, and a late one gets what
was said so far, as far as history has it.

The node has a lease for as long as it draws. When it dies the lease ends, and whoever follows says in its place that
the run is lost: nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from hashlib import sha256
from secrets import token_hex
from typing import Final

from ..errors import ChannelError, ConfigurationError, HTTPError
from .backend import Lease, presence_channel
from .delivery.hub import Hub
from .envelope import Envelope, open_envelope, seal
from .message import Gap, Message
from .subscription import Subscription

__all__ = ["OnDisconnect", "Run", "RunSource"]

logger = logging.getLogger("elio.channels")

RunSource = AsyncIterator[str | bytes]

_LEASE: Final = 30.0
_ALL: Final = 100_000
_END, _ERROR, _START = "end", "error", "start"
_FAREWELL: Final = 2.0
"""Seconds in which a node that ends can still say that its run has."""
_LOST: Final = 2
"""Looks in a row, a third of a lease apart, that must find no node drawing: a lease may come late."""


class OnDisconnect(StrEnum):
    """What becomes of a run that nobody follows any more."""

    CANCEL = "cancel"
    """The generator is cancelled at once."""
    DETACH = "detach"
    """It goes on for ``ttl`` seconds, and is cancelled then."""
    CONTINUE = "continue"
    """It goes on to its end."""


class Run:
    """One run; :meth:`elio.Channels.run` makes it.

    Attributes:
        id: its name.
        channel: what it publishes on.
    """

    def __init__(
        self,
        hub: Hub,
        id: str,
        *,
        subscribe: Callable[..., Subscription[Message | Gap]],
        on_disconnect: OnDisconnect,
        ttl: float,
        owner: str | None,
    ) -> None:
        self.id = id
        self.channel = f"$run.{id}"
        self._drawn_at = f"$runner.{id}"
        self._hub = hub
        self._subscribe = subscribe
        self._on_disconnect = on_disconnect
        self._ttl = ttl
        self._seal_of_owner = sha256(f"{id}\0{owner or ''}".encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    async def begin(self, source: Callable[[], RunSource]) -> None:
        """Begin it, unless somebody has.

        Raises:
            HTTPError: 403, it belongs to another owner.
            ChannelError: the engine does not answer.
        """
        token = token_hex(8)
        await self._publish(token, _START, idempotency_key=_START)
        first = await self._first()
        if first.key != self._seal_of_owner:
            raise HTTPError(403, "this run belongs to somebody else")
        if (first.type, first.data) == (_START, token):
            lease = Lease(self._drawn_at, "runner", token, "{}")
            await self._hub.backend.hold([lease], _LEASE)
            self._hub.spawn(self._produce(source, lease))

    async def _first(self) -> Envelope:
        history = await self._hub.backend.history(self.channel, None, _ALL)
        if not history.records:
            raise ChannelError(f"nothing is known of run {self.id!r} any more")
        return open_envelope(history.records[0].payload)

    async def _publish(self, data: str | bytes, type: str, *, idempotency_key: str | None = None) -> None:
        # Every message says whose the run is: the first one may be forgotten before the last one comes.
        payload = seal(data, type=type, key=self._seal_of_owner, time=0.0)
        await self._hub.backend.publish(self.channel, payload, idempotency_key=idempotency_key)

    # -- the node that runs it -----------------------------------------------------------------------------------------

    async def _produce(self, source: Callable[[], RunSource], lease: Lease) -> None:
        drawing = asyncio.ensure_future(self._draw(source))
        others = [asyncio.ensure_future(self._watch(drawing)), asyncio.ensure_future(self._renew(lease))]
        try:
            await asyncio.wait([drawing])
        finally:  # it has ended, or this node does
            for task in (drawing, *others):
                task.cancel()
            await asyncio.gather(drawing, *others, return_exceptions=True)
            with contextlib.suppress(ChannelError, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    if drawing.cancelled():
                        await self._publish("cancelled", _ERROR)
                    await self._hub.backend.release(lease, 0.0)

    async def _draw(self, source: Callable[[], RunSource]) -> None:
        try:
            async with contextlib.aclosing(source()) as parts:  # type: ignore[type-var]
                async for part in parts:
                    await self._publish(part, "")
        except Exception as error:
            logger.exception("run %s has failed", self.id)
            await self._publish(type(error).__name__, _ERROR)
        else:
            await self._publish("", _END)

    async def _watch(self, drawing: asyncio.Future[None]) -> None:
        """Cancel it when the last follower has gone, as was wished."""
        if self._on_disconnect is OnDisconnect.CONTINUE:
            return
        async with self._subscribe(presence_channel(self.channel), backlog=_ALL) as notices:
            async for notice in notices:
                while (isinstance(notice, Gap) or notice.type == "leave") and await self._is_left():
                    if self._on_disconnect is OnDisconnect.CANCEL:
                        drawing.cancel()
                        return
                    try:
                        async with asyncio.timeout(self._ttl):
                            notice = await notices.receive()
                    except TimeoutError:
                        drawing.cancel()
                        return

    async def _is_left(self) -> bool:
        return not await self._hub.backend.members(self.channel)

    # -- followers -----------------------------------------------------------------------------------------------------

    async def follow(self, since: str | None = None) -> AsyncIterator[Message | Gap]:
        """What it says, from the beginning or from a cursor on, to its end. Close the iterator to disconnect:
        ``async with contextlib.aclosing(run.follow()) as parts``. The task that iterates is cancelled with its reader.

        Args:
            since: ``id`` of the last message that was seen.

        Raises:
            ChannelError: the run has failed, was cancelled, or was lost with its node; or the engine does not answer.
        """
        lease = Lease(self.channel, token_hex(8), "run", "{}")
        await self._hub.backend.hold([lease], _LEASE)
        tasks = [self._hub.spawn(self._renew(lease)), self._hub.spawn(self._look_after())]
        try:
            async with self._subscribe(self.channel, since=since or None, backlog=_ALL) as parts:
                async for part in parts:
                    if isinstance(part, Message) and part.type == _END:
                        return
                    if isinstance(part, Message) and part.type == _ERROR:
                        raise ChannelError(f"run {self.id!r} has ended early: {part.data!r}")
                    if isinstance(part, Gap) or part.type != _START:
                        yield part
        finally:
            for task in tasks:
                task.cancel()
            self._hub.spawn(self._release(lease))

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(_LEASE / 3)
            with contextlib.suppress(ChannelError):
                await self._hub.backend.hold([lease], _LEASE)

    async def _look_after(self) -> None:
        """Say that the run is lost when no node draws from it any more and none has said that it has ended."""
        looks = 0
        while True:
            await asyncio.sleep(_LEASE / 3)
            with contextlib.suppress(ChannelError):  # the next look is for what could not be found out or said
                looks = 0 if await self._is_drawn() else looks + 1
                if looks >= _LOST:
                    await self._publish("lost", _ERROR, idempotency_key=_ERROR)

    async def _is_drawn(self) -> bool:
        if await self._hub.backend.members(self._drawn_at):
            return True
        newest = await self._hub.backend.history(self.channel, None, 1)
        return any(open_envelope(record.payload).type in (_END, _ERROR) for record in newest.records)

    async def _release(self, lease: Lease) -> None:
        with contextlib.suppress(ChannelError):
            await self._hub.backend.release(lease, 0.0)


def on_disconnect_of(word: str) -> OnDisconnect:
    """What a word wishes.

    Raises:
        ConfigurationError: nothing.
    """
    try:
        return OnDisconnect(word)
    except ValueError:
        raise ConfigurationError(f"on_disconnect is {word!r}, allowed are {', '.join(OnDisconnect)}") from None
