"""A Unix socket that tells, to whoever connects, what is open in a server: one line of JSON, and the end.

Each process of a server has a socket of its own in one folder, whose name is the number of the process. Whoever may
enter the folder may ask; nobody can change anything here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from ...errors import ConfigurationError

__all__ = ["SUFFIX", "status_socket"]

SUFFIX: Final = ".status"
"""Of the names of the sockets."""


@asynccontextmanager
async def status_socket(folder: str, tell: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
    """Answer as long as this lasts.

    Args:
        folder: where; it is made if there is none, for this user alone.
        tell: what is told.

    Raises:
        ConfigurationError: there can be no socket.
    """
    path = Path(folder) / f"{os.getpid()}{SUFFIX}"
    try:
        _prepare(path.parent)
        server = await asyncio.get_running_loop().create_unix_server(lambda: _Answer(tell), str(path))
        path.chmod(0o600)
    except OSError as error:
        raise ConfigurationError(f"the status cannot be told in {folder}: {error}") from error
    try:
        yield
    finally:
        server.close()
        with suppress(FileNotFoundError):
            path.unlink()


class _Answer(asyncio.Protocol):
    """One connection."""

    def __init__(self, tell: Callable[[], dict[str, Any]]) -> None:
        self._tell = tell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(json.dumps(self._tell(), separators=(",", ":")).encode() + b"\n")
        stream.close()


def _prepare(folder: Path) -> None:
    """Make it, and remove what processes that were killed have left."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            os.kill(int(path.stem), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (ValueError, OSError):
            continue  # not ours
