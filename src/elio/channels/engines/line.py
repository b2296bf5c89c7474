"""One connection to an engine that is kept: made, and made again with jitter when it was lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import random
from typing import Final, Generic, Protocol, TypeVar

from ...errors import ChannelError, EngineLost

__all__ = ["Connection", "Line", "answer_within"]

_FIRST_DELAY: Final = 0.1
_MAX_DELAY: Final = 1.0
"""Seconds of the longest wait: small beside the 3 seconds within which a loss must be noticed."""


@asynccontextmanager
async def answer_within(timeout: float) -> AsyncIterator[None]:
    """What is awaited inside has so many seconds.

    Raises:
        EngineLost: they are over.
    """
    try:
        async with asyncio.timeout(timeout) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise EngineLost(f"no answer within {timeout:g} seconds", is_unknown=True) from None


class Connection(Protocol):
    """What a line keeps."""

    def abort(self, why: str) -> None:
        """Cut it."""
        ...


C = TypeVar("C", bound=Connection)


class Line(Generic[C]):
    """A connection that is made again whenever it was lost.

    Args:
        name: of the other end, for texts.
        open_connection: makes a connection, ready for use; its argument is to be called when that is lost.
        on_up: awaited with each new connection; what it raises is a failure of that connection.
        on_down: called with the reason when the connection is lost, and for each attempt that failed.
        timeout: seconds for an attempt.

    Attributes:
        connection: None while there is none.
        why: the reason of that.
    """

    def __init__(
        self,
        name: str,
        open_connection: Callable[[Callable[[str], object]], Awaitable[C]],
        *,
        on_up: Callable[[C], Awaitable[None]],
        on_down: Callable[[str], object],
        timeout: float,
    ) -> None:
        self.name = name
        self.connection: C | None = None
        self.why = "not connected yet"
        self._open = open_connection
        self._on_up = on_up
        self._on_down = on_down
        self._timeout = timeout
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Connect, and stay so."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._drop("closed")

    async def ready(self, timeout: float | None) -> C:
        """Wait for a connection.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            EngineLost: there is none in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while self.connection is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise EngineLost(f"no connection to {self.name}: {self.why}") from None
        return self.connection

    async def _run(self) -> None:
        delay = _FIRST_DELAY
        while True:
            lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                await self._connect(lost)
                delay = _FIRST_DELAY
                why = await lost
            except (OSError, ssl.SSLError, ChannelError) as error:
                # That of asyncio.timeout() has no text.
                why = str(error) or f"no answer within {self._timeout:g} seconds"
            self._drop(why)
            self._on_down(f"{self.name}: {why}")
            await asyncio.sleep(delay * (0.5 + random() / 2))
            delay = min(2 * delay, _MAX_DELAY)

    async def _connect(self, lost: asyncio.Future[str]) -> None:
        made: C | None = None
        try:
            async with asyncio.timeout(self._timeout):
                made = await self._open(lambda why: self._lose(why, lost))
                await self._on_up(made)
        except BaseException:
            if made is not None:
                made.abort("it could not be used")
            raise
        self.connection = made
        self._changed.set()

    def _lose(self, why: str, lost: asyncio.Future[str]) -> None:
        # At once: who tries again in this very turn must not find the dead one.
        self._drop(why)
        if not lost.done():
            lost.set_result(why)

    def _drop(self, why: str) -> None:
        self.why = why
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort(why)
