"""Accepting connections in the event loop, for the server where the reactor does not run.

Event loops accept by themselves, too, but differ in what they do when the system has no descriptor left: asyncio's
tells its exception handler every second, uvloop's accepts what waits and closes it. Here connections wait in the system
until there is room, as with the reactor.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from ..listen import is_network
from .transport_stream import TransportStream

__all__ = ["Acceptor"]

logger = logging.getLogger("elio.server")

_ACCEPTS: Final = 64
"""Connections that are accepted in a turn of the loop, before others have theirs."""

_REST: Final = 1.0
"""Seconds without accepting after the system has refused; the descriptors of others may be free by then."""

_LOST: Final = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "EPROTO",
        "ENETDOWN",
        "ENOPROTOOPT",
        "EHOSTDOWN",
        "ENONET",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EPERM",
    )
    if hasattr(errno, name)
)
"""``accept`` failed for a connection that is gone already (accept(2)): the next one may be well."""


class Acceptor:
    """Accepts from one listening socket, which is its own from now on.

    Args:
        loop: the running loop.
        sock: bound.
        factory: makes the receiver of each stream.
        backlog: connections that the system holds ready for accepting.
        on_error: told once when the system refuses to accept, until it accepts again.
        wrap: makes of a receiver the protocol that the loop knows; ``abort()`` cuts its connection.

    Attributes:
        accepted: connections, so far.
        rests: how often the system has refused.

    Raises:
        NotImplementedError: the loop cannot watch descriptors.
    """

    __slots__ = (
        "_exhausted",
        "_factory",
        "_loop",
        "_on_error",
        "_opening",
        "_sock",
        "_timer",
        "_wrap",
        "accepted",
        "rests",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        factory: Callable[[], Any],
        *,
        backlog: int,
        on_error: Callable[[OSError], object] | None = None,
        wrap: Callable[[Any], Any] = TransportStream,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._factory = factory
        self._on_error = on_error
        self._wrap = wrap
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._exhausted = False
        self.accepted = 0
        self.rests = 0
        sock.setblocking(False)
        sock.listen(backlog)
        loop.add_reader(sock, self._accept)

    def __repr__(self) -> str:
        state = "closed" if self._sock.fileno() < 0 else "resting" if self._timer is not None else "open"
        return f"<Acceptor {state} accepted={self.accepted} rests={self.rests}>"

    def close(self) -> None:
        """Accept no more, and close the socket. What was accepted becomes a stream."""
        if self._sock.fileno() < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._sock)
        self._sock.close()

    async def opened(self) -> None:
        """Wait until all that was accepted is connected to its protocol."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            if self._sock.fileno() < 0:
                return
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _LOST:
                    continue
                self._rest(error)
                return
            self.accepted += 1
            self._exhausted = False
            self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        try:
            protocol = self._wrap(self._factory())
        except Exception as error:
            sock.close()
            what = "Error on accepting a connection: the factory failed."
            self._loop.call_exception_handler({"message": what, "exception": error})
            return
        task = self._loop.create_task(self._open(protocol, sock))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, protocol: Any, sock: socket.socket) -> None:
        try:
            if is_network(sock):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # not all loops see to it
            await self._loop.connect_accepted_socket(lambda: cast(asyncio.BaseProtocol, protocol), sock)
        except OSError as error:  # the connection is gone, or the system has no room for it
            logger.debug("an accepted connection was lost: %s", error)
            _discard(protocol, sock)
        except BaseException:
            _discard(protocol, sock)
            raise

    def _rest(self, error: OSError) -> None:
        """Accept nothing for a while; whoever is interested is told once, until a connection is accepted again."""
        told, self._exhausted = self._exhausted, True
        self.rests += 1
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(_REST, self._end_rest)
        if self._on_error is not None and not told:
            self._on_error(error)

    def _end_rest(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock, self._accept)


def _discard(protocol: Any, sock: socket.socket) -> None:
    protocol.abort()
    sock.close()
