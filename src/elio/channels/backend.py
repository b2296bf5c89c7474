"""What an engine does for channels: the one interface that each of them implements.

A *backend* is this process's link to an engine. The *hub* (:mod:`elio.channels.hub`) is what stands above it and is its
:class:`Receiver`. Who does what:

- Continuity is the backend's promise: of every channel that it listens to, the receiver is given each record exactly
  once and in order, or is told of a gap. A backend compares positions at least every ``POSITION_CHECK`` seconds,
  fetches after a cut what history has, and reports a gap only where history cannot tell.
- The hub joins history and live records, keeps what subscribers have seen, and knows of slow ones.

Everything is called on one event loop. A backend never raises into its receiver's face and never blocks the loop.

**Positions.** A channel's offsets grow with each record: by one, or by more where the engine counts many channels
together (``Backend.is_dense``). The epoch is a word for the engine's memory: it changes when that was lost, and offsets
of different epochs have nothing to do with each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

__all__ = [
    "POSITION_CHECK",
    "Backend",
    "GapReason",
    "History",
    "Lease",
    "Position",
    "Receiver",
    "Record",
    "presence_channel",
]

POSITION_CHECK: Final = 3.0
"""Seconds within which a backend notices that it has missed a record, whatever has happened to its link."""


class GapReason(StrEnum):
    """Why messages are missing, or may be."""

    EPOCH = "epoch"
    """The engine lost its memory: what was published before and not yet received is gone."""
    HISTORY = "history"
    """History is too short, or too young, for what was asked of it."""
    CURSOR = "cursor"
    """The cursor cannot be read, or does not say where this channel was left."""
    SLOW_CONSUMER = "slow consumer"
    """The subscriber took too little, and its policy dropped messages."""
    COALESCED = "coalesced"
    """The subscriber took too little, and newer messages with the same keys stand for dropped ones."""


class Position(NamedTuple):
    """A place in a channel: behind the record of this epoch and offset.

    An offset of 0 is before the first record.
    """

    epoch: str
    offset: int


class Record(NamedTuple):
    """One published message as the engine has it.

    Attributes:
        channel: its name.
        epoch: letters, digits, ``-`` and ``_``; at most 32 of them.
        offset: at least 1.
        payload: the envelope (:mod:`elio.channels.envelope`), which engines do not look into.
    """

    channel: str
    epoch: str
    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class History:
    """What an engine still has of one channel.

    Attributes:
        records: consecutive ones, oldest first.
        is_complete: whether no record is missing between the position asked for and the first of these; where none
            was asked for, whether these are all that was ever published.
        position: the channel's newest record at that moment. If it is newer than the last of ``records``, there is
            more to ask for.
    """

    records: Sequence[Record]
    is_complete: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Lease:
    """One holder's word that a member is present on a channel.

    A member is present while it has a lease: it joins with its first one and leaves with the end of its last. Several
    holders (two tabs of a user, the old connection and the new one) may hold leases for the same member.

    Attributes:
        channel: where.
        member: who.
        holder: by whom, a connection for example; one lease for each channel, member and holder.
        data: what there is to say of the member, as JSON text.
    """

    channel: str
    member: str
    holder: str
    data: str

    @property
    def joined(self) -> bytes:
        """The envelope of the notice that the member has joined."""
        return self._notice("join")

    @property
    def left(self) -> bytes:
        """The envelope of the notice that the member has left."""
        return self._notice("leave")

    def _notice(self, type: str) -> bytes:
        return json.dumps({"d": self.data, "t": type, "k": self.member}, separators=(",", ":")).encode()


def presence_channel(channel: str) -> str:
    """The channel on which an engine publishes who joins a channel and who leaves it."""
    return f"$presence.{channel}"


class Receiver(Protocol):
    """What a backend tells: the hub. Called on the loop, and never raises."""

    def records(self, records: Sequence[Record]) -> None:
        """Records of channels that are listened to: in order for each channel, and each once.

        A channel that several patterns stand for is one channel.
        """
        ...

    def gap(self, channel: str, reason: GapReason, missed: int | None, position: Position) -> None:
        """Records are missing that history does not have.

        Args:
            channel: or a pattern that is listened to, if it may be channels that nobody knows of: those that came and
                went while an engine was away. Its position is that of :meth:`Backend.listen`.
            reason: ``EPOCH`` or ``HISTORY``.
            missed: how many, None where that is not known.
            position: what follows goes on behind it.
        """
        ...

    def health(self, is_healthy: bool, why: str) -> None:
        """The link to the engine was lost, or is back.

        Args:
            is_healthy: whether everything works. It does when a backend has started.
            why: for people, "" when all is well.
        """
        ...


class Backend(Protocol):
    """This process's link to an engine.

    Attributes:
        is_dense: whether a channel's offsets grow by exactly one.
    """

    is_dense: bool

    async def start(self, receiver: Receiver) -> None:
        """Connect. Called once, before anything else.

        Raises:
            ChannelError: the engine cannot be reached, or cannot be used.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; it may be called twice, and after a start that failed."""
        ...

    async def publish(self, channel: str, payload: bytes, *, idempotency_key: str | None = None) -> Position:
        """Append a record to a channel.

        Records that one task publishes to one channel, one after the other, are in that order. It may be cancelled; the
        record may have been published then.

        Args:
            channel: its name.
            payload: the envelope.
            idempotency_key: a second record of the same channel with the same key is not published, as long as the
                engine remembers the first (at least as long as its history has it).

        Returns:
            Its position; that of the first record with the same key.

        Raises:
            PublishError: it was not published, or nobody knows. With ``on_outage="wait"`` not for a lost link.
        """
        ...

    async def listen(self, pattern: str) -> Mapping[str, Position]:
        """From now on, the receiver is given every record of the channels that the pattern stands for.

        Calling it again with the same pattern only asks for positions. Records may be given before it returns.

        Returns:
            Where each channel is at that moment: records behind that will be given. Of a name, its position is always
            there, whether or not anything was ever published. Of a pattern, every channel that has ever had a record
            and is not forgotten; and the pattern itself, with the engine's epoch and offset 0.

        Raises:
            ChannelError: the engine does not answer in time. Nothing is listened to then.
        """
        ...

    async def stop_listening(self, pattern: str) -> None:
        """Undo :meth:`listen`. Records of channels that no other pattern stands for are not given any more."""
        ...

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        """Read what was published.

        Args:
            channel: its name.
            after: the oldest ``limit`` records behind that; None for the newest ``limit`` records.
            limit: at least 1.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        ...

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take leases, or renew them: they end ``ttl`` seconds from now.

        With the first lease of a member its ``joined`` notice is published on the :func:`presence_channel`, with the
        end of the last one ``left``, each exactly once, whichever node was there to see it; in one step with the change
        itself. A lease that has ended and is held again is a new one. Its data may have changed; that is no notice.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        ...

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease ``linger`` seconds from now at the latest; at once for 0.0. It need not exist.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        ...

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present on a channel: the data of one of the leases of each member.

        Raises:
            ChannelError: the engine does not answer in time.
        """
        ...
