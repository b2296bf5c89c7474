"""Standard input and output as a filter has them, without ever blocking the event loop.

Whatever may block happens in a thread, since standard input may be a file, a pipe or a terminal that other programs
share. The threads end with the process, also in the middle of a read.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from ...errors import ConfigurationError

__all__ = ["Input", "Output"]

_T = TypeVar("_T")

_PIECE: Final = 64 * 1024
_AT_ONCE: Final = getattr(select, "PIPE_BUF", 0)
"""Bytes that never block a pipe which can be written to (POSIX); 0 where nobody promises that."""


class _Worker:
    """A thread that does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], _T]) -> _T:
        """Call the function in the thread and wait for what comes of it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put((function, future))
        return await future

    def _work(self) -> None:
        while True:
            function, future = self._jobs.get()
            result: Any = None
            failure: OSError | None = None
            try:
                result = function()
            except OSError as error:
                failure = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_settle, future, result, failure)


def _settle(future: asyncio.Future[Any], result: Any, failure: OSError | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


class Input:
    """Standard input, read as it is wanted and no faster."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        # A descriptor that was closed at the start may be something else by now.
        self._is_closed = fd == 0 and sys.stdin is None
        self._worker = _Worker("input")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes as they come, up to 64 KiB at a time.

        Raises:
            ConfigurationError: it cannot be read.
        """
        while not self._is_closed:
            try:
                data = await self._worker.call(partial(os.read, self._fd, _PIECE))
            except OSError as error:
                raise ConfigurationError(f"the input cannot be read: {error.strerror}") from error
            if not data:
                return
            yield data

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines, without their ends (LF or CRLF); the last one may have none.

        Raises:
            ConfigurationError: it cannot be read.
        """
        parts: list[bytes] = []
        async for piece in self.pieces():
            first, *others = piece.split(b"\n")
            parts.append(first)
            for other in others:
                yield b"".join(parts).removesuffix(b"\r")
                parts = [other]
        if rest := b"".join(parts):
            yield rest


class Output:
    """Standard output.

    Attributes:
        is_terminal: whether a person looks at it.
    """

    def __init__(self, fd: int = 1) -> None:
        if fd == 1 and sys.stdout is None:
            raise ConfigurationError("the output is closed")
        self._fd = fd
        self._worker = _Worker("output")
        self.is_terminal = os.isatty(fd)

    async def write(self, data: bytes) -> None:
        """Write all of it, and wait for a reader that is slow.

        Raises:
            BrokenPipeError: the reader has left.
            ConfigurationError: it cannot be written to, such as a full disk.
        """
        try:
            if len(data) <= _AT_ONCE and self._has_room():
                _write_all(self._fd, data)
            else:
                await self._worker.call(partial(_write_all, self._fd, data))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ConfigurationError(f"the output cannot be written to: {error.strerror}") from error

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
