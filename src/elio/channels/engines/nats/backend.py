"""Channels on NATS JetStream: a stream is the history, republished messages deliver.

Delivery may lose: a :class:`Follower` sees by the sequence of the message before that one is missing, compares
positions every second, and reads the stream. Offsets grow, but not by one.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from secrets import token_hex

from ....errors import EngineError, EngineLost, PublishError
from ..._made import made
from ...backend import History, Lease, Position, Record
from ...names import matches
from ..line import answer_within
from ..remote import RemoteBackend
from .connection import Message
from .leases import NatsLeases
from .stream import State, Stream
from .wire import Wire
from .witness import Witness

__all__ = ["NatsBackend"]

logger = logging.getLogger("elio.channels")


class NatsBackend(RemoteBackend):
    """This process's link to NATS.

    Args:
        url: ``nats://[user:password@]host[:4222]``, ``tls://`` for TLS; more servers of a cluster behind commas.
        history: records kept of each channel.
        ttl: seconds for which a record is kept.
        prefix: begins the names of streams and subjects.
        replicas: servers of a cluster that keep each record.
        on_outage: what ``publish`` does while the server is away: "raise" at once, or "wait".
        timeout: seconds that an answer may take.
        tls: for TLS; trusts what the system trusts by default.

    Attributes:
        is_dense: see :class:`elio.channels.backend.Backend`.

    Raises:
        InvalidURL: the URL cannot be used.
    """

    is_dense = False

    def __init__(
        self,
        url: str,
        *,
        history: int = 1000,
        ttl: float = 300.0,
        prefix: str = "elio",
        replicas: int = 1,
        on_outage: str = "raise",
        timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self._waits = on_outage == "wait"
        self._timeout = timeout
        self._wire = Wire(
            url, timeout=timeout, tls=tls, on_up=self.came_back, on_down=self.went, on_settled=self.settled
        )
        self._stream = Stream(self._wire, prefix=prefix, history=history, ttl=ttl, replicas=replicas)
        self._leases = NatsLeases(self._wire, self._stream, prefix=prefix, replicas=replicas)
        self._name = token_hex(4)
        self._numbers = count(1)
        self._epoch = ""
        # Nothing of a new connection counts before it is certain that the stream is what it was.
        self._links = 0
        self._is_certain = asyncio.Event()
        self._server = ""
        self._subscriptions: dict[str, str] = {}
        # Of channels without messages: their offset, and up to where the stream is known to have none of them.
        self._quiet: dict[str, tuple[int, int]] = {}
        self._known: dict[str, set[str]] = {}

    # -- life ----------------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self._witness = Witness(self._stream, asyncio.get_running_loop().time)
        await self._wire.start()
        await self._stream.create()
        await self._leases.create()
        self._epoch = (await self._stream.state()).epoch
        self._server = self._wire.server
        self._is_certain.set()

    async def _disconnect(self) -> None:
        await self._wire.close()

    def came_back(self) -> None:
        """A connection was made, or made again."""
        self._links += 1
        self._is_certain.clear()
        super().came_back()

    async def _check(self) -> None:
        await self._wire.check()
        link, server, state = self._links, self._wire.server, await self._stream_again()
        if not self._is_certain.is_set():
            state = await self._compare(state, server)
        if state.epoch != self._epoch:
            self._epoch = state.epoch
            self._quiet.clear()
            self._witness.forget()
        if link == self._links:
            self._server = server
            self._is_certain.set()
        await self._following.check()
        await self._leases.sweep()

    def _checked(self) -> None:
        self._wire.watch()

    async def _compare(self, state: State, server: str) -> State:
        """Find out whether the stream has forgotten what this process knows of; if so it begins another life."""
        if state.epoch != self._epoch or await self._witness.agrees(state, is_restarted=server != self._server):
            return state
        logger.warning("NATS has forgotten messages that it had acknowledged")
        return await self._stream.begin_life(state.epoch)

    @asynccontextmanager
    async def _one_memory(self) -> AsyncIterator[None]:
        """What is asked inside is answered from the same memory.

        Raises:
            EngineLost: it is not certain in time what the server still has, or the connection was lost meanwhile.
        """
        async with answer_within(self._timeout):
            await self._is_certain.wait()
        link = self._links
        yield
        if link != self._links:
            raise EngineLost("the connection was lost meanwhile")

    async def _stream_again(self) -> State:
        """The state of the stream, which is made anew where it was lost."""
        try:
            return await self._stream.state()
        except EngineLost:
            raise
        except EngineError:
            await self._stream.create()
            await self._leases.create()
            return await self._stream.state()

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record. What was interrupted is tried again only where it waits, and is not published twice then."""
        key = idempotency_key
        if key is None and self._waits:
            key = f"\0{self._name}:{next(self._numbers)}"
        while True:
            link = self._links if self._is_certain.is_set() else -1
            try:
                offset = await self._stream.publish(channel, payload, key)
                break
            except EngineLost as error:
                if not self._waits:
                    raise PublishError(str(error), channel=channel, is_unknown=error.is_unknown) from error
                await self._wire.ready()
                await asyncio.sleep(0.1)
            except EngineError as error:
                raise PublishError(str(error), channel=channel) from error
        # Of an older one with the same key the stream has another payload.
        if idempotency_key is None and link == self._links:
            self._witness.saw(made(Record, (channel, self._epoch, offset, payload)))
        return made(Position, (self._epoch, offset))

    # -- listening -----------------------------------------------------------------------------------------------------

    async def _subscribe(self, pattern: str) -> None:
        subject = self._stream.republished(pattern)
        self._subscriptions[pattern] = await self._wire.subscribe(subject, self._arrived)

    async def _unsubscribe(self, pattern: str) -> None:
        self._known.pop(pattern, None)
        self._quiet.pop(pattern, None)
        number = self._subscriptions.pop(pattern, None)
        if number is not None:
            self._wire.unsubscribe(number)

    def _arrived(self, message: Message) -> None:
        if self._is_certain.is_set():  # else the next check finds it
            record, before = self._stream.record(message, self._epoch)
            self._witness.saw(record)
            self._following.arrived(record, before)

    # -- what the follower asks ----------------------------------------------------------------------------------------

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where channels are."""
        async with self._one_memory():
            state = await self._stream.state()
            newest = await asyncio.gather(*map(self._stream.last, channels))
        return {
            channel: Position(state.epoch, self._offset(channel, last, state))
            for channel, last in zip(channels, newest, strict=True)
        }

    def _offset(self, channel: str, last: int, state: State) -> int:
        """The offset of a channel. One that has no messages any more stays where it was, if that is certain."""
        if not last:
            was, none_up_to = self._quiet.get(channel, (0, 0))
            last = was if was and state.first <= none_up_to + 1 else state.last
        self._quiet[channel] = (last, max(last, state.last))
        return last

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        """Where channels are that a pattern stands for."""
        known = self._known.setdefault(pattern, set())
        async with self._one_memory():
            state = await self._stream.state(pattern)
            found = [channel for channel in state.counts if matches(pattern, channel)]
            wanted = [channel for channel in found if not (only_new and channel in known)]
            newest = await asyncio.gather(*map(self._stream.last, wanted))
        positions = {channel: Position(state.epoch, last) for channel, last in zip(wanted, newest, strict=True) if last}
        # Only what the caller is told of is known: before the last wait this can be broken off.
        known.intersection_update(found)
        known.update(positions)
        return {**positions, pattern: Position(state.epoch, state.last)}

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read the stream."""
        async with self._one_memory():
            history = await self._stream.history(channel, after, limit)
        if history.records:
            self._witness.saw(history.records[-1])
        return history

    # -- leases --------------------------------------------------------------------------------------------------------

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take or renew leases."""
        await self._leases.hold(leases, ttl)

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease."""
        await self._leases.release(lease, linger)

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present."""
        return await self._leases.members(channel)
