"""The right to listen on the path of a hub: one process has it, and loses it with its life."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["PathLock"]


class PathLock:
    """A lock file beside a socket. The kernel lets go of it when its process ends, however that comes.

    Args:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take it. Returns False if somebody has it.

        Raises:
            OSError: the file cannot be made or locked.
        """
        if sys.platform == "win32":
            raise OSError("this system has no hub")
        while True:
            # No child inherits it: who is started must not outlive the hub with its lock.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(descriptor):
                    self._descriptor, descriptor = descriptor, -1
                    return True
            except BlockingIOError:
                return False
            finally:
                if descriptor >= 0:  # somebody has it, or whoever had it has removed it meanwhile
                    os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        return False

    def release(self) -> None:
        """Give it back, and remove the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
            os.close(descriptor)
