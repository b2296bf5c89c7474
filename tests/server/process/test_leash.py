"""The two ends of a leash, with a process of its own at one of them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

import pytest

from elio.server.process.leash import Child, Leash, Worker
from support.house import SOURCE

DEADLINE = 20.0

PROCESS = """
import os, signal, sys
from elio.server.process.leash import Leash
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup leaves it ignored
assert Leash.is_here()
leash = Leash.take()
assert not Leash.is_here() and Leash.take() is None
print(leash.fds == [int(sys.argv[1])], leash.worker and leash.worker.number, os.get_inheritable(leash.fds[0]))
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, os.environ.get("MORE"), flush=True)
leash.ready()
signal.pause()
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(SOURCE), "MORE": "more"}


def wait(condition: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("number", [3, None])
def test_a_child_knows_its_sockets_and_its_number_and_says_that_it_is_ready(
    number: int | None, environment: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        command = [sys.executable, "-c", PROCESS, str(sock.fileno())]
        child = Child(command, [sock.fileno()], number=number, environment=environment)
        try:
            assert repr(child) == f"worker {number} (pid {child.pid})"
            assert (child.is_ready, child.is_leaving, child.ended()) == (False, False, None)
            assert child.heard_ready() or child.is_ready
            assert select.select([child.leash], [], [], DEADLINE)[0]
            assert child.heard_ready()
            assert child.is_ready
            assert child.age > 0
            child.end(returning=True)
            assert child.is_leaving
            wait(lambda: child.ended() is not None)
            assert child.ended() == -signal.SIGHUP
            assert not child.heard_ready()
        finally:
            child.kill()
            wait(lambda: child.ended() is not None)
            child.close()
    assert capfd.readouterr().out == f"True {number} False\nTrue more\n"


def test_a_child_that_is_to_end_for_good_gets_another_signal() -> None:
    child = Child([sys.executable, "-c", "import signal; signal.pause()"], [])
    child.end(returning=False)
    wait(lambda: child.ended() is not None)
    assert child.ended() == -signal.SIGTERM
    child.close()


def test_without_a_supervisor_there_is_no_leash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELIO_SUPERVISED", raising=False)
    assert not Leash.is_here()
    assert Leash.take() is None
    monkeypatch.setenv("ELIO_SUPERVISED", "99999,99998")  # it came on to a process of a process
    assert Leash.take() is None
    assert "ELIO_SUPERVISED" not in os.environ


async def test_the_end_of_the_supervisor_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    own, theirs = socket.socketpair()
    monkeypatch.setenv("ELIO_SUPERVISED", str(theirs.detach()))
    monkeypatch.setenv("ELIO_WORKER", "2")
    leash = Leash.take()
    assert leash is not None
    assert leash.worker is not None
    assert (leash.worker.number, leash.fds) == (2, [])
    lost = asyncio.Event()
    leash.watch(loop, lost.set)
    leash.ready()
    assert own.recv(100) == b"ready\n"
    own.close()
    async with asyncio.timeout(DEADLINE):
        await lost.wait()
    leash.ready()  # nobody hears it
    leash.close(loop)


def test_the_age_of_a_worker() -> None:
    assert 5.0 <= Worker(1, time.time() - 5.0).age < 5.0 + DEADLINE
