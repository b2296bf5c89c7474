"""Which transports carry the connections of a loop: the reactor's where it runs, the loop's own elsewhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from .transports.acceptor import Acceptor
from .transports.transport_stream import TransportStream

try:
    from .epoll.reactor import Reactor
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = True

__all__ = ["Listening", "listen", "open_reactor"]

_ACCEPTS: Final = 1
"""Connections that a loop without watches accepts in a turn: while the system has no descriptor left, it also tries,
fails and logs so many times a second."""


class Listening(Protocol):
    """What accepts connections."""

    def close(self) -> None:
        """Accept no more, and close the socket."""
        ...


def open_reactor(loop: asyncio.AbstractEventLoop) -> Reactor | None:
    """A reactor in the running loop, to be closed by the caller.

    Returns:
        None where there is no reactor: it was not built (it needs Linux), the environment says ``ELIO_REACTOR=0`` or
        ``ELIO_PURE=1``, or the loop cannot watch descriptors.
    """
    if not IS_BUILT or not Reactor.is_available():
        return None
    try:
        return Reactor(loop)
    except NotImplementedError:
        return None


async def listen(
    reactor: Reactor | None,
    sock: socket.socket,
    factory: Callable[[], Any],
    *,
    backlog: int,
    on_error: Callable[[OSError], object],
) -> Listening:
    """Accept from a bound socket, in the running loop.

    Args:
        reactor: that of the loop, if there is one.
        sock: belongs to the result.
        factory: makes the receiver of each stream.
        backlog: connections that the system holds ready for accepting.
        on_error: told once when the system has no descriptor left, until it has again. Connections wait meanwhile.
    """
    if reactor is not None:
        return reactor.listen(sock, factory, backlog=backlog, on_error=on_error)
    loop = asyncio.get_running_loop()
    try:
        return Acceptor(loop, sock, factory, backlog=backlog, on_error=on_error)
    except NotImplementedError:  # the usual loop of Windows
        server = await loop.create_server(
            lambda: cast(asyncio.BaseProtocol, TransportStream(factory())), sock=sock, backlog=_ACCEPTS
        )
        sock.listen(backlog)
        return server
