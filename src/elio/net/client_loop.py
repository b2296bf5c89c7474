"""What all clients of one event loop share: the reactor, the coarse timer, the surroundings made of them.

It comes with the first client connection of a loop. The reactor goes with the last one, or with the loop: a program
that ends without closing its connections leaves nothing open. Clients of other threads have their own.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from ..limits import Limits
from .accept import open_reactor
from .runtime import Runtime
from .stream import Receiver, Stream
from .timer import CoarseTimer

if TYPE_CHECKING:
    from .epoll.reactor import Reactor

__all__ = ["ClientLoop"]

_MAX_RUNTIMES: Final = 64
"""Different sets of bounds that are remembered; more than a program has."""


class _Here(threading.local):
    """A thread has one running loop at a time."""

    current: ClientLoop | None = None


_here = _Here()


class ClientLoop:
    """The surroundings of the clients of one loop; :meth:`current` gives those of the running one."""

    __slots__ = ("_end", "_reactor", "_runtimes", "_timer", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._timer = CoarseTimer(loop)
        self._runtimes: dict[Limits, Runtime] = {}
        self._reactor: Reactor | None = None
        self._end: AsyncGenerator[None, None] | None = None

    @classmethod
    def current(cls) -> ClientLoop:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        current = _here.current
        if current is None or current.loop is not loop:
            current = _here.current = cls(loop)
        return current

    def runtime(self, limits: Limits) -> Runtime:
        """The surroundings of a connection with these bounds; connections with equal ones share them."""
        found = self._runtimes.get(limits)
        if found is None:
            if len(self._runtimes) >= _MAX_RUNTIMES:
                self._runtimes.clear()
            found = self._runtimes[limits] = Runtime(self.loop, limits, timer=self._timer)
        return found

    def adopt(self, sock: socket.socket, receiver: Receiver) -> Stream | None:
        """A stream of the reactor over a connected socket, which is the stream's from now on.

        Returns:
            None where there is no reactor.

        Raises:
            OSError: the system has no room for another socket; it is still the caller's.
        """
        if self._reactor is None:
            self._reactor = open_reactor(self.loop)
            if self._reactor is None:
                return None
            self._reactor.on_empty = self._close_if_empty
            self._watch_end()
        try:
            return self._reactor.adopt(sock, receiver)
        except OSError:
            self._close_if_empty()
            raise

    def _watch_end(self) -> None:
        """Be told when the loop is shut down: it ends its asynchronous generators then."""
        self._end = self._last_generator()
        try:
            self._end.__anext__().send(None)
        except StopIteration:
            return

    async def _last_generator(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._reactor is not None:
                self._close_reactor()
                await asyncio.sleep(0)  # those who used it are told

    def _close_if_empty(self) -> None:
        if self._reactor is None or self._reactor.watched:
            return
        self._close_reactor()
        end, self._end = self._end, None
        if end is not None:
            try:
                end.aclose().send(None)
            except StopIteration:
                return

    def _close_reactor(self) -> None:
        reactor, self._reactor = self._reactor, None
        if reactor is not None:
            reactor.on_empty = None
            reactor.close()
