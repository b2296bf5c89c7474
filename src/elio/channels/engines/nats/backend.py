"""Channels on NATS JetStream: a stream is the history, republished messages deliver.

Delivery may lose: a :class:`Follower` sees by the sequence of the message before that one is missing, compares
positions every second, and reads the stream. Offsets grow, but not by one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from itertools import count
from secrets import token_hex

from ....errors import ChannelError, EngineError, EngineLost, PublishError
from ...backend import History, Lease, Position, Receiver
from ...names import matches
from ..follower import Follower
from ..watch import Watch
from .connection import Message
from .leases import NatsLeases
from .stream import State, Stream
from .wire import Wire

__all__ = ["NatsBackend"]


class NatsBackend:
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
        self._waits = on_outage == "wait"
        self._timeout = timeout
        self._wire = Wire(url, timeout=timeout, tls=tls, on_up=self._up, on_down=self._down, on_settled=self._settled)
        self._stream = Stream(self._wire, prefix=prefix, history=history, ttl=ttl, replicas=replicas)
        self._leases = NatsLeases(self._wire, self._stream, prefix=prefix, replicas=replicas)
        self._name = token_hex(4)
        self._numbers = count(1)
        self._epoch = ""
        self._subscriptions: dict[str, str] = {}
        # Of channels without messages: their offset, and up to where the stream is known to have none of them.
        self._quiet: dict[str, tuple[int, int]] = {}
        self._known: dict[str, set[str]] = {}
        self._follower: Follower | None = None
        self._watch: Watch | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self, receiver: Receiver) -> None:
        """Connect, and make the streams."""
        self._follower = Follower(self, receiver)
        try:
            await self._wire.start()
            await self._stream.create()
            await self._leases.create()
            self._epoch = (await self._stream.state()).epoch
        except BaseException:
            await self.close()
            raise
        self._watch = Watch(self._check, receiver, self._wire.watch)
        self._watch.start()

    async def close(self) -> None:
        """Let go of everything."""
        if self._watch is not None:
            await self._watch.close()
        if self._follower is not None:
            await self._follower.close()
        await self._wire.close()

    def _up(self) -> None:
        if self._watch is not None:
            self._watch.hurry()

    def _down(self, why: str) -> None:
        if self._watch is not None:
            self._watch.tell(False, why)

    async def _check(self) -> None:
        await self._wire.check()
        state = await self._stream_again()
        self._epoch = state.epoch
        await self._following.check()
        await self._leases.sweep()

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

    @property
    def _following(self) -> Follower:
        if self._follower is None:
            raise ChannelError("the backend has not been started")
        return self._follower

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record. What was interrupted is tried again only where it waits, and is not published twice then."""
        key = idempotency_key
        if key is None and self._waits:
            key = f"\0{self._name}:{next(self._numbers)}"
        while True:
            try:
                return Position(self._epoch, await self._stream.publish(channel, payload, key))
            except EngineLost as error:
                if not self._waits:
                    raise PublishError(str(error), channel=channel, is_unknown=error.is_unknown) from error
                await self._wire.ready()
                await asyncio.sleep(0.1)
            except EngineError as error:
                raise PublishError(str(error), channel=channel) from error

    # -- listening -----------------------------------------------------------------------------------------------------

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        """Give records of these channels to the receiver from now on."""
        follower = self._following
        is_new = pattern not in follower.patterns
        follower.expect(pattern)
        try:
            if is_new:
                self._subscriptions[pattern] = await self._wire.subscribe(
                    self._stream.republished(pattern), self._arrived
                )
            return await follower.begin(pattern)
        except BaseException:
            if is_new:
                await self.stop_listening(pattern)
            raise

    async def stop_listening(self, pattern: str) -> None:
        """Undo :meth:`listen`."""
        self._following.stop(pattern)
        self._known.pop(pattern, None)
        self._quiet.pop(pattern, None)
        number = self._subscriptions.pop(pattern, None)
        if number is not None:
            self._wire.unsubscribe(number)

    def _arrived(self, message: Message) -> None:
        self._following.arrived(*self._stream.record(message, self._epoch))

    def _settled(self) -> None:
        self._following.flush()

    # -- what the follower asks ----------------------------------------------------------------------------------------

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        """Where channels are."""
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
        state = await self._stream.state(pattern)
        known = self._known.setdefault(pattern, set())
        found = [channel for channel in state.counts if matches(pattern, channel)]
        wanted = [channel for channel in found if not (only_new and channel in known)]
        newest = await asyncio.gather(*map(self._stream.last, wanted))
        # Only what the caller is told of is known: before the last wait this can be broken off.
        known.clear()
        known.update(found)
        positions = {channel: Position(state.epoch, last) for channel, last in zip(wanted, newest, strict=True) if last}
        return {**positions, pattern: Position(state.epoch, state.last)}

    def start_of(self, channel: str, start: Position) -> Position:
        """All channels count together."""
        return start

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read the stream."""
        return await self._stream.history(channel, after, limit)

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
