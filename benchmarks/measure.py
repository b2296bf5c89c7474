"""One measurement: a server on one core, the load on another, and what comes out.

The load reads the CPU time of the server's processes at both ends of its measured window, so neither the start of the
server nor the opening of the connections is in the figure (save where that is the case).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .cases import MEMORY, Case
from .environment import BARE, CERTIFICATE, KEY, LOAD, LOGS, ROOT, python
from .peers import Peer
from .processes import memory, raise_limit

__all__ = ["MeasurementFailed", "Settings", "command", "free_port", "measure", "wait_for_port"]

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
LOAD_TIMEOUT = 240.0
SETTLE_TIMEOUT = 5.0
SETTLE_STEP = 0.2
WARM_CONNECTIONS = 20


class MeasurementFailed(Exception):
    """A server did not start, or the load found something wrong; the text says what."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds of the measured window and before it, and the cores."""

    seconds: float
    warmup: float
    server_core: int
    load_core: int


def measure(case: Case, peer: Peer, settings: Settings) -> dict[str, float]:
    """Start the server anew, put the load on it, stop it.

    Returns:
        The load's figures; `memory` (bytes per connection) where the case is about memory.

    Raises:
        MeasurementFailed: with the reason.
    """
    port = free_port()
    with _server(case, peer, settings, port) as pids:
        if case.metric == MEMORY:
            return _measure_memory(case, settings, port, pids)
        pid_options = [option for pid in pids for option in ("--pid", str(pid))]
        return _run_load([*case.load, *pid_options], settings, port)


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def _server(case: Case, peer: Peer, settings: Settings, port: int) -> Iterator[list[int]]:
    log = LOGS / f"{case.name}-{peer.name}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **peer.environment}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(case, peer, port),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: _settle_in(settings.server_core),
        )
    try:
        wait_for_port(process, port, log)
        yield [process.pid, *_descendants(process.pid)]
    finally:
        _stop(process)


def command(case: Case, peer: Peer, port: int) -> list[str]:
    """How the server is started."""
    if not peer.module:
        return [str(BARE), str(port)]
    program = [str(python()), "-m", f"benchmarks.servers.{peer.module}", "--port", str(port)]
    return [*program, "--case", case.server_case, "--certificate", str(CERTIFICATE), "--key", str(KEY)]


def _settle_in(core: int) -> None:
    os.sched_setaffinity(0, {core})
    raise_limit()


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, patience: float = START_TIMEOUT) -> None:
    """Wait until the server listens.

    Raises:
        MeasurementFailed: it does not; with the last line that it wrote.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise MeasurementFailed(f"did not start: {lines[-1] if lines else 'no output'}")


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += [int(child) for child in (task / "children").read_text().split()]
    return [found for child in children for found in (child, *_descendants(child))]


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_TIMEOUT if number is signal.SIGTERM else None)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _load_command(arguments: list[str], settings: Settings, port: int) -> list[str]:
    times = ["--seconds", str(settings.seconds), "--warmup", str(settings.warmup)]
    return [str(LOAD), *arguments, "--port", str(port), "--spin", *times]


def _run_load(arguments: list[str], settings: Settings, port: int) -> dict[str, float]:
    done = subprocess.run(
        _load_command(arguments, settings, port),
        capture_output=True,
        text=True,
        timeout=LOAD_TIMEOUT,
        check=False,
        preexec_fn=lambda: _settle_in(settings.load_core),
    )
    if done.returncode:
        raise MeasurementFailed(done.stderr.strip() or f"the load ended with status {done.returncode}")
    return _figures(done.stdout)


def _figures(line: str) -> dict[str, float]:
    return {name: value for name, value in json.loads(line).items() if isinstance(value, int | float)}


def _measure_memory(case: Case, settings: Settings, port: int, pids: list[int]) -> dict[str, float]:
    few = list(case.load)
    few[few.index("--connections") + 1] = str(WARM_CONNECTIONS)
    _run_load(few, settings, port)
    before = _settled_memory(pids)
    command = [*_load_command(list(case.load), settings, port), "--hold"]
    command.remove("--spin")
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: _settle_in(settings.load_core),
    ) as load:
        line = load.stdout.readline() if load.stdout else ""
        after = _settled_memory(pids) if line else 0
        _, errors = load.communicate(timeout=LOAD_TIMEOUT)
    if not line:
        raise MeasurementFailed(errors.strip())
    figures = _figures(line)
    figures["memory"] = (after - before) / figures["connections"]
    return figures


def _settled_memory(pids: list[int]) -> int:
    """Bytes that are these processes' own, read until they do not change any more."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    last, now = -1, memory(pids)
    while now != last and time.monotonic() < deadline:
        time.sleep(SETTLE_STEP)
        last, now = now, memory(pids)
    return now
