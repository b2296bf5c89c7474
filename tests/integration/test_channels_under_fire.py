"""Channels over nodes and engines that are killed: every message once and in order, or a gap. A soak in small."""

from __future__ import annotations

import sys

import pytest

from support.house import ROOT
from support.processes import run


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
