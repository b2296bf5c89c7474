"""Workers on one port, and the process that looks after them: it starts them, starts another one where one has ended,
replaces them one by one on SIGHUP, and ends them on SIGTERM or SIGINT.

The supervisor holds the listening sockets and accepts nothing. So a connection that comes while a worker is replaced,
or after it was killed, waits in the queue of its socket for the next one, instead of being refused or lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from ...errors import ConfigurationError
from .leash import Child

__all__ = ["Companion", "Supervisor"]

logger = logging.getLogger("elio.server")

_STABLE: Final = 10.0
"""Seconds after which the end of a worker counts as an accident of its own, and another one is started at once."""

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 5.0
"""Seconds before the next start where worker after worker ends at once: connections of its place wait meanwhile."""

_START: Final = 60.0
"""Seconds that a worker which is to replace another one gets to be ready."""


class Companion(Protocol):
    """Something that runs in the supervisor's event loop beside the workers."""

    async def start(self) -> dict[str, str]:
        """Start, before the first worker. Returns variables for the environment of the workers."""
        ...

    async def close(self) -> None:
        """End, behind the last worker."""
        ...


class _Place:
    """What one worker after the other has: a number, listening sockets, and the failures in a row."""

    def __init__(self, number: int, fds: Sequence[int]) -> None:
        self.number = number
        self.fds = fds
        self.failures = 0
        self.starts = 0
        self.child: Child | None = None
        self.changing = asyncio.Lock()

    def failed(self, child: Child) -> float:
        """A worker has ended by itself. Returns the seconds to wait before the next one is started."""
        self.failures = 0 if child.age >= _STABLE else self.failures + 1
        return 0.0 if self.failures <= 1 else min(_FIRST_DELAY * 2.0 ** (self.failures - 2), _LONGEST_DELAY)


class Supervisor:
    """Looks after some workers until a signal comes.

    Args:
        command: what starts a worker.
        sockets: for each worker the descriptors of its listening sockets.
        patience: seconds that a worker gets to end before it is killed.
        companions: what else runs here.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[Sequence[int]],
        *,
        patience: float,
        companions: Sequence[Companion] = (),
    ) -> None:
        self._command = command
        self._places = [_Place(number, fds) for number, fds in enumerate(sockets, 1)]
        self._patience = patience
        self._companions = companions
        self._environment: dict[str, str] = {}
        self._children: dict[Child, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._replace = asyncio.Event()

    async def run(self, on_start: Callable[[], object]) -> None:
        """Until SIGINT or SIGTERM; a second one ends all processes at once, with 128 + its number.

        It needs asyncio's own event loop: uvloop's keeps SIGCHLD to itself.

        Args:
            on_start: called when the first worker is ready. The others are started behind it.

        Raises:
            ConfigurationError: the first worker has ended before it was ready.
        """
        loop = asyncio.get_running_loop()
        started: list[Companion] = []
        tasks: list[asyncio.Task[None]] = []
        with self._signals(loop):
            try:
                for companion in self._companions:
                    self._environment |= await companion.start()
                    started.append(companion)
                if await self._start_first():
                    on_start()
                    tasks = [loop.create_task(self._keep(place)) for place in self._places]
                    tasks.append(loop.create_task(self._obey()))
                    await self._stop.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._end_all()
                for companion in reversed(started):
                    await companion.close()

    async def _start_first(self) -> bool:
        try:
            first = self._start(self._places[0])
        except OSError as error:
            raise ConfigurationError(f"no worker can be started: {error}") from error
        await self._wait_ready(first)
        if first.is_ready or self._stop.is_set():
            return not self._stop.is_set()
        status = first.ended()
        raise ConfigurationError(f"no worker can start: the first one has ended {_how(status)} before it was ready")

    # -- one worker ----------------------------------------------------------------------------------------------------

    def _start(self, place: _Place) -> Child:
        child = self._spawn(place)
        place.child = child
        return child

    def _spawn(self, place: _Place) -> Child:
        place.starts += 1
        child = Child(self._command, place.fds, number=place.number, environment=self._environment)
        self._children[child] = asyncio.Event()
        asyncio.get_running_loop().add_reader(child.leash, self._heard, child)
        return child

    def _heard(self, child: Child) -> None:
        was_ready = child.is_ready
        if not child.heard_ready():
            asyncio.get_running_loop().remove_reader(child.leash)
        if child.is_ready and not was_ready:
            logger.info("%r is ready", child)
            self._notify()

    def _notify(self) -> None:
        """Let everybody look again at what they wait for."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_ready(self, child: Child) -> None:
        """Wait until it is, or has ended, or all are to end."""
        while not child.is_ready and child in self._children and not self._stop.is_set():
            await self._changed.wait()

    def _reap(self) -> None:
        for child in [child for child in self._children if child.ended() is not None]:
            self._heard(child)
            asyncio.get_running_loop().remove_reader(child.leash)
            child.close()
            self._children.pop(child).set()
        self._notify()

    async def _wait_ended(self, child: Child) -> None:
        ended = self._children.get(child)
        if ended is not None:
            await ended.wait()

    async def _keep(self, place: _Place) -> None:
        """Start another worker wherever one has ended by itself."""
        while True:
            child = place.child
            if child is not None:
                await self._wait_ended(child)
            async with place.changing:
                if place.child is child:
                    await self._start_another(place, child)

    async def _start_another(self, place: _Place, child: Child | None) -> None:
        if child is not None:
            delay = place.failed(child)
            when = f"in {delay:g} seconds" if delay else "now"
            how = _how(child.ended())
            logger.warning("%r has ended %s after %.1f seconds, another one starts %s", child, how, child.age, when)
            await asyncio.sleep(delay)
        while not self._starts(place):  # noqa: ASYNC110
            await asyncio.sleep(_LONGEST_DELAY)

    def _starts(self, place: _Place) -> bool:
        try:
            self._start(place)
        except OSError as error:  # the system has no room for another process at present
            logger.error("worker %d cannot be started: %s", place.number, error)
            return False
        return True

    # -- signals -------------------------------------------------------------------------------------------------------

    async def _obey(self) -> None:
        while True:
            await self._replace.wait()
            self._replace.clear()
            await self._replace_all()

    async def _replace_all(self) -> None:
        logger.info("replacing %d workers, one by one", len(self._places))
        for place in self._places:
            if not await self._replace_one(place):
                return
        logger.info("all workers have been replaced")

    async def _replace_one(self, place: _Place) -> bool:
        async with place.changing:
            try:
                old, new = place.child, self._spawn(place)
            except OSError as error:
                logger.error("worker %d cannot be started: %s: the others stay", place.number, error)
                return False
            try:
                async with asyncio.timeout(_START):
                    await self._wait_ready(new)
            except TimeoutError:
                new.kill()
                await self._wait_ended(new)
            if not new.is_ready or new not in self._children:
                logger.error("%r has ended %s before it was ready: the others stay", new, _how(new.ended()))
                return False
            place.child, place.failures = new, 0
        if old is not None:
            await self._end([old], returning=True)
        return True

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        handlers: dict[int, Callable[[], object]] = {
            signal.SIGCHLD: self._reap,
            signal.SIGHUP: self._replace.set,
            signal.SIGUSR1: self._tell,
            signal.SIGINT: partial(self._signalled, signal.SIGINT),
            signal.SIGTERM: partial(self._signalled, signal.SIGTERM),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _signalled(self, number: int) -> None:
        if self._stop.is_set():
            for child in self._children:
                child.kill()
            os._exit(128 + number)
        logger.info("ending, with %d workers", len(self._children))
        self._stop.set()
        self._notify()

    def _tell(self) -> None:
        logger.info("%s", self.describe())

    def describe(self) -> str:
        """The workers with their age, in one line."""
        return f"{len(self._places)} workers: " + ", ".join(_describe(place) for place in self._places)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _end_all(self) -> None:
        await self._end(list(self._children), returning=False)

    async def _end(self, children: Sequence[Child], *, returning: bool) -> None:
        """End them in order, and kill those that do not."""
        for child in children:
            if child.ended() is None and not child.is_leaving:
                child.end(returning=returning)
        try:
            async with asyncio.timeout(self._patience):
                for child in children:
                    await self._wait_ended(child)
        except TimeoutError:
            for child in children:
                if child.ended() is None:
                    logger.warning("%r did not end within %g seconds and is killed", child, self._patience)
                    child.kill()
            for child in children:
                await self._wait_ended(child)


def _describe(place: _Place) -> str:
    child = place.child
    if child is None or child.ended() is not None:
        return f"{place.number} (to be started)"
    state = f"{child.age:.0f} s" if child.is_ready else "starting"
    again = f", started {place.starts} times" if place.starts > 1 else ""
    return f"{place.number} (pid {child.pid}, {state}{again})"


def _how(status: int | None) -> str:
    """How a process has ended."""
    if status is None or status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"
