"""Connections that get the same bytes: one feed, one way to encode.

As long as a connection takes what it is sent, it stands in its audience and nowhere else: no task, no queue. One that
takes too little becomes a subscriber with a queue of its own (:mod:`.member`), and comes back here when it has caught
up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from ...event_stream import EventStream
from ...fan_out import broadcast
from ...session import WebSocket
from ..delivery.feed import Feed
from ..message import Gap, Message

__all__ = ["Audience", "Connection", "Encode", "audience_of", "encoded"]

logger = logging.getLogger("elio.channels")

Connection: TypeAlias = WebSocket | EventStream
Encode: TypeAlias = Callable[[Message | Gap], Any]
"""Makes what a connection is sent: text, bytes, or an event for event streams; None is not sent."""


class Audience:
    """The connections (a :class:`elio.channels.delivery.feed.Live`).

    Args:
        feed: what they are sent.
        encode: how.

    Attributes:
        feed: the same.
        encode: the same.
    """

    __slots__ = ("_joined", "_targets", "encode", "feed")

    def __init__(self, feed: Feed, encode: Encode) -> None:
        self.feed = feed
        self.encode = encode
        self._joined: dict[Connection, Callable[[], object]] = {}
        self._targets: Any = None  # the same as a tuple, from the first message after a change on

    def __len__(self) -> int:
        return len(self._joined)

    @property
    def waiting(self) -> int:
        """Messages that wait: none, who takes too little is not here."""
        return 0

    @property
    def size(self) -> int:
        """Bytes of them."""
        return 0

    def add(self, connection: Connection, on_end: Callable[[], object]) -> None:
        """It has everything up to where the feed is; from now on it is sent what comes.

        Args:
            connection: open.
            on_end: called when nothing more comes.
        """
        self._joined[connection] = on_end
        self._targets = None
        self.feed.admit(self)

    def remove(self, connection: Connection) -> None:
        """It is sent nothing more. This may happen while something is sent."""
        self._joined.pop(connection, None)
        self._targets = None
        if not self._joined:
            self.feed.dismiss(self)
            self.feed.groups.pop(self.encode, None)

    def deliver(self, message: Message) -> None:
        """Send a message to all."""
        self._send(encoded(self.encode, message))

    def deliver_gap(self, gap: Gap) -> None:
        """Tell all of a gap."""
        self._send(encoded(self.encode, gap))

    def end(self) -> None:
        """Nothing more comes."""
        for on_end in tuple(self._joined.values()):
            on_end()

    def _send(self, payload: Any) -> None:
        if payload is None:
            return
        if self._targets is None:
            self._targets = tuple(self._joined)
        try:
            broadcast(self._targets, payload)
        except Exception:
            logger.exception("what %r has made cannot be sent", self.encode)


def audience_of(feed: Feed, encode: Encode) -> Audience:
    """The audience of a feed for this way to encode."""
    found = feed.groups.get(encode)
    if isinstance(found, Audience):
        return found
    audience = Audience(feed, encode)
    feed.groups[encode] = audience
    return audience


def encoded(encode: Encode, item: Message | Gap) -> Any:
    """What is to be sent; None, and a log entry, if that cannot be made."""
    try:
        return encode(item)
    except Exception:
        logger.exception("%r has failed for a message of channel %s", encode, item.channel)
        return None
