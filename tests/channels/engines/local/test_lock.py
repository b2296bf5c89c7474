"""The right to listen on a path."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elio.channels.engines.local.lock import PathLock


def test_one_has_it_and_leaves_nothing(tmp_path: Path) -> None:
    one, two = PathLock(tmp_path / "hub"), PathLock(tmp_path / "hub")
    assert one.acquire()
    assert not two.acquire()
    one.release()
    one.release()
    assert list(tmp_path.iterdir()) == []
    assert two.acquire()
    two.release()


def test_a_process_that_is_killed_loses_it(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from elio.channels.engines.local.lock import PathLock
print(PathLock(pathlib.Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""
    lock = PathLock(tmp_path / "hub")
    command = [sys.executable, "-c", program, str(tmp_path / "hub")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert not lock.acquire()
        process.kill()
    assert lock.acquire()
    lock.release()


def test_a_file_that_was_removed_by_its_holder_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = PathLock(tmp_path / "hub")
    answers = iter([False, True])
    monkeypatch.setattr(lock, "_is_there", lambda descriptor: next(answers))
    assert lock.acquire()
    lock.release()


def test_where_no_file_can_be_there_is_no_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PathLock(tmp_path / "no" / "hub").acquire()


def test_what_cannot_be_locked_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def refuse(descriptor: int, operation: int) -> None:
        opened.append(descriptor)
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"):
        PathLock(tmp_path / "hub").acquire()
    (descriptor,) = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_where_the_system_has_no_such_locks_all_the_rest_works() -> None:
    # Of the standard library nothing is to be asked that is not there on this system.
    program = """
import asyncio, pathlib, sys, urllib.request
sys.platform = "win32"
sys.modules.update(dict.fromkeys(("fcntl", "termios", "pwd", "grp", "resource", "tty", "pty")))
import elio
from elio.channels.engines.local.hub import LocalHub
try:
    asyncio.run(LocalHub(pathlib.Path("hub")).start())
except elio.ConfigurationError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "cannot listen on hub: this system has no hub" in finished.stdout, finished.stderr
