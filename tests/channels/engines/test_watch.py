"""The watch over a link."""

from __future__ import annotations

import asyncio

import pytest

from elio.channels.backend import POSITION_CHECK
from elio.channels.engines import watch as module
from elio.channels.engines.watch import Watch
from elio.errors import EngineLost
from support.backends import Recorder


def test_a_loss_is_noticed_in_time() -> None:
    assert module._INTERVAL + module._TIMEOUT < POSITION_CHECK


async def test_health_is_told_when_it_changes() -> None:
    recorder, outcomes, checks = Recorder(), ["bad", "bad", "good", "good", "bad"], asyncio.Queue[int]()

    async def check() -> None:
        outcome = outcomes.pop(0) if outcomes else "good"
        if outcome == "bad":
            raise EngineLost("away")

    def afterwards() -> None:
        checks.put_nowait(len(outcomes))
        if outcomes:
            watch.hurry()

    watch = Watch(check, recorder, afterwards)
    watch.start()
    watch.hurry()
    async with asyncio.timeout(30.0):
        while await checks.get():
            pass
    await watch.close()
    assert recorder.healthy == [False, True, False]


async def test_a_mistake_is_told_and_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    recorder, outcomes = Recorder(), ["mistake", "good"]

    async def check() -> None:
        if outcomes and outcomes.pop(0) == "mistake":
            raise KeyError("mistake")

    watch = Watch(check, recorder, lambda: watch.hurry() if outcomes else None)
    watch.start()
    watch.hurry()
    await recorder.until(lambda: recorder.healthy == [False, True])
    await watch.close()
    assert "cannot be checked" in caplog.text


async def test_what_others_see_counts_too() -> None:
    recorder = Recorder()

    async def check() -> None:
        pass

    watch = Watch(check, recorder, lambda: None)
    watch.tell(False, "lost")
    watch.tell(False, "still lost")
    watch.tell(True, "")
    assert recorder.healthy == [False, True]
    await watch.close()
