"""Notices peers that have vanished without a word: their systems acknowledge nothing any more.

The system probes them (:func:`elio.net.listen.probe_silent_peers`) and gives up by itself where nothing is on its way
and this machine's own network is well; this looks at the others. The system's ``TCP_USER_TIMEOUT`` would also cut off
slow readers, who are there and say so; for those is ``send_timeout``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ...causes import PeerGone
from ...net.listen import probe_silent_peers
from ..context import Context

if sys.platform == "linux":
    import fcntl
    import termios

if TYPE_CHECKING:
    from ...net.epoll.reactor import Reactor

__all__ = ["SilenceWatch", "is_silent"]

_LOOKS: Final = 4
"""Looks at every connection within the time."""

_AT_ONCE: Final = 1_000
"""Connections that are looked at in one turn of the loop: about a millisecond."""

_ESTABLISHED: Final = 1

_TCP_INFO: Final = struct.Struct("=8B13I")


def is_silent(transport: Any, milliseconds: int) -> bool:
    """Whether this peer has acknowledged nothing for so long, though it was probed. Linux knows that.

    A slow reader that has closed its window is not probed: bytes wait for it then, and none is on its way. Nor is a
    connection that came before the server switched that on for its listening socket, which waits for it to start: from
    now on it is.
    """
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    known = socket.socket(fileno=sock.fileno())  # uvloop's own object has no options
    try:
        info = _TCP_INFO.unpack(known.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
        waiting = int.from_bytes(fcntl.ioctl(known.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        state, unacknowledged, last_acknowledged = info[0], info[12], info[20]
        if state != _ESTABLISHED or last_acknowledged < milliseconds or (unacknowledged == 0 and waiting > 0):
            return False
        if not known.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            probe_silent_peers(known, milliseconds * 3 / 2000)
            return False
        return True
    except OSError:
        return False
    finally:
        known.detach()


class SilenceWatch:
    """Looks at the connections of one server, some at a time.

    Args:
        context: with the connections.
        reactor: what carries them, or None for the transports of the loop.
        timeout: seconds within which a peer that vanished is to be noticed.
    """

    def __init__(self, context: Context, reactor: Reactor | None, timeout: float) -> None:
        self._context = context
        self._reactor = reactor
        self._period = timeout / _LOOKS
        self._silence = round(timeout * 2 / 3 * 1000)
        self._handle: asyncio.TimerHandle | None = None
        self._position = 0
        self._rest: Iterator[Any] = iter(())

    def start(self) -> None:
        """Begin."""
        self._handle = self._context.runtime.loop.call_later(self._period, self._look)

    def stop(self) -> None:
        """End."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        if self._reactor is not None:
            self._position = self._reactor.cut_silent(self._silence, self._position, _AT_ONCE)
        else:
            self._look_at_transports()
        steps = 1 + self._context.open // _AT_ONCE
        self._handle = self._context.runtime.loop.call_later(self._period / steps, self._look)

    def _look_at_transports(self) -> None:
        some = list(islice(self._rest, _AT_ONCE))
        if not some:
            self._rest = iter([*self._context.connections, *self._context.websockets])
            some = list(islice(self._rest, _AT_ONCE))
        for connection in some:
            if not connection.is_lost and is_silent(connection.stream, self._silence):
                connection.explain(PeerGone(os.strerror(errno.ETIMEDOUT)))
                connection.stream.abort()
