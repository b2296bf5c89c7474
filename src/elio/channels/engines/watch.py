"""The watch over a link: something is checked every second, and at once when a connection is new."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ...errors import ChannelError
from ..backend import Receiver

__all__ = ["Watch"]

logger = logging.getLogger("elio.channels")

_INTERVAL: Final = 1.0
_TIMEOUT: Final = 1.5
"""Together less than the 3 seconds within which a loss must be noticed."""


class Watch:
    """Calls a check for ever, and tells the receiver whether all is well.

    Args:
        check: compares positions; raises what is wrong.
        receiver: told of health.
        afterwards: called behind each check, for what is overdue.
    """

    def __init__(
        self, check: Callable[[], Awaitable[None]], receiver: Receiver, afterwards: Callable[[], object]
    ) -> None:
        self._check = check
        self._receiver = receiver
        self._afterwards = afterwards
        self._is_due = asyncio.Event()
        self._is_healthy = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def hurry(self) -> None:
        """Check as soon as possible: something may have been missed."""
        self._is_due.set()

    def tell(self, is_healthy: bool, why: str) -> None:
        """The link is well, or is not."""
        if is_healthy != self._is_healthy:
            self._is_healthy = is_healthy
            self._receiver.health(is_healthy, why)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._is_due.wait()
            self._is_due.clear()
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._check()
            except TimeoutError:
                self.tell(False, f"no answer within {_TIMEOUT:g} seconds")
            except ChannelError as error:
                self.tell(False, str(error))
            except Exception as error:
                # A mistake of ours must not end the watch: nothing else finds what a deaf link misses.
                logger.exception("positions of channels cannot be checked")
                self.tell(False, repr(error))
            else:
                self.tell(True, "")
            self._afterwards()
