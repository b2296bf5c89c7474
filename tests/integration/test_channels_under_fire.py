"""Channels over nodes and engines that are killed: every message once and in order, or a gap. A soak in small."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest

from support.house import ROOT
from support.processes import python, run
from support.raw import DEADLINE


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_gone(handle: int) -> None:
    """Wait for the end of a process that is not ours. The handle is closed."""
    try:
        assert select.select([handle], [], [], DEADLINE)[0], "a process has been left behind"
    finally:
        os.close(handle)


@pytest.mark.parametrize("engine", ["redis", "nats"])
async def test_nothing_is_lost_in_silence(engine: str) -> None:
    options = (
        "--publishes",
        "300",
        "--clients",
        "10",
        "--kills",
        "2",
        "--nodes",
        "2",
        "--restarts",
        "1",
        "--lag",
        "200",
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = (sys.executable, "-m", "benchmarks.soak.channels", "--engine", engine, *options)
    finished = await run(*command, environment=environment)
    assert finished.status == 0, finished.output.decode() + finished.errors
    assert b"silent losses 0, repetitions 0" in finished.output
    assert b"gaps {}" in finished.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("engine", ["redis", "nats"])
def test_a_soak_that_is_killed_leaves_no_process_behind(engine: str, number: signal.Signals) -> None:
    options = ("--clients", "2", "--nodes", "1")
    with python("-m", "benchmarks.soak.channels", "--engine", engine, *options) as soak:
        assert "are ready" in soak.line()
        left = [os.pidfd_open(pid) for pid in children(soak.process.pid)]
        soak.signal(number)
        assert soak.wait() == -number
        assert len(left) == 3  # the engine, who watches over it, and a node
        for handle in left:
            wait_gone(handle)


def test_the_site_of_a_soak_that_is_killed_goes_with_it() -> None:
    script = "from benchmarks.soak.program import site\nwith site() as site: print('up', flush=True); site.end(60)"
    with python("-c", script) as soak:
        assert soak.line() == "up"
        left = [os.pidfd_open(pid) for pid in children(soak.process.pid)]
        soak.signal(signal.SIGKILL)
        assert soak.wait() == -signal.SIGKILL
        assert len(left) == 2
        for handle in left:
            wait_gone(handle)
