"""Which transports carry the connections of a loop: the reactor's where it runs, the loop's own elsewhere."""

from __future__ import annotations

import asyncio

try:
    from .epoll.reactor import Reactor
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = True

__all__ = ["open_reactor"]


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
