"""What a subscription gives: messages, gaps and snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, final

from .backend import GapReason

__all__ = ["Gap", "Item", "Message", "Snapshot"]


@final
@dataclass(frozen=True, slots=True)
class Message:
    """One message of a channel.

    Attributes:
        channel: where it was published.
        data: text or bytes, as they were published.
        type: "" if it has none.
        key: what it is about, None if it does not say; of two with the same key the later one replaces the earlier.
        id: a cursor behind this message, in all channels of the subscription: ``subscribe(since=id)`` goes on there.
        epoch: of the engine, and
        offset: its place in the channel. They are the same for all subscribers.
        time: when it was published, in seconds since 1970 by the publisher's clock; 0.0 if it does not say.
    """

    channel: str
    data: str | bytes
    type: str = ""
    key: str | None = None
    id: str = ""
    epoch: str = ""
    offset: int = 0
    time: float = 0.0


@dataclass(slots=True)
class Draft:
    """A message in the making, for who makes many: a frozen dataclass sets each field by a call, which would be a tenth
    of what the delivery of a message costs. Its fields are those of :class:`Message`.
    """

    channel: str
    data: str | bytes
    type: str
    key: str | None
    id: str
    epoch: str
    offset: int
    time: float

    def freeze(self) -> Message:
        """It is the message from now on."""
        self.__class__ = Message  # type: ignore[assignment]
        return self  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages are missing here, or may be.

    Attributes:
        channel: where; a pattern, if it may be channels that nobody knows of.
        reason: why.
        missed: how many; None if that is not known.
        id: a cursor behind the gap, as that of a message.
    """

    channel: str
    reason: GapReason
    missed: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that messages behind it change: the answer of a snapshot hook.

    Attributes:
        state: whatever the hook says.
        since: the cursor that the state was read at: :attr:`Message.id`, or the answer of ``publish``. Without one,
            messages that are in the state already may come behind it.
        id: a cursor of the subscription, as that of a message; hooks leave it out.
    """

    state: Any
    since: str | None = None
    id: str = ""


Item: TypeAlias = Message | Gap | Snapshot
