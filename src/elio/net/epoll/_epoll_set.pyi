"""The epoll set of the reactor: its turns, its descriptors, the buffer that all streams in it read into."""

import asyncio
from collections.abc import Callable

__all__ = ["EpollSet"]

class Pollable:
    """Something with a descriptor that an epoll set watches."""

class EpollSet:
    """One epoll set, the base of :class:`elio.net.epoll.reactor.Reactor`."""

    loop: asyncio.AbstractEventLoop
    """The loop that it runs in."""
    watched: int
    """Streams and listeners in it."""
    def at_batch_end(self, callback: Callable[[], object]) -> bool:
        """Call back before what was written in this batch is sent. Returns False if no batch is being served."""

    on_empty: Callable[[], object] | None
    """Called in the next turn of the loop after the last of them has left."""
