"""What the clients of one loop share, and that it goes away."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from elio.limits import Limits
from elio.net.client_loop import ClientLoop
from support.engines import HAS_REACTOR
from support.raw import until

needs_reactor = pytest.mark.skipif(not HAS_REACTOR, reason="the reactor is not built or switched off")


class Receiver:
    def __init__(self) -> None:
        self.is_lost = False
        self.then: Callable[[], object] = lambda: None

    def connection_made(self, stream: Any) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.then()

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def adopt(here: ClientLoop) -> tuple[Any, Receiver, socket.socket]:
    near, far = socket.socketpair()
    receiver = Receiver()
    stream = here.adopt(near, receiver)
    assert stream is not None
    return stream, receiver, far


async def test_one_for_a_loop() -> None:
    assert ClientLoop.current() is ClientLoop.current()
    assert ClientLoop.current().loop is asyncio.get_running_loop()
    others: list[ClientLoop] = []

    async def elsewhere() -> None:
        others.append(ClientLoop.current())

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    assert others[0] is not ClientLoop.current()


def test_the_next_loop_of_a_thread_has_its_own() -> None:
    async def get() -> ClientLoop:
        return ClientLoop.current()

    assert asyncio.run(get()) is not asyncio.run(get())


async def test_equal_limits_share_their_surroundings() -> None:
    here = ClientLoop.current()
    assert here.runtime(Limits()) is here.runtime(Limits())
    other = here.runtime(Limits(max_queue=3))
    assert other is not here.runtime(Limits())
    assert other.timer is here.runtime(Limits()).timer
    for number in range(1, 1000):
        here.runtime(Limits(max_queue=number))
    assert len(here._runtimes) <= 64


@needs_reactor
async def test_one_reactor_that_goes_with_its_last_stream() -> None:
    here = ClientLoop.current()
    first, _, far = adopt(here)
    second, _, further = adopt(here)
    reactor: Any = here._reactor
    assert len(reactor.streams) == 2
    first.close()
    await until(lambda: len(reactor.streams) == 1)
    assert here._reactor is reactor
    second.close()
    await until(lambda: here._reactor is None)
    assert "closed" in repr(reactor)
    third, _, furthest = adopt(here)
    assert here._reactor is not reactor
    third.close()
    await until(lambda: here._reactor is None)
    for sock in (far, further, furthest):
        sock.close()


@needs_reactor
async def test_a_stream_that_comes_while_the_last_one_goes_keeps_it() -> None:
    here = ClientLoop.current()
    first, receiver, far = adopt(here)
    reactor = here._reactor
    adopted = asyncio.get_running_loop().create_future()
    receiver.then = lambda: asyncio.get_running_loop().call_soon(lambda: adopted.set_result(adopt(here)))
    first.abort()
    second, _, further = await adopted
    await asyncio.sleep(0)
    assert here._reactor is reactor
    second.close()
    await until(lambda: here._reactor is None)
    far.close()
    further.close()


@needs_reactor
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_program_that_closes_nothing_leaves_nothing_open(loop: str) -> None:
    left: list[tuple[Any, Receiver, socket.socket]] = []
    factory = None
    if loop == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    async def program() -> None:
        left.append(adopt(ClientLoop.current()))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(program())
        stream, receiver, far = left.pop()
        assert receiver.is_lost
        assert stream.is_closing()
        assert far.recv(1) == b""
        far.close()
        del stream
        gc.collect()
