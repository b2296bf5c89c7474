"""The engine of channels that comes with a server: a hub in the process that looks after the workers, or in the server
itself. Channels that name no engine find it by the environment variable ``ELIO_CHANNELS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from ...channels.engines.choose import ENVIRONMENT, EngineOptions, engine_url, open_engine
from ...channels.engines.local.hub import LocalHub
from ...errors import ConfigurationError

__all__ = ["OwnHub", "hub_beside", "hub_for", "named_engine"]

logger = logging.getLogger("elio.server")

_SCHEME: Final = "local:"

_PREFIX: Final = "elio-channels-"
_SOCKET: Final = "hub"
_INTERVAL: Final = 0.5
"""Seconds between looks at whether the process that runs a hub has ended."""

_YOUNG: Final = 60.0
"""Seconds for which the folder of another hub is left alone though nobody answers there: it may be about to start."""


class OwnHub:
    """A hub that lives as long as its process (an :class:`elio.server.process.supervisor.Companion`).

    Where another process has the hub of this path, this one stands by, and runs the next hub when that one has ended.

    Args:
        path: of its socket; by default in a new folder that only this user may enter.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._folder: str | None = None
        self._hub: LocalHub | None = None
        self._standing_by: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    async def start(self) -> dict[str, str]:
        """Begin, unless the socket has a hub already: then stand by.

        Returns:
            The variable that tells workers where it is.

        Raises:
            ConfigurationError: the socket cannot be made.
        """
        path = self._path
        if path is None:
            _remove_those_of_the_dead(Path(tempfile.gettempdir()))
            self._folder = tempfile.mkdtemp(prefix=_PREFIX)
            path = os.path.join(self._folder, _SOCKET)
        hub = LocalHub(path)
        try:
            has_begun = await hub.try_start()
        except BaseException:
            self._remove_folder()
            raise
        if has_begun:
            self._hub = hub
            logger.debug("the hub of the channels is at %s", hub.url)
        else:
            logger.info("the hub of the channels at %s is another process's", path)
            self._standing_by = asyncio.get_running_loop().create_task(self._stand_by(hub))
        return {ENVIRONMENT: hub.url}

    async def _stand_by(self, hub: LocalHub) -> None:
        why = ""
        while not await self._is_ending_within(_INTERVAL):
            try:
                if await hub.try_start():
                    break
            except ConfigurationError as error:
                if str(error) != why:
                    why = str(error)
                    logger.warning("%s", why)
        else:
            return
        self._hub = hub
        logger.warning("the hub of the channels at %s is this process's now: the one that had it has ended", self._path)

    async def _is_ending_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return self._ending.is_set()

    async def close(self) -> None:
        """End, and forget everything that was published."""
        standing_by, self._standing_by = self._standing_by, None
        if standing_by is not None:
            self._ending.set()
            await standing_by
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _answers(path: str) -> bool:
    """Whether a process listens on this socket."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(path)
        return True
    return False


def _remove_those_of_the_dead(place: Path) -> None:
    """A process that was killed has left the folder of its hub."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG:
                continue
            if not _answers(str(folder / _SOCKET)):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def named_engine(url: str | None) -> Iterator[None]:
    """Let channels of this program, and of those that it starts, be in this engine where they name none.

    Raises:
        ConfigurationError: there is no such engine.
    """
    if url is None:
        yield
        return
    open_engine(url, EngineOptions())
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = url
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENVIRONMENT]
        else:
            os.environ[ENVIRONMENT] = before


def hub_for(workers: int) -> OwnHub | None:
    """The hub that so many workers need beside them; None if they have an engine elsewhere.

    Raises:
        ConfigurationError: they are told to share what cannot be shared.
    """
    url = engine_url(None)
    if not os.environ.get(ENVIRONMENT):
        return OwnHub()
    if url.startswith(_SCHEME):
        return OwnHub(url.removeprefix(_SCHEME))
    if url.startswith("memory:") and workers > 1:
        raise ConfigurationError(f"channels in {url!r} are not shared by {workers} workers; without it they are")
    return None


@contextlib.asynccontextmanager
async def hub_beside() -> AsyncIterator[None]:
    """Run the hub of a server without workers, if its channels are to be in one."""
    url = engine_url(None)
    if not url.startswith(_SCHEME):
        yield
        return
    hub = OwnHub(url.removeprefix(_SCHEME))
    await hub.start()
    try:
        yield
    finally:
        await hub.close()
