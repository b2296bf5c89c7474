"""An accepted connection whose proxy has yet to say who its client is: the PROXY protocol in front of TLS and HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ...errors import RemoteProtocolError
from ...net.stream import Stream, peer_name
from ...proxy_protocol import ProxyParser
from ..context import Context
from .proxies import TrustedProxies

__all__ = ["Introduction"]

logger = logging.getLogger("elio.server")


class Introduction:
    """The receiver of one accepted stream until its header is complete; then it hands the stream over.

    A peer that is not trusted, one that sends anything else, and one that takes longer than ``headers_timeout`` are cut
    off: what they say cannot be told apart from a header that somebody made up.

    Args:
        context: of the server.
        trusted: whose headers are believed.
        make: makes the receiver of what follows, of the client's name.
    """

    __slots__ = ("_bucket", "_context", "_make", "_parser", "_stream", "_trusted")

    def __init__(self, context: Context, trusted: TrustedProxies, make: Callable[[str], Any]) -> None:
        self._context = context
        self._trusted = trusted
        self._make = make
        self._parser = ProxyParser()
        self._bucket = -1
        self._stream: Stream | None = None

    def connection_made(self, transport: Stream) -> None:
        """The stream is open."""
        self._stream = transport
        if not self._trusted.trusts(peer_name(transport)):
            self._refuse("it is not one of the trusted proxies")
            return
        self._context.connections[self] = None
        timer = self._context.runtime.timer
        timeout = self._context.runtime.limits.headers_timeout
        self._bucket = timer.schedule(self, timer.now() + timeout) if timeout is not None else -1

    def data_received(self, data: bytes) -> None:
        """Bytes of the proxy."""
        for event in self._parser.receive_data(data):
            if isinstance(event, RemoteProtocolError):
                self._refuse(str(event))
            elif self._stream is not None:
                self._hand_over(self._stream, event.source)

    def eof_received(self) -> bool:
        """The proxy sends nothing more; health checks do that before they have said anything."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is closed."""
        self._leave()

    def pause_writing(self) -> None:
        """Nothing is written here."""

    def resume_writing(self) -> None:
        """Nothing is written here."""

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        self._refuse("no complete PROXY header came in time")

    @property
    def is_leaving(self) -> bool:
        """Whether it has been told to end."""
        return self._stream is None or self._stream.is_closing()

    def shut_down(self) -> None:
        """Close: no request has come yet."""
        self.abort()

    def abort(self) -> None:
        """Close now."""
        if self._stream is not None:
            self._stream.abort()

    def _hand_over(self, stream: Stream, client: str) -> None:
        self._leave()
        receiver = self._make(client or peer_name(stream))
        stream.set_protocol(receiver)
        receiver.connection_made(stream)
        if self._parser.rest and not stream.is_closing():
            receiver.data_received(self._parser.rest)

    def _refuse(self, why: str) -> None:
        if self._stream is not None:
            logger.info("a connection of %s was refused: %s", peer_name(self._stream) or "a Unix socket", ascii(why))
            self._leave()
            self._stream.abort()

    def _leave(self) -> None:
        self._context.runtime.timer.forget(self, self._bucket)
        self._context.forget(self)
