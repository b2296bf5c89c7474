"""The site as a process: started, measured, ended; and how a soak says what it has found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..processes import memory

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.guard import Guard  # noqa: E402

__all__ = ["Site", "Verdict", "site"]


class Verdict:
    """Conditions, printed one by one; the exit status is that of all together."""

    def __init__(self) -> None:
        self._failed = 0

    def check(self, what: str, value: object, holds: bool) -> None:
        self._failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'}  {what}: {value}", flush=True)

    def status(self) -> int:
        print("PASSED" if not self._failed else f"FAILED: {self._failed} conditions do not hold", flush=True)
        return 1 if self._failed else 0


class Site:
    """The program."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._proc = Path(f"/proc/{process.pid}")
        self.port = self._read_port()

    def _read_port(self) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if "serving on" not in line:
            raise SystemExit(f"the site has not started: {line!r}\n{self.log}")
        return int(line.split()[2].rpartition(":")[2])

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text()

    def workers(self) -> list[int]:
        """The processes of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def memory(self) -> int:
        """Bytes that all of its processes have, each shared page counted once."""
        return memory((self.process.pid, *self.workers()))

    def begin(self) -> int:
        """Bytes that its first process has in memory; its peak is counted from here."""
        (self._proc / "clear_refs").write_text("5")
        return self.resident()

    def resident(self) -> int:
        """Bytes that its first process has in memory, told at little cost."""
        return self._resident("VmRSS")

    def peak(self) -> int:
        """The most bytes that its first process had in memory since :meth:`begin`."""
        return self._resident("VmHWM")

    def _resident(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

    def end(self, patience: float) -> tuple[float, dict[str, int]]:
        """Wait for its end. Returns when it was, and the counts that it printed."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read().decode()
        self.process.wait(patience)
        lines = [line for line in rest.splitlines() if line.startswith("{")]
        return time.monotonic(), json.loads(lines[-1]) if lines else {}


@contextmanager
def site(*options: str, module: str = "site") -> Iterator[Site]:
    """Start a program of this folder, and leave nothing of it behind."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            command = [sys.executable, "-m", f"benchmarks.soak.{module}", *options]
            path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "PYTHONPATH": path}
            )
        guard = Guard(process)
        try:
            yield Site(process, log)
        finally:
            guard.lift()
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
