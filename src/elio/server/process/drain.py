"""The orderly end of a server: who is told when, and what is cut when the time is over.

Every connection gets its turn within a window, so that their peers do not all come back in the same moment. WebSockets
begin their closing handshake then, event streams are completed, idle connections are closed. An HTTP request in
progress is answered. Not here: the listening sockets.
"""

from __future__ import annotations

import asyncio
import logging
import random
from math import inf
from typing import Any, Final

from ... import causes
from ...errors import ConfigurationError
from ...session import WebSocket
from ...websocket.codes import CloseCode
from ..context import Context, Tracked

__all__ = ["LONGEST_USUAL", "Drain", "check_seconds"]

logger = logging.getLogger("elio.server")

_STEP: Final = 0.02
"""Seconds between two looks at who is to be told."""

_NEWCOMERS: Final = 0.2
"""Seconds between two looks for those that have come since: a request in progress may still open a WebSocket."""

_USUAL_PACE: Final = 0.01
LONGEST_USUAL: Final = 10.0
"""Seconds for each connection, and for all, where nobody has said how long the window is to be. What comes back a
hundred times a second is no storm, and the end of a server with few connections is not held up."""


def check_seconds(**values: float | None) -> None:
    """Check durations by their names; None passes.

    Raises:
        ConfigurationError: one is no finite number of seconds, or negative.
    """
    for name, value in values.items():
        if value is not None and not 0 <= value < inf:
            raise ConfigurationError(f"{name} is {value}, it must be a number of seconds, at least 0")


class Drain:
    """The end of all connections of one server.

    Args:
        context: with the connections.
        returning: whether the server comes back at once (close code 1012), or not (1001).
    """

    def __init__(self, context: Context, *, returning: bool) -> None:
        self._context = context
        self._loop = context.runtime.loop
        self._code = CloseCode.SERVICE_RESTART if returning else CloseCode.GOING_AWAY
        self._cause = causes.Drain(returning)
        self._begun = self._loop.time()
        self._window_end = inf
        self._deadline = inf
        self._sooner = asyncio.Event()

    def bound(self, window: float | None, grace: float) -> None:
        """Be over by then. It may be called again; what is over first counts.

        Args:
            window: seconds over which the connections are told; None for as many as their number asks for.
            grace: seconds that they get behind it.
        """
        now = self._loop.time()
        if window is None:
            window = min(_USUAL_PACE * self._context.open, LONGEST_USUAL)
        self._window_end = min(self._window_end, now + window)
        self._deadline = min(self._deadline, now + window + grace)
        self._context.runtime.departure.window = max(self._window_end - now, 0.0)
        self._sooner.set()

    def begin(self) -> None:
        """Let everybody see that the end is near."""
        self._context.closing = True
        self._context.drain = self._cause
        self._context.runtime.departure.begin()

    async def run(self) -> None:
        """Tell everybody, and wait until all have gone or the time is over."""
        gone = self._loop.create_task(self._context.wait_empty())
        telling = self._loop.create_task(self._tell_all())
        try:
            while not gone.done() and self._loop.time() < self._deadline:
                self._sooner.clear()
                sooner = self._loop.create_task(self._sooner.wait())
                try:
                    left = max(self._deadline - self._loop.time(), 0.0)
                    await asyncio.wait({gone, sooner}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    sooner.cancel()
        finally:
            gone.cancel()
            telling.cancel()

    async def _tell_all(self) -> None:
        """One after the other, evenly over what is left of the window: a loop that was late does not catch up."""
        waiting: list[WebSocket | Tracked] = []
        due = 1.0
        while True:
            waiting = waiting or self._untold()
            left = self._window_end - self._loop.time()
            due += len(waiting) if left <= _STEP else len(waiting) * _STEP / left
            while waiting and due >= 1.0:
                self._tell(waiting.pop())
                due -= 1.0
            due = min(due, 1.0)
            await asyncio.sleep(_STEP if waiting else _NEWCOMERS)

    def _untold(self) -> list[WebSocket | Tracked]:
        context = self._context
        found: list[WebSocket | Tracked] = [ws for ws in context.websockets if not ws.is_leaving]
        found += [connection for connection in context.connections if not connection.is_leaving]
        random.shuffle(found)
        return found

    def _tell(self, item: WebSocket | Tracked) -> None:
        if isinstance(item, WebSocket):
            item.explain(self._cause)
            item.close_soon(self._code, self._cause.text)
        elif item in self._context.connections:
            item.shut_down()

    def cut(self) -> list[asyncio.Task[Any]]:
        """Close what is still open, and cancel its handlers.

        Returns:
            The tasks of WebSockets, which may have something to clean up.
        """
        context = self._context
        if context.open:
            seconds = self._loop.time() - self._begun
            logger.warning("connections still open after %.1f seconds, which are cut: %d", seconds, context.open)
        tasks = list(context.websockets.values())
        for ws, task in list(context.websockets.items()):
            ws.explain(self._cause)
            ws.abort()
            task.cancel(self._cause.word)
        for connection in list(context.connections):
            connection.abort()
        return tasks
