"""The leash between a supervisor and a process that it has started: a socket, whose end tells each that the other is
gone, however it ended.

The process inherits the listening sockets, too. It says once that it is ready. The supervisor speaks by signals:
SIGTERM ends it, SIGHUP as well but another one takes its place, and SIGINT (Ctrl+C) is the supervisor's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Child", "Leash", "Worker"]

_VARIABLE: Final = "ELIO_SUPERVISED"
"""Of the environment: the leash and the listening sockets, as descriptors."""

_NUMBER: Final = "ELIO_WORKER"
_READY: Final = b"ready\n"


@dataclass(frozen=True, slots=True)
class Worker:
    """Which of several processes on one port this is.

    Attributes:
        number: from 1; who takes the place of another has the same.
        started: when it did, in seconds since the epoch.
    """

    number: int
    started: float

    @property
    def age(self) -> float:
        """Seconds since it started."""
        return time.time() - self.started


class Leash:
    """The process's end of it.

    Attributes:
        fds: the listening sockets.
        worker: which worker this process is; None if there is but one process, which is started anew at times.
    """

    def __init__(self, sock: socket.socket, fds: Sequence[int], worker: Worker | None) -> None:
        self._sock = sock
        self.fds = list(fds)
        self.worker = worker

    @classmethod
    def is_here(cls) -> bool:
        """Whether this process is on a leash that nobody has taken yet."""
        return _VARIABLE in os.environ

    @classmethod
    def take(cls) -> Leash | None:
        """The leash of this process if it has one. It is not passed on to processes that this one starts."""
        found = os.environ.pop(_VARIABLE, None)
        if found is None:
            return None
        fd, *fds = (int(each) for each in found.split(","))
        try:
            sock = socket.socket(fileno=fd)
        except OSError:  # the variable has come on to a process of a process
            return None
        for each in (fd, *fds):
            os.set_inheritable(each, False)
        sock.setblocking(False)
        number = os.environ.get(_NUMBER)
        return cls(sock, fds, None if number is None else Worker(int(number), time.time()))

    def ready(self) -> None:
        """Tell the supervisor that connections are accepted."""
        with contextlib.suppress(OSError):
            self._sock.send(_READY)

    def watch(self, loop: asyncio.AbstractEventLoop, on_loss: Callable[[], object]) -> None:
        """Call back once when the supervisor is gone."""

        def readable() -> None:
            loop.remove_reader(self._sock)
            on_loss()

        loop.add_reader(self._sock, readable)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go."""
        loop.remove_reader(self._sock)
        self._sock.close()


class Child:
    """The supervisor's end of it, and the process.

    Args:
        command: what to start.
        fds: the listening sockets.
        number: that of a worker, or None.
        environment: further variables.

    Raises:
        OSError: the system has started none.

    Attributes:
        number: as given.
        leash: readable when there is something for :meth:`heard_ready`.
        is_ready: whether it has said so.
        is_leaving: whether it has been told to end.
    """

    def __init__(
        self,
        command: Sequence[str],
        fds: Sequence[int],
        *,
        number: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.number = number
        self.is_ready = False
        self.is_leaving = False
        self._started = time.monotonic()
        self.leash, theirs = socket.socketpair()
        self.leash.setblocking(False)
        with theirs:
            variables = {**os.environ, **(environment or {})}
            variables[_VARIABLE] = ",".join(map(str, [theirs.fileno(), *fds]))
            if number is not None:
                variables[_NUMBER] = str(number)
            # Ctrl+C comes to all processes at once. From its first moment on the child leaves it to this one.
            try:
                self._process = subprocess.Popen(
                    command,
                    env=variables,
                    pass_fds=[theirs.fileno(), *fds],
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
                )
            except BaseException:
                self.leash.close()
                raise

    def __repr__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def heard_ready(self) -> bool:
        """Take what it has said. Returns whether there may be more to come."""
        try:
            said = self.leash.recv(64)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.is_ready = self.is_ready or said == _READY
        return bool(said)

    def ended(self) -> int | None:
        """Its exit status, negative for the signal that ended it; None as long as it runs."""
        return self._process.poll()

    def end(self, *, returning: bool) -> None:
        """Ask it to end in order; another one takes its place if it is ``returning``."""
        self.is_leaving = True
        self._process.send_signal(signal.SIGHUP if returning else signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def close(self) -> None:
        """Let go. A child that still runs ends in order."""
        self.leash.close()
