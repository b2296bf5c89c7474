"""A part of a file as the body of a response.

The file is opened when it is sent, not before: a response that is dropped leaves nothing open. If it is then another
file than the one that the headers of the response speak of, sending fails rather than mixing the two.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeAlias

__all__ = ["CHUNK_SIZE", "FileBody", "Identity", "identity_of"]

CHUNK_SIZE: Final = 128 * 1024
"""Bytes read at once: a thread is asked for each, so fewer would cost more; it is also what one slow download holds."""

Identity: TypeAlias = tuple[int, int, int, int]


def identity_of(stat: os.stat_result) -> Identity:
    """What stays the same while a file does: device, inode, time of change in nanoseconds, size in bytes."""
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size


@dataclass(frozen=True, slots=True)
class FileBody:
    """Bytes of a file. Iterating reads them in a thread, in chunks; a server may use ``sendfile`` instead.

    Attributes:
        path: the file.
        offset: its first byte to send.
        length: how many bytes to send; exactly so many come, or ``OSError`` does.
        identity: what :func:`identity_of` said when the headers were made; ``None``: whatever is there is sent.
    """

    path: str
    offset: int
    length: int
    identity: Identity | None = None

    def open(self) -> BinaryIO:
        """Open the file at the offset. Blocks; the caller closes it.

        Raises:
            OSError: it cannot be opened, or it is not the file any more that it was.
        """
        file = open(self.path, "rb", buffering=0)  # noqa: SIM115
        try:
            if self.identity is not None and identity_of(os.fstat(file.fileno())) != self.identity:
                raise OSError(f"{self.path!r} has changed before it was sent")
            file.seek(self.offset)
        except BaseException:
            file.close()
            raise
        return file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = _Reader(self)
        try:
            while reader.left:
                yield await asyncio.to_thread(reader.read)
        finally:
            reader.close()


class _Reader:
    """Reads in threads and is closed from the loop.

    A cancelled reader leaves its thread behind inside ``read``; closing the descriptor under it could let it read from
    another file that got the same number. So whoever is last closes: the lock tells who that is.
    """

    def __init__(self, body: FileBody) -> None:
        self.left = body.length
        self._body = body
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self) -> bytes:
        with self._lock:
            data = b"" if self._closed else self._read()
        if self._closed:
            self.close()
        return data

    def _read(self) -> bytes:
        if self._file is None:
            self._file = self._body.open()
        data = self._file.read(min(self.left, CHUNK_SIZE))
        if not data:
            raise OSError(f"{self._body.path!r} ended {self.left} bytes early")
        self.left -= len(data)
        return data

    def close(self) -> None:
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._lock.release()
