"""The supervisor inside a program of ours, with workers that do next to nothing."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from elio import ConfigurationError
from elio.server.process import supervisor as module
from elio.server.process.leash import Child
from elio.server.process.supervisor import Companion, Supervisor

DEADLINE = 20.0

# It says that it is ready, as elio.run does, and ends as it is told.
WORKER = """
import os, signal, socket, sys
leash = socket.socket(fileno=int(os.environ["ELIO_SUPERVISED"].split(",")[0]))
{before}
leash.send(b"ready\\n")
{behind}
leash.recv(1)
"""


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.server")


def command_of(before: str = "", behind: str = "") -> list[str]:
    return [sys.executable, "-S", "-E", "-c", WORKER.format(before=before, behind=behind)]


def on_its_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test on asyncio's own event loop, as the supervisor is run: others keep SIGCHLD to themselves."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        with asyncio.Runner() as runner:
            runner.run(test(**fixtures))

    return run


class Hub:
    """Something that runs beside the workers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def start(self) -> dict[str, str]:
        self.seen.append("started")
        return {"HUB": "here"}

    async def close(self) -> None:
        self.seen.append("closed")


@asynccontextmanager
async def supervised(
    command: list[str], count: int = 1, *, patience: float = DEADLINE, companions: tuple[Companion, ...] = ()
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(command, [()] * count, patience=patience, companions=companions)
    started = asyncio.Event()
    running = asyncio.create_task(supervisor.run(started.set))
    starting = asyncio.create_task(started.wait())
    await asyncio.wait({running, starting}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    try:
        yield supervisor
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            await running


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def lines(caplog: pytest.LogCaptureFixture, pattern: str) -> list[str]:
    return [message for message in caplog.messages if re.fullmatch(pattern, message)]


@on_its_loop
async def test_workers_are_started_told_of_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    async with supervised(command_of(), 3) as supervisor:
        await until(lambda: len(lines(caplog, r"worker \d \(pid \d+\) is ready")) == 3)
        ages = ", ".join(rf"{number} \(pid \d+, \d+ s\)" for number in (1, 2, 3))
        assert re.fullmatch(f"3 workers: {ages}", supervisor.describe())
    assert caplog.messages[-1] == "ending, with 3 workers"
    assert "to be started" in supervisor.describe()


@on_its_loop
async def test_companions_start_before_the_workers_and_close_behind_them() -> None:
    hub = Hub()
    check = "assert os.environ['HUB'] == 'here' and os.environ['ELIO_WORKER'] == '1'"
    async with supervised(command_of(check), companions=(hub,)):
        assert hub.seen == ["started"]
    assert hub.seen == ["started", "closed"]


@on_its_loop
async def test_a_first_worker_that_ends_at_once_is_an_error() -> None:
    hub = Hub()
    with pytest.raises(ConfigurationError, match=r"the first one has ended with status 7 before it was ready$"):
        async with supervised(command_of("raise SystemExit(7)"), 3, companions=(hub,)):
            pass
    assert hub.seen == ["started", "closed"]


@on_its_loop
async def test_a_worker_that_ends_again_and_again_is_waited_for_longer_each_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_DELAY", 0.001)
    async with supervised(command_of(behind="os._exit(1)")) as supervisor:
        ended = r"worker 1 \(pid \d+\) has ended with status 1 after \d+\.\d seconds, another one starts (.*)"
        await until(lambda: len(lines(caplog, ended)) >= 4)
        assert "started" in supervisor.describe()
    times = [match[1] for line in caplog.messages if (match := re.fullmatch(ended, line))]
    assert times[:4] == ["now", "in 0.001 seconds", "in 0.002 seconds", "in 0.004 seconds"]


@on_its_loop
async def test_the_end_of_a_worker_of_some_age_is_an_accident(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STABLE", 0.0)
    async with supervised(command_of(behind="os._exit(1)")):
        await until(lambda: len(lines(caplog, ".*another one starts now")) >= 3)
    assert not lines(caplog, ".*another one starts in.*")


@on_its_loop
async def test_a_worker_that_does_not_end_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async with supervised(command_of("signal.signal(signal.SIGTERM, signal.SIG_IGN)"), patience=0.05):
        pass
    assert lines(caplog, r"worker 1 \(pid \d+\) did not end within 0\.05 seconds and is killed")


@on_its_loop
async def test_a_replacement_that_is_never_ready_is_killed_and_the_others_stay(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_START", 0.05)
    flag = tmp_path / "flag"
    async with supervised(command_of(f"if os.path.exists({str(flag)!r}): signal.pause()")) as supervisor:
        before = supervisor.describe()
        flag.touch()
        os.kill(os.getpid(), signal.SIGHUP)
        how = r"has ended by SIGKILL before it was ready: the others stay"
        await until(lambda: lines(caplog, rf"worker 1 \(pid \d+\) {how}"))
        pid = re.search(r"pid \d+", before)
        assert pid
        assert pid[0] in supervisor.describe()


@on_its_loop
async def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"^no worker can be started: .*nothing-of-this-name"):
        async with supervised(["/nothing-of-this-name"]):
            pass


@on_its_loop
async def test_a_system_without_room_for_another_process_is_asked_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_DELAY", 0.001)
    refused = 0

    def refuse(*arguments: Any, **options: Any) -> Child:
        nonlocal refused
        refused += 1
        if refused <= 2:
            raise OSError(errno.EAGAIN, "no room")
        return Child(*arguments, **options)

    async with supervised(command_of(), 2):
        await until(lambda: len(lines(caplog, r"worker \d \(pid \d+\) is ready")) == 2)
        monkeypatch.setattr(module, "Child", refuse)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: lines(caplog, "worker 1 cannot be started: .*no room: the others stay"))
        found = re.search(r"worker 2 \(pid (\d+)\) is ready", caplog.text)
        assert found
        os.kill(int(found[1]), signal.SIGKILL)
        await until(lambda: lines(caplog, "worker 2 cannot be started: .*no room"))
        await until(lambda: len(lines(caplog, r"worker 2 \(pid \d+\) is ready")) == 2)


@on_its_loop
async def test_a_signal_during_the_first_start_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor(command_of("signal.pause()"), [()], patience=DEADLINE)
    running = asyncio.create_task(supervisor.run(lambda: None))
    await until(lambda: "starting" in supervisor.describe())
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        await running
    assert caplog.messages == ["ending, with 1 workers"]


def test_ends_are_told_in_words() -> None:
    assert module._how(3) == "with status 3"
    assert module._how(-9) == "by SIGKILL"
    assert module._how(-1000) == "by signal 1000"
