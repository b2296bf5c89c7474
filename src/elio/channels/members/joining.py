"""Which channels each connection has joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ChannelError
from ...event_stream import EventStream
from ..backend import Lease
from ..backlog import Policy
from ..delivery.hub import Hub
from .audience import Connection, Encode
from .formats import as_event, as_json
from .member import Member
from .presence import Presence

__all__ = ["Hold", "Joined", "Wishes", "join", "leave"]


class Joined:
    """The channels of one WebSocket (an :class:`elio.net.outlet.Watcher`)."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}

    def paused(self) -> None:
        """The peer takes too little."""
        for member in tuple(self.members.values()):
            member.paused()

    def resumed(self) -> None:
        """The peer has room again."""
        for member in tuple(self.members.values()):
            member.resumed()

    def lost(self) -> None:
        """The connection has ended."""
        for member in tuple(self.members.values()):
            member.lost()


@dataclass(slots=True)
class Hold:
    """A connection's presence on a channel: where, who, and what there is to say."""

    presence: Presence
    channel: str
    member: str
    data: Mapping[str, Any]
    lease: Lease | None = None

    async def begin(self) -> None:
        """Be present."""
        self.lease = await self.presence.hold(self.channel, self.member, self.data)

    def end(self, *, is_lost: bool) -> None:
        """Be present no more; for a connection that was lost, in a little while."""
        if self.lease is not None:
            self.presence.release(self.lease, at_once=not is_lost)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a connection joins: see :meth:`elio.Channels.join`."""

    since: str | None
    backlog: int
    policy: Policy
    encode: Encode | None
    hold: Hold | None


async def join(hub: Hub, connection: Connection, pattern: str, wishes: Wishes) -> str:
    """Send a connection what is published, from now on.

    Returns:
        A cursor of where it begins.

    Raises:
        ChannelError: it has joined this channel already, or the engine does not answer.
        ConnectionClosed: it has ended.
        StreamClosed: it has ended.
    """
    if isinstance(connection, EventStream):
        member = connection.watcher = Member(hub, connection, wishes.encode or as_event, wishes.policy)
        cursor = await _begin(member, pattern, wishes)
        connection.begin()  # not before: who sees the head counts on what is published from then on
        return cursor
    if connection.is_opening:
        await connection.accept()
    if not connection.is_open:
        raise connection.end or ChannelError("the connection has ended")
    joined = _joined(connection)
    if pattern in joined.members:
        raise ChannelError(f"this connection has joined channel {pattern!r} already")

    def left(is_lost: bool) -> None:
        joined.members.pop(pattern, None)
        if wishes.hold is not None:
            wishes.hold.end(is_lost=is_lost)

    member = joined.members[pattern] = Member(hub, connection, wishes.encode or as_json, wishes.policy, left)
    return await _begin(member, pattern, wishes)


async def _begin(member: Member, pattern: str, wishes: Wishes) -> str:
    try:
        cursor = await member.join(pattern, wishes.since, wishes.backlog)
        if wishes.hold is not None:
            await wishes.hold.begin()
    except BaseException:
        member.leave()
        raise
    if member.is_over and wishes.hold is not None:  # it has ended meanwhile
        wishes.hold.end(is_lost=True)
    return cursor


def leave(connection: Connection, pattern: str) -> None:
    """Undo :func:`join`; nothing happens if it has not joined."""
    watcher = connection.watcher
    if isinstance(watcher, Joined):
        member = watcher.members.get(pattern)
        if member is not None:
            member.leave()


def _joined(connection: Connection) -> Joined:
    watcher = connection.watcher
    if not isinstance(watcher, Joined):
        watcher = connection.watcher = Joined()
    return watcher
