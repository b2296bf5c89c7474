"""What all connections of one server or client share: the loop, the coarse timer, the current turn, the limits, and
whether the end is near."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypedDict, Unpack

from ..histogram import Histogram
from ..limits import Limits
from .ready import Wakeup
from .timer import CoarseTimer

__all__ = ["Batches", "Departure", "Flushable", "JoinOptions", "Membership", "Runtime", "Traffic"]

_ROUND_TRIPS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FIRST_EVENTS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Batches(Protocol):
    """What serves connections in batches: reads of many, tells them, and sends what they wrote."""

    def at_batch_end(self, callback: Callable[[], object]) -> bool:
        """Call back before what was written is sent. Returns False if no batch is being served."""
        ...


class Flushable(Protocol):
    """Something that holds bytes back until the end of a loop turn."""

    def flush(self) -> None:
        """Write what was held back."""
        ...


class JoinOptions(TypedDict, total=False):
    """How a connection joins a channel: see :meth:`elio.Channels.join`."""

    since: str | None
    backlog: int
    policy: str
    encode: Callable[[Any], Any] | None
    presence: Mapping[str, Any] | None
    member: str | None


class Membership(Protocol):
    """Channels, as far as a connection joins them: :class:`elio.Channels`."""

    async def join(self, connection: Any, channel: str, **options: Unpack[JoinOptions]) -> str:
        """From now on the connection is sent what is published."""
        ...

    async def cursor(self, channel: str) -> str:
        """Where a channel is."""
        ...

    async def leave(self, connection: Any, channel: str) -> None:
        """Undo :meth:`join`."""
        ...


class Departure:
    """Whether a server is going away. All connections look at one object, so none of them has to be told.

    Attributes:
        begun: whether it is.
        window: seconds over which it closes its connections.
    """

    __slots__ = ("_waiters", "begun", "window")

    def __init__(self) -> None:
        self.begun = False
        self.window = 0.0
        self._waiters: dict[Wakeup, None] = {}

    def begin(self) -> None:
        """It is. Whoever waits is woken at the next turn of the loop."""
        self.begun = True
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            waiter.wake_soon()

    def add(self, waiter: Wakeup) -> None:
        """Wake it when this begins."""
        self._waiters[waiter] = None

    def discard(self, waiter: Wakeup) -> None:
        """It waits no more."""
        self._waiters.pop(waiter, None)


class Traffic:
    """What has gone over the connections of one server or client, in all.

    Attributes:
        bytes_received: over every connection; TLS is not counted.
        bytes_sent: handed to streams, likewise.
        messages_received: messages of WebSockets.
        messages_sent: likewise; one that is sent to many counts for each.
        events_sent: events and comments of event streams.
        round_trips: seconds of answered pings.
        first_events: seconds from the start of the handler of an event stream to its first event.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "events_sent",
        "first_events",
        "messages_received",
        "messages_sent",
        "round_trips",
    )

    def __init__(self) -> None:
        self.bytes_received = 0
        self.bytes_sent = 0
        self.messages_received = 0
        self.messages_sent = 0
        self.events_sent = 0
        self.round_trips = Histogram(_ROUND_TRIPS)
        self.first_events = Histogram(_FIRST_EVENTS)


class Runtime:
    """The surroundings of a connection, one object for all of them.

    The turn: what a connection sends first in a turn of the loop goes out at once; what it sends later in the same turn
    is collected and goes out in one write at the turn's end. ``turn`` is the number of the current turn, ``turn_time``
    when the last one began in which anything was sent. Inside a batch of the reactor the turn ends with the batch:
    connections get in one system call what was sent to them.
    """

    __slots__ = (
        "_batches",
        "_held",
        "_scheduled",
        "channels",
        "departure",
        "limits",
        "loop",
        "timer",
        "traffic",
        "turn",
        "turn_time",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        *,
        timer: CoarseTimer | None = None,
        batches: Batches | None = None,
        departure: Departure | None = None,
        traffic: Traffic | None = None,
        channels: Membership | None = None,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.timer = CoarseTimer(loop) if timer is None else timer
        self.departure = Departure() if departure is None else departure
        self.traffic = Traffic() if traffic is None else traffic
        self.channels = channels
        self.turn = 1
        self.turn_time = self.timer.now()
        self._batches = batches
        self._held: list[Flushable] = []
        self._scheduled = False

    def with_limits(self, limits: Limits) -> Runtime:
        """Surroundings with other limits, on the same loop and timer."""
        return Runtime(
            self.loop,
            limits,
            timer=self.timer,
            batches=self._batches,
            departure=self.departure,
            traffic=self.traffic,
            channels=self.channels,
        )

    def begin_turn(self) -> int:
        """The number of the current turn, whose end will be noticed."""
        if not self._scheduled:
            self._scheduled = True
            self.turn_time = self.timer.now()
            if self._batches is None or not self._batches.at_batch_end(self._end_turn):
                self.loop.call_soon(self._end_turn)
        return self.turn

    def flush_later(self, item: Flushable) -> None:
        """Call ``item.flush()`` at the end of the current turn, which :meth:`begin_turn` was called in."""
        self._held.append(item)

    def _end_turn(self) -> None:
        self._scheduled = False
        self.turn += 1
        held = self._held
        if not held:
            return
        self._held = []
        for item in held:
            item.flush()

    def close(self) -> None:
        """Stop the timer. Connections that still exist are not asked any more."""
        self.timer.close()
