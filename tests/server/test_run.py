"""``run``: a server as the whole of a program, mostly as one."""

from __future__ import annotations

import asyncio
import importlib
import os
import queue
import signal
import socket
import threading
from pathlib import Path

import pytest

from elio import ConfigurationError, Response, Router, Server, run
from elio.server.run import new_event_loop
from support.programs import DEADLINE, dial, start

PROGRAM = """
import asyncio, sys
from elio import Request, Response, Router, Server, run

router = Router()
server = None
tasks = []

@router.get("/loop")
async def loop(request: Request) -> Response:
    return Response.text(type(asyncio.get_running_loop()).__module__)

@router.get("/close")
async def close(request: Request) -> Response:
    tasks.append(asyncio.create_task(server.close()))
    return Response.text("bye")

@router.get("/forget")
async def forget(request: Request) -> Response:
    tasks.append(asyncio.create_task(asyncio.Event().wait()))
    return Response.text("forgotten")

def started(running: Server) -> None:
    global server
    server = running
    print(running.port, flush=True)

run(router, port=0, on_start=started)
print("after")
"""


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: object) -> Response:
        return Response.text("hello")

    return router


# -- as a program ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_run_return(tmp_path: Path, number: int) -> None:
    async with start("-c", PROGRAM, cwd=tmp_path) as program:
        port = int((await program.says(r"\d+"))[0])
        async with dial(port) as raw:
            assert (await raw.get("/forget")).body == b"forgotten"
            program.kill(number)
            assert await raw.read_all() == b""
        await program.says("after")
        assert await program.ends() == 0


@pytest.mark.parametrize(
    ("prelude", "module"), [("", "uvloop"), ("import sys; sys.modules['uvloop'] = None", "asyncio")]
)
async def test_the_loop_is_uvloop_where_there_is_one(tmp_path: Path, prelude: str, module: str) -> None:
    if not prelude:
        pytest.importorskip("uvloop")
    async with start("-c", prelude + PROGRAM, cwd=tmp_path) as program:
        port = int((await program.says(r"\d+"))[0])
        async with dial(port) as raw:
            assert (await raw.get("/loop")).body.decode().partition(".")[0] == module
        program.kill(signal.SIGTERM)
        await program.says("after")
        assert await program.ends() == 0


async def test_a_handler_that_closes_the_server_lets_run_return(tmp_path: Path) -> None:
    async with start("-c", PROGRAM, cwd=tmp_path) as program:
        port = int((await program.says(r"\d+"))[0])
        async with dial(port) as raw:
            assert (await raw.get("/close")).body == b"bye"
            assert await raw.read_all() == b""
        await program.says("after")
        assert await program.ends() == 0


async def test_the_urls_are_printed_by_default(tmp_path: Path) -> None:
    command = "from elio import Router, run; run(Router(), port=0)"
    async with start("-c", command, cwd=tmp_path) as program:
        await program.says(r"serving on http://127\.0\.0\.1:\d+ \(Ctrl\+C to stop\)")
        program.kill(signal.SIGINT)
        assert await program.ends() == 0


async def test_a_second_signal_ends_the_program_while_a_thread_of_a_handler_still_runs(tmp_path: Path) -> None:
    command = (
        "import asyncio, time\n"
        "from elio import Response, Router, run\n"
        "router = Router()\n"
        "@router.get('/')\n"
        "async def index(request):\n"
        "    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)\n"
        "    return Response.text('begun')\n"
        "run(router, port=0, on_start=lambda server: print(server.port, flush=True))\n"
    )
    async with start("-c", command, cwd=tmp_path) as program:
        port = int((await program.says(r"\d+"))[0])
        async with dial(port) as raw:
            assert (await raw.get("/")).body == b"begun"
            program.kill(signal.SIGTERM)
            assert await raw.read_all() == b""  # the server is closed; the thread is waited for
        program.kill(signal.SIGTERM)
        assert await program.ends() == 128 + signal.SIGTERM


# -- inside a program --------------------------------------------------------------------------------------------------


def test_signals_do_afterwards_what_they_did_before() -> None:
    seen: list[int] = []
    before = {number: signal.signal(number, lambda n, _: seen.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run(make_router(), port=0, on_start=lambda _: os.kill(os.getpid(), signal.SIGTERM))
        assert seen == []
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert seen == [signal.SIGTERM, signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_callback_that_fails_ends_the_server() -> None:
    servers: list[Server] = []

    def fail(server: Server) -> None:
        servers.append(server)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match=r"^no$"):
        run(make_router(), port=0, on_start=fail)
    assert not servers[0].is_running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", servers[0].port))


def test_what_cannot_start_raises_and_leaves_the_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"^port {port} on 127.0.0.1 is in use by another program$"):
            run(make_router(), port=port)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("grace", [-1.0, float("nan"), float("inf")])
def test_the_grace_is_checked_at_the_start(grace: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^grace is .*, it must be a number of seconds, at least 0$"):
        run(make_router(), port=0, grace=grace)


async def test_inside_a_loop_run_says_what_to_use() -> None:
    with pytest.raises(ConfigurationError, match=r"inside a running event loop use: async with Server"):
        run(make_router(), port=0)


def test_in_another_thread_it_runs_until_the_server_is_closed() -> None:
    started: queue.Queue[tuple[Server, asyncio.AbstractEventLoop]] = queue.Queue()

    def on_start(server: Server) -> None:
        started.put((server, asyncio.get_running_loop()))

    thread = threading.Thread(target=run, args=(make_router(),), kwargs={"port": 0, "on_start": on_start}, daemon=True)
    thread.start()
    server, loop = started.get(timeout=DEADLINE)
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        with sock.makefile("rb") as stream:
            assert stream.read().endswith(b"hello")
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(DEADLINE)
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_without_uvloop_the_loop_is_asyncios(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    loop = new_event_loop()
    assert type(loop).__module__.startswith("asyncio.")
    loop.close()


def test_with_uvloop_the_loop_is_its_own() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = new_event_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()
