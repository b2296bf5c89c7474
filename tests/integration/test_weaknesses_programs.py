"""What is weak in programs of the C++ library, its examples among them, and is not here."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed

from support.pages import MARKUP
from support.processes import Program, example, python
from support.raw import DEADLINE, HANDSHAKE

SERVER = """
import asyncio, elio, sys
if %r == "asyncio":
    sys.modules["uvloop"] = None
router = elio.Router()

@router.get("/")
async def index(request):
    return elio.Response.text("hello")

@router.websocket("/ws")
async def echo(ws):
    async for message in ws:
        await ws.send(message)

@router.websocket("/stubborn")
async def stubborn(ws):
    await ws.accept()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

@router.sse("/events")
async def events(stream):
    await stream.send("hello")
    await asyncio.Event().wait()

elio.run(router, port=0, grace=%s)
"""


def program(grace: float, *, loop: str = "any") -> Program:
    return python("-c", SERVER % (loop, grace))


def dialled(port: int, request: bytes) -> socket.socket:
    """A connection on which a request was answered."""
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
    sock.sendall(request)
    assert sock.recv(1) == b"H"
    return sock


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_every_connection_in_order_and_ends_the_program(number: signal.Signals) -> None:
    with program(grace=DEADLINE) as server:
        port = server.port()
        async with dial(f"ws://127.0.0.1:{port}/ws", proxy=None) as ws:
            await ws.send("hi")
            assert await ws.recv() == "hi"
            with dialled(port, get("/events")), dialled(port, get("/")):
                server.signal(number)
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.recv()
                assert caught.value.rcvd is not None
                assert (caught.value.rcvd.code, caught.value.rcvd_then_sent) == (1001, True)
                assert await asyncio.to_thread(server.wait) == 0
        assert server.errors == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_client_that_does_not_answer_cannot_hold_the_program_beyond_the_grace() -> None:
    with program(grace=0.3) as server:
        with dialled(server.port(), HANDSHAKE % (b"/ws", b"")) as silent:
            asked = time.monotonic()
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            assert time.monotonic() - asked < DEADLINE / 2
            silent.setblocking(True)
            received = b""
            while data := silent.recv(65536):
                received += data
            assert b"\x88" in received, "there was no close frame"
        assert re.fullmatch(r"connections still open after \d\.\d seconds, which are cut: 1\n", server.errors)


def test_a_second_signal_ends_at_once() -> None:
    with program(grace=10 * DEADLINE) as server, dialled(server.port(), HANDSHAKE % (b"/stubborn", b"")) as sock:
        server.signal(signal.SIGTERM)
        data = b""
        while b"\x88" not in data:  # the close frame: the first signal has been seen
            data += sock.recv(65536)
        server.signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM


# -- start -------------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_a_failure_and_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with example("websocket_server", str(port)) as server:
            assert server.wait() == 1
            assert server.errors == f"port {port} on 127.0.0.1 is in use by another program\n"


def test_examples_are_reached_from_this_machine_only() -> None:
    for name in ("websocket_server", "sse_server", "demo"):
        with example(name, "0") as server:
            assert server.line().startswith("serving on http://127.0.0.1:")


# -- out of file descriptors -------------------------------------------------------------------------------------------


@pytest.fixture(params=["any", "asyncio"])
def starving(request: pytest.FixtureRequest) -> Iterator[tuple[Program, int]]:
    """A server with few file descriptors left, on the usual event loop and on asyncio's."""
    with program(grace=1.0, loop=request.param) as server:
        port = server.port()
        used = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 10, used + 10))
        yield server, port


def is_served(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        try:
            sock.sendall(get("/"))
            return sock.recv(65536).startswith(b"HTTP/1.1 200")
        except ConnectionError:  # some event loops close what they cannot serve
            return False


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_without_file_descriptors_the_server_rests_and_then_goes_on(starving: tuple[Program, int]) -> None:
    server, port = starving
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE)) for _ in range(16)]
        for sock in waiting:
            sock.sendall(get("/"))
        for sock in waiting[:5]:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        before = cpu_seconds(server.process.pid)
        time.sleep(1.0)  # what is measured is the cost of this second
        spent = cpu_seconds(server.process.pid) - before
        assert spent < 0.25, f"{spent} s of CPU in one second of waiting"
    until = time.monotonic() + DEADLINE
    while not is_served(port):
        assert time.monotonic() < until, "accepting did not go on"
    assert len(server.errors.splitlines()) <= 30, server.errors[:2000]


# -- faults of the examples --------------------------------------------------------------------------------------------


@pytest.fixture
def chat() -> Iterator[str]:
    with example("websocket_server", "0") as server:
        yield f"ws://127.0.0.1:{server.port()}/ws"


async def received(ws: Any) -> dict[str, str]:
    async with asyncio.timeout(DEADLINE):
        found: dict[str, str] = json.loads(await ws.recv())
        return found


async def test_the_echo_is_json_whatever_was_said(chat: str) -> None:
    async with dial(f"{chat}/echo", proxy=None) as ws:
        assert await received(ws) == {"type": "welcome", "message": "Connected to echo server"}
        for text in (MARKUP, '", "type": "system', "\x00\n\u2028"):
            await ws.send(text)
            assert await received(ws) == {"type": "echo", "data": text}
        await ws.send(bytes(range(256)))
        assert await ws.recv() == bytes(range(256))


async def test_the_chat_reaches_the_others_with_notices_of_who_comes_and_goes(chat: str) -> None:
    async with dial(f"{chat}/chat", proxy=None) as first:
        assert (await received(first))["message"] == "Welcome to the chat room, guest 1!"
        async with dial(f"{chat}/chat", proxy=None) as second:
            assert (await received(second))["message"] == "Welcome to the chat room, guest 2!"
            assert await received(first) == {"type": "system", "message": "guest 2 has joined"}
            await first.send(MARKUP)
            for ws in (first, second):
                assert await received(ws) == {"type": "message", "from": "guest 1", "data": MARKUP}
        assert await received(first) == {"type": "system", "message": "guest 2 has left"}


def read_stream(port: int, events: int, *, last_event_id: str = "") -> bytes:
    """The beginning of the example's stream up to so many events."""
    headers = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        sock.sendall(f"GET /events HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n".encode())
        data = b""
        while data.count(b"\nid: ") < events or not data.endswith(b"\n\n"):
            part = sock.recv(65536)
            assert part, data
            data += part
    return data.partition(b"\r\n\r\n")[2]


def ids(stream: bytes) -> list[int]:
    return [int(line[4:]) for line in stream.split(b"\n") if line.startswith(b"id: ")]


def test_every_reader_of_the_stream_has_its_own_numbers_and_goes_on_behind_its_last_one() -> None:
    with example("sse_server", "0", "--interval", "0.01") as server:
        port = server.port()
        stream = read_stream(port, 9)
        assert stream.startswith(b"retry: 3000\n\nid: 1\nevent: heartbeat\n")
        assert ids(stream)[:9] == list(range(1, 10))
        assert all(b"id: " in block for block in stream.split(b"\n\n") if b"data: " in block)
        assert ids(read_stream(port, 2))[0] == 1
        assert ids(read_stream(port, 2, last_event_id="41"))[0] == 42
        for foreign in ("x", "-5", "1" * 30):
            assert ids(read_stream(port, 1, last_event_id=foreign))[0] == 1


def test_the_stream_is_for_get_only() -> None:
    with (
        example("sse_server", "0") as server,
        dialled(server.port(), b"POST /events HTTP/1.1\r\nHost: a\r\n\r\n") as sock,
    ):
        assert sock.recv(65536).startswith(b"TTP/1.1 4")
