"""``Figures``: all that a server can say of itself in numbers, worked out when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

from ...channels.channels import Channels
from ...histogram import Histogram
from ...net.runtime import Runtime, Traffic
from ...session import WebSocket
from .counters import Counters

__all__ = ["Figures", "Observed"]


class Observed(Protocol):
    """What the connections of a server share, as far as it is looked at."""

    @property
    def runtime(self) -> Runtime:
        """The surroundings of its connections."""
        ...

    @property
    def connections(self) -> Iterable[object]:
        """Its open HTTP connections."""
        ...

    @property
    def websockets(self) -> Iterable[WebSocket]:
        """Its open WebSockets."""
        ...


class Figures:
    """The figures of one server; before its start all of them are zero.

    Attributes:
        counters: what has ended, and what was refused.
    """

    __slots__ = ("_channels", "_observed", "_traffic", "counters")

    def __init__(self, counters: Counters, channels: Channels | None = None) -> None:
        self.counters = counters
        self._channels = channels
        self._observed: Observed | None = None
        self._traffic = Traffic()

    def observe(self, observed: Observed) -> None:
        """The server has started."""
        self._observed = observed
        self._traffic = observed.runtime.traffic

    @property
    def worker(self) -> str:
        """Which of several processes on one port this is, "0" if there is one."""
        return os.environ.get("ELIO_WORKER", "0")

    @property
    def traffic(self) -> Traffic:
        """Bytes, messages, round trips."""
        return self._traffic

    @property
    def lags(self) -> Histogram:
        """Seconds for which the event loop was late, each time that the coarse timer was due."""
        return Histogram(()) if self._observed is None else self._observed.runtime.timer.lags

    def open(self) -> dict[str, int]:
        """Open connections by protocol; one that carries an event stream counts as that."""
        if self._observed is None:
            return {"http": 0, "sse": 0, "websocket": 0}
        ended = sum(count for (protocol, _), count in self.counters.ends.items() if protocol == "sse")
        streams = self.counters.event_streams - ended
        http = sum(1 for _ in self._observed.connections)
        return {"http": http - streams, "sse": streams, "websocket": sum(1 for _ in self._observed.websockets)}

    def drops(self) -> dict[str, int]:
        """Messages of channels that were dropped since somebody took too little, by policy."""
        return {} if self._channels is None else self._channels.drops()

    def queued_messages(self) -> int:
        """Messages that have come and that handlers have not taken yet."""
        return 0 if self._observed is None else sum(ws.queued for ws in self._observed.websockets)

    def queued_bytes(self) -> int:
        """Bytes that wait for peers to take them."""
        if self._observed is None:
            return 0
        connections = [*self._observed.websockets, *self._observed.connections]
        return sum(getattr(connection, "unsent", 0) for connection in connections)
