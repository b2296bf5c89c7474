"""The Linux fast path below connections: an epoll set of our own inside any asyncio loop.

The loop watches one descriptor, that of the set; each time it is ready, one turn serves every socket that is. So the
cost of the loop is paid for a turn, not for a socket. Not here: TLS, and any logging.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import final

from ..stream import Receiver
from ._epoll_set import EpollSet, Pollable
from ._socket_stream import SocketStream

__all__ = ["Listener", "Reactor", "SocketStream"]

@final
class Reactor(EpollSet):
    """Listening sockets and streams of one loop, served without the loop's own transports.

    In one turn each stream is read at most once (256 KiB) and written at most once (1 MiB of its queue), at most 512
    are served, and a listener accepts at most 64 connections; what is left has its turn next.

    To be used in the thread of its loop; loops in several threads have a reactor each.

    Raises:
        OSError: the system has no descriptor for another epoll set.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    @classmethod
    def is_available(cls) -> bool:
        """Whether it is wanted: the environment does not say ``ELIO_REACTOR=0``. That it was built is known here."""

    @property
    def streams(self) -> list[SocketStream]:
        """The streams that are open."""

    def listen(
        self,
        sock: socket.socket,
        factory: Callable[[], Receiver],
        *,
        backlog: int,
        on_error: Callable[[OSError], object] | None = None,
    ) -> Listener:
        """Accept the connections of a socket that is bound. The socket is the listener's from now on.

        Args:
            sock: of TCP or a Unix socket.
            factory: makes the receiver of each connection, whose ``connection_made`` is called at once.
            backlog: connections that the system holds ready for accepting.
            on_error: called when the system has no descriptor or no memory for a connection, once until another one is
                accepted.

        Raises:
            RuntimeError: the reactor is closed.
        """

    def adopt(self, sock: socket.socket, receiver: Receiver) -> SocketStream:
        """A stream over a socket that is connected. The socket is the stream's from now on.

        ``receiver.connection_made`` has been called when this returns.

        Raises:
            RuntimeError: the reactor is closed.
            OSError: the system has no room for another socket in the set; the socket is still the caller's.
        """

    def cut_silent(self, milliseconds: int, first: int, count: int) -> int:
        """Cut streams to whose peers data was sent again and who have acknowledged nothing for so long.

        Their receivers are told of a ``TimeoutError``.

        Args:
            milliseconds: how long.
            first: where to begin, in the order of descriptors.
            count: how many of them are looked at.

        Returns:
            Where to go on; 0 once all have been looked at.
        """

    def close(self) -> None:
        """Close the listeners and cut the streams; their receivers are told in the next turn of the loop."""

@final
class Listener(Pollable):
    """A listening socket.

    When the system has no descriptor or no memory for a connection, it accepts nothing for a second.

    Attributes:
        accepted: connections so far.
        rests: how often it has stopped accepting for want of a descriptor or memory.
    """

    accepted: int
    rests: int

    def close(self) -> None:
        """Accept no more and close the socket. Connections that were accepted go on."""

    def pause(self) -> None:
        """Leave new connections to the system's backlog."""

    def resume(self) -> None:
        """Accept again."""
