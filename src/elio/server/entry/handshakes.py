"""TLS handshakes of a server: they count as connections, and how they fail is counted."""

from __future__ import annotations

from typing import Any

from ...causes import Cause
from ...net.stream import Stream, peer_name
from ...net.tls_stream import Gate
from ..context import Context

__all__ = ["Handshakes"]


class Handshakes(Gate):
    """Lets in what the server has room for. Whoever is turned away gets no answer: that would need the handshake.

    Args:
        context: of the server.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def begin(self, stream: Stream, receiver: Any) -> bool:
        """A handshake could begin."""
        client = _client(stream, receiver)
        self._context.handshaking += 1
        cause = self._context.enter(client)
        if cause is not None:
            self._over(client)
            self._context.ended("tls", cause, 0.0, client)
        return cause is None

    def complete(self, stream: Stream, receiver: Any) -> None:
        """It is complete: what it carries counts by itself from now on."""
        self._over(_client(stream, receiver))

    def failed(self, stream: Stream, receiver: Any, cause: Cause, seconds: float) -> None:
        """It will never be complete."""
        client = _client(stream, receiver)
        self._over(client)
        self._context.ended("tls", cause, seconds, client)

    def _over(self, client: str) -> None:
        self._context.handshaking -= 1
        self._context.addresses.leave(client)


def _client(stream: Stream, receiver: Any) -> str:
    """Whom a proxy has named, or else the peer."""
    return receiver.client or peer_name(stream)
