"""``--reload``: a parent that holds the listening sockets and starts the server anew when a Python file changes.

The sockets outlive the servers, so a client that comes in between waits instead of being refused. A server that ends by
itself, because of an error in a file for example, is started anew at the next change.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import cache_from_source
from types import FrameType
from typing import Final, TypeAlias

from ..errors import ConfigurationError
from ..limits import Limits
from ..net.listen import addresses, open_sockets
from ..server.process.leash import Child
from ..server.process.workers import longest_end
from .loading import folder_of
from .terminal import say

__all__ = ["Snapshot", "changes", "run_reloading", "snapshot"]

Snapshot: TypeAlias = dict[str, tuple[int, int]]
"""Of each Python file the time of its last change in nanoseconds, and its size in bytes."""

_INTERVAL: Final = 0.3
"""Seconds between two looks at the files."""

_GLANCE: Final = 0.02
"""Seconds between two looks at a server that is to end."""

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


def run_reloading(options: argparse.Namespace) -> int:
    """Serve as the options say, in a child process that is replaced whenever a Python file changes.

    The files are those below the present folder, and below the folder of the module if that is another one.

    Returns:
        The exit status: 0, or 128 + its number after a second signal.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    if os.name != "posix":
        raise ConfigurationError("--reload does not work on this system: it cannot pass sockets on to another process")
    with contextlib.ExitStack() as stack:
        fds = [
            stack.enter_context(sock).fileno()
            for address in addresses(host=options.host, port=options.port, uds=options.uds, fd=options.fd)
            for sock in open_sockets(address, Limits().backlog)
        ]
        if options.uds is not None:
            stack.callback(_remove, options.uds)
        supervisor = _Supervisor(options.command, fds, longest_end(options.drain, options.grace))
        return supervisor.run({".", folder_of(options.target)})


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


class _Supervisor:
    """Starts the child, watches the files, and ends the child when a signal comes."""

    def __init__(self, command: list[str], fds: Sequence[int], patience: float) -> None:
        self._command = command
        self._fds = fds
        self._patience = patience
        self._child: Child | None = None
        self._signals: list[int] = []

    def run(self, folders: Iterable[str]) -> int:
        """Until a signal comes."""
        with _woken_by_signals(self._signalled) as self._alarm:
            seen = _look(folders)
            self._start()
            while not self._signals:
                self._sleep(_INTERVAL)
                self._notice_end()
                now = _look(folders)
                names = changes(seen, now)
                if names and not self._signals:
                    seen = now
                    self._start_anew(names)
            self._end_child(returning=False)
        return 0 if len(self._signals) == 1 else 128 + self._signals[-1]

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _sleep(self, seconds: float) -> None:
        """Until the time is over, or a signal comes."""
        if select.select([self._alarm], [], [], seconds)[0]:
            os.read(self._alarm, 100)

    def _start(self) -> None:
        self._child = Child(self._command, self._fds)

    def _start_anew(self, names: Sequence[str]) -> None:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        say(f"{os.path.normpath(names[0])}{more} changed, starting anew")
        self._end_child(returning=True)
        for name in names:
            _remove(cache_from_source(name))  # it would be taken for this version within the same second
        if not self._signals:
            self._start()

    def _notice_end(self) -> None:
        child = self._child
        if child is not None and child.ended() is not None and not self._signals:
            say(f"the server has ended with status {child.ended()}, waiting for a file to change")
            child.close()
            self._child = None

    def _end_child(self, *, returning: bool) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.end(returning=returning)
        deadline = time.monotonic() + self._patience
        while child.ended() is None:
            if len(self._signals) > 1 or time.monotonic() > deadline:
                child.kill()
            self._sleep(_GLANCE)
        child.close()


@contextlib.contextmanager
def _woken_by_signals(handler: signal._HANDLER) -> Iterator[int]:
    """Call the handler on SIGINT and SIGTERM.

    Yields:
        A descriptor that can be read from when a signal has come.
    """
    alarm, bell = os.pipe()
    for fd in (alarm, bell):
        os.set_blocking(fd, False)
    bell_before = signal.set_wakeup_fd(bell)
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield alarm
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
        signal.set_wakeup_fd(bell_before)
        os.close(alarm)
        os.close(bell)


def _look(folders: Iterable[str]) -> Snapshot:
    return {name: state for folder in folders for name, state in snapshot(folder).items()}


def snapshot(folder: str) -> Snapshot:
    """The state of every Python file below a folder, but for hidden folders, virtual environments and the like."""
    return dict(_walk(folder))


def _walk(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        with contextlib.suppress(OSError):  # it is gone already
            if entry.is_dir(follow_symlinks=False):
                if not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                    yield from _walk(entry.path)
            elif entry.name.endswith(".py"):
                state = entry.stat()
                yield entry.path, (state.st_mtime_ns, state.st_size)


def changes(before: Snapshot, now: Snapshot) -> list[str]:
    """The files that are new, changed or gone."""
    return [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
