"""``--reload``: a parent that holds the listening socket and starts the server anew when a Python file changes.

The socket outlives the servers, so a client that comes in between waits instead of being refused.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from ..limits import Limits
from ..net.listen import Address, open_sockets

__all__ = ["changed", "run_reloading", "snapshot"]

_INTERVAL: Final = 0.3
"""Seconds between two looks at the files."""

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


def run_reloading(options: argparse.Namespace) -> int:
    """Serve as the options say, in a child process that is replaced whenever a file below the present folder changes.

    Returns:
        The exit status.
    """
    address = Address(host=options.host, port=options.port, uds=options.uds, fd=options.fd)
    sockets = open_sockets(address, Limits().backlog)
    sock = sockets[0]
    sock.set_inheritable(True)
    command = _command(options, sock.fileno())
    supervisor = _Supervisor(command, sock.fileno())
    try:
        return supervisor.run()
    finally:
        for each in sockets:
            each.close()
        if options.uds is not None:
            os.unlink(options.uds)


def _command(options: argparse.Namespace, fd: int) -> list[str]:
    command = [sys.executable, "-m", "elio", "serve", options.target, "--fd", str(fd)]
    command += ["--log-level", options.log_level, "--grace", str(options.grace)]
    if options.tls_cert is not None:
        command += ["--tls-cert", options.tls_cert, "--tls-key", options.tls_key]
    for origin in options.origin or ():
        command += ["--origin", origin]
    for host in options.allowed_host or ():
        command += ["--allowed-host", host]
    return command


class _Supervisor:
    """Starts the child, watches the files, passes signals on."""

    def __init__(self, command: list[str], fd: int) -> None:
        self._command = command
        self._fd = fd
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Until a signal comes."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        seen = snapshot(".")
        self._start()
        while not self._stopping:
            time.sleep(_INTERVAL)
            now = snapshot(".")
            name = changed(seen, now)
            if name is None:
                continue
            seen = now
            print(f"{name} has changed, starting anew", flush=True)
            self._end_child()
            self._start()
        return self._end_child()

    def _start(self) -> None:
        if not self._stopping:
            self._child = subprocess.Popen(self._command, pass_fds=[self._fd])

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def _end_child(self) -> int:
        child = self._child
        if child is None:
            return 0
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        return child.wait()


def snapshot(folder: str) -> dict[str, int]:
    """Every Python file below a folder with the time of its last change in nanoseconds."""
    return dict(_walk(folder))


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                    yield from _walk(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path, entry.stat().st_mtime_ns
        except OSError:
            continue


def changed(before: dict[str, int], now: dict[str, int]) -> str | None:
    """The first file that is new, changed or gone; None if there is none."""
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            return os.path.normpath(name)
    return None
