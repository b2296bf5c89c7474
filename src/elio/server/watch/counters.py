"""What a server has seen since it was made, as plain numbers: the ground of metrics.

Connections count here, never messages.
"""

from __future__ import annotations

from ...causes import Cause

__all__ = ["Counters"]


class Counters:
    """Counts of one server, for the time of its life. They only grow; read them, and leave them as they are.

    Attributes:
        accepted: connections that were taken in; over TLS, whose handshake was complete.
        rejected: connections that were turned away before anything was read, for a bound on connections; behind a
            trusted proxy, requests.
        handshakes: opening handshakes of WebSockets by result: the status of the answer (``"101"``, ``"403"``, ...), or
            ``"abandoned"`` for a client that left before.
        event_streams: event streams that have begun.
        ends: ends by protocol (``"websocket"``, ``"sse"``, ``"http"``) and :attr:`elio.Cause.word`. A connection that
            becomes a WebSocket ends as one; an event stream ends, and then the HTTP connection below it does. ``"tls"``
            are those whose handshake was never complete.
        limits: bounds that were hit, by name, most of them of :class:`elio.Limits`.
    """

    __slots__ = ("accepted", "ends", "event_streams", "handshakes", "limits", "rejected")

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.event_streams = 0
        self.handshakes: dict[str, int] = {}
        self.ends: dict[tuple[str, str], int] = {}
        self.limits: dict[str, int] = {}

    def __repr__(self) -> str:
        ends = {f"{protocol} {word}": count for (protocol, word), count in self.ends.items()}
        return f"<Counters accepted={self.accepted} rejected={self.rejected} ends={ends} limits={self.limits}>"

    def count_end(self, protocol: str, cause: Cause) -> None:
        """A WebSocket, an event stream or an HTTP connection has ended."""
        key = (protocol, cause.word)
        self.ends[key] = self.ends.get(key, 0) + 1

    def count_limit(self, name: str) -> None:
        """A peer has run into a bound."""
        self.limits[name] = self.limits.get(name, 0) + 1

    def count_handshake(self, result: str) -> None:
        """An opening handshake of a WebSocket is over."""
        self.handshakes[result] = self.handshakes.get(result, 0) + 1
