"""A blocked event loop: one warning that names the place, and no connection is lost by it."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time

import pytest

from elio import EventStream, Limits, Router, Server, WebSocket, causes
from elio.net.timer import CoarseTimer
from elio.server.watch.loop_watch import LoopWatch
from support.raw import connect, until


def block(seconds: float) -> None:
    time.sleep(seconds)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def settled() -> None:
    """The thread has seen that the loop is alive."""
    await asyncio.sleep(0.1)


def make_router(ends: list[causes.Cause | None]) -> Router:
    router = Router()

    @router.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        try:
            async for message in ws:
                if message == "block":
                    block(2.0)
                await ws.send(message)
        finally:
            ends.append(ws.cause)

    @router.sse("/sse")
    async def stream(stream: EventStream) -> None:
        await stream.send("one")
        await asyncio.Event().wait()

    return router


async def test_a_blocked_loop_loses_nobody_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[causes.Cause | None] = []
    limits = Limits(ping_interval=0.2, ping_timeout=0.2, keep_alive_interval=0.2)
    server = Server(make_router(ends), port=0, limits=limits, loop_warning=0.5)
    async with server, connect(server) as quiet, connect(server) as busy, connect(server) as reader:
        pongs = asyncio.ensure_future(_answer_pings(quiet))
        await busy.upgrade("/ws")
        reader.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.read_until(b"data: one\n\n")
        busy.frame(0x81, b"block")
        while (await _next_message(busy)) != b"block":
            pass
        busy.frame(0x81, b"on")
        assert await _next_message(busy) == b"on"
        assert server.connections == 3
        assert server.counters.ends == {}
        pongs.cancel()
        await settled()
        [warning] = warnings(caplog)
        assert f"{__file__}:{block.__code__.co_firstlineno + 1} in block" in warning


async def _answer_pings(raw: object) -> None:
    await raw.upgrade("/ws")  # type: ignore[attr-defined]
    while True:
        await _next_message(raw)


async def _next_message(raw: object) -> bytes:
    """The next message; pings are answered, as every client does."""
    while True:
        first, payload = await raw.receive_frame()  # type: ignore[attr-defined]
        if first == 0x89:
            raw.frame(0x8A, payload)  # type: ignore[attr-defined]
        else:
            return payload  # type: ignore[no-any-return]


async def test_a_peer_that_leaves_meanwhile_left_for_that(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[causes.Cause | None] = []
    server = Server(make_router(ends), port=0, loop_warning=0.2)
    async with server, connect(server) as raw:
        await raw.upgrade("/ws")
        await settled()
        raw.send_eof()
        block(0.6)
        await until(lambda: ends)
    [cause] = ends
    assert isinstance(cause, causes.LoopBlocked)
    assert cause.seconds >= 0.2
    assert cause.place.endswith(" in block")


async def test_a_loop_that_turns_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    watch = LoopWatch(loop, CoarseTimer(loop), 5.0)
    watch.start()
    await asyncio.sleep(0.05)
    watch.stop()
    assert warnings(caplog) == []


async def test_the_thread_ends_with_the_server() -> None:
    def watches() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "elio-loop-watch"]

    async with Server(Router(), port=0):
        assert len(watches()) == 1
    assert watches() == []
    async with Server(Router(), port=0, loop_warning=None):
        assert watches() == []


def test_a_loop_that_is_closed_ends_the_thread() -> None:
    loop = asyncio.new_event_loop()
    watch = LoopWatch(loop, CoarseTimer(loop), 0.01)
    loop.close()
    watch.start()
    watch._thread.join(10.0)
    assert not watch._thread.is_alive()
    watch.stop()


async def test_the_thread_ends_even_if_it_is_told_to_while_it_begins_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    watch = LoopWatch(loop, CoarseTimer(loop), 0.02)
    clear = watch._alive.clear

    def clear_behind_stop() -> None:
        watch._stopped.set()
        watch._alive.set()
        clear()

    monkeypatch.setattr(watch._alive, "clear", clear_behind_stop)
    watch.start()
    watch._thread.join(timeout=30.0)
    assert not watch._thread.is_alive()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="threads have no masks here")
def test_signals_do_not_come_to_the_thread() -> None:
    program = """
import os, signal, sys, threading, time
from elio import Router
from elio.server.server import Server
import asyncio

async def main():
    async with Server(Router(), port=0, loop_warning=1.0):
        watch = next(thread for thread in threading.enumerate() if thread.name == "elio-loop-watch")
        deadline = time.monotonic() + 30
        while not int(blocked(watch.native_id), 16) & 1 << signal.SIGTERM - 1:
            assert time.monotonic() < deadline
        assert not int(blocked(os.getpid()), 16) & 1 << signal.SIGTERM - 1

def blocked(thread):
    with open(f"/proc/self/task/{thread}/status") as lines:
        return next(line.split()[1] for line in lines if line.startswith("SigBlk"))

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
