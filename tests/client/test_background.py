"""The event loop of the clients for threads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from elio.client.background import Background
from elio.errors import ConcurrencyError
from elio.net.ready import Wakeup
from support.house import SOURCE
from support.processes import complaints
from support.raw import DEADLINE


def test_there_is_one_loop_in_a_thread_of_its_own() -> None:
    background = Background.current()
    assert Background.current() is background

    async def where() -> tuple[object, int]:
        return asyncio.get_running_loop(), threading.get_ident()

    loop, thread = background.run(where)
    assert loop is background.loop
    assert thread != threading.get_ident()


def test_what_a_coroutine_raises_comes_back() -> None:
    async def fail(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError, match="text"):
        Background.current().run(fail, "text")


def test_a_wait_that_takes_too_long_is_cancelled() -> None:
    ended = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        Background.current().run(hang, timeout=0.01)
    assert ended.wait(DEADLINE)


def test_the_loop_stands_still_for_who_has_the_lock() -> None:
    background = Background.current()
    seen: list[str] = []
    with background.lock:
        background.loop.call_soon_threadsafe(seen.append, "turned")
        time.sleep(0.05)
        assert seen == []

    async def nothing() -> None:
        pass

    background.run(nothing)
    assert seen == ["turned"]


def test_what_is_scheduled_with_the_lock_wakes_the_loop() -> None:
    background = Background.current()
    soon, later = threading.Event(), threading.Event()
    with background.lock:
        background.loop.call_soon(soon.set)
        background.loop.call_later(0.01, later.set)
    assert soon.wait(DEADLINE)
    assert later.wait(DEADLINE)


def test_threads_are_told_when_their_wait_is_over() -> None:
    background = Background.current()

    class Waiting:
        def __init__(self) -> None:
            self.told = threading.Event()

        def tell(self) -> None:
            self.told.set()

    waiting, wakeup = Waiting(), Wakeup(background.loop)
    with background.lock:
        background.waiting[waiting] = wakeup
        background.loop.call_soon(int)
    assert not waiting.told.wait(0.02)
    background.loop.call_soon_threadsafe(wakeup.wake)
    assert waiting.told.wait(DEADLINE)
    assert waiting not in background.waiting


def test_the_thread_of_the_loop_cannot_wait_for_it() -> None:
    background = Background.current()

    async def inner() -> None:
        background.check()

    with pytest.raises(ConcurrencyError, match="in the thread of its event loop"):
        background.run(inner)


PROGRAM = """
import os, sys, threading
from elio.client.background import Background

async def nothing():
    return 7

background = Background.current()
assert background.run(nothing) == 7
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM + program],
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=False,
    )
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    return done.stdout


def test_the_interpreter_ends_in_silence() -> None:
    assert run("print('bye')") == "bye\n"


def test_the_interpreter_ends_with_something_going_on() -> None:
    run("""
import asyncio
asyncio.run_coroutine_threadsafe(asyncio.sleep(1000), background.loop)
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    assert (
        run("""
child = os.fork()
if not child:
    assert not background.is_ours
    try:
        background.run(nothing)
    except Exception as error:
        assert type(error).__name__ == "ConcurrencyError"
    other = Background.current()
    assert other is not background
    print(other.run(nothing), flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(background.run(nothing))
""")
        == "7\n7\n"
    )
