"""Functions of the program that hear of the begin and the end of every WebSocket and event stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from ...causes import Cause
from ...request import Request

__all__ = ["EndObserver", "Observers", "StartObserver"]

logger = logging.getLogger("elio.server")

StartObserver: TypeAlias = Callable[[Request, str], object]
"""Called with the request and ``"websocket"`` or ``"sse"`` when the connection is open."""

EndObserver: TypeAlias = Callable[[Request, str, Cause, float], object]
"""Called with the request, the protocol, the cause of the end, and for how many seconds it was open."""


class Observers:
    """Calls them, in the order in which they were registered. What one raises is logged, and the others are called.

    Attributes:
        start: called at the begin.
        end: called at the end.
    """

    __slots__ = ("end", "start")

    def __init__(self) -> None:
        self.start: list[StartObserver] = []
        self.end: list[EndObserver] = []

    def started(self, request: Request, protocol: str) -> None:
        """A WebSocket or an event stream has been opened."""
        for observer in self.start:
            try:
                observer(request, protocol)
            except Exception as error:
                logger.error("a function of on_connection_start failed", exc_info=error)

    def ended(self, request: Request, protocol: str, cause: Cause, seconds: float) -> None:
        """It has ended."""
        for observer in self.end:
            try:
                observer(request, protocol, cause, seconds)
            except Exception as error:
                logger.error("a function of on_connection_end failed", exc_info=error)
