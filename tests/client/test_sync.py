"""The clients for threads, with servers in the background."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import elio
from elio import Event, EventStream, Router, Server, WebSocket
from elio.client.background import Background
from elio.client.backoff import ConnectionState
from elio.errors import (
    ConcurrencyError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    StreamClosed,
)
from support.house import SOURCE
from support.processes import complaints
from support.raw import DEADLINE
from support.site import Certificates, make_certificates


def make_router() -> Router:
    router = Router()

    @router.websocket("/echo", subprotocols=["chat"])
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.websocket("/greet")
    async def greet(ws: WebSocket) -> None:
        await ws.send("hello")

    @router.websocket("/fail")
    async def fail(ws: WebSocket) -> None:
        await ws.close(1011, "no")

    @router.websocket("/burst")
    async def burst(ws: WebSocket) -> None:
        for number in range(1000):
            await ws.send(str(number))

    @router.websocket("/late")
    async def late(ws: WebSocket) -> None:
        message = await ws.receive()
        await asyncio.sleep(0.2)
        await ws.send(message)

    @router.websocket("/deaf")
    async def deaf(ws: WebSocket) -> None:
        await ws.send("hello")
        await asyncio.Event().wait()

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        start = int(stream.last_event_id or 0)
        for number in range(start + 1, min(start + 3, 7)):
            await stream.send(Event(f"event {number}", id=str(number)))
        if start >= 6:
            raise elio.HTTPError(404, "no more")
        await stream.send_retry(0.0)

    @router.sse("/quiet")
    async def quiet(stream: EventStream) -> None:
        await stream.send("first")
        await asyncio.Event().wait()

    return router


@contextmanager
def serving(tls: Any = None) -> Iterator[int]:
    """The port of a server in a thread and on a loop of its own."""
    started: ThreadPoolExecutor = ThreadPoolExecutor(1)
    loop = asyncio.new_event_loop()
    server = Server(make_router(), port=0, tls=tls)
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        async with server:
            ready.set()
            await stop.wait()

    future = started.submit(loop.run_until_complete, main())
    try:
        assert ready.wait(DEADLINE)
        yield server.port
    finally:
        loop.call_soon_threadsafe(stop.set)
        future.result(DEADLINE)
        loop.close()
        started.shutdown()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(DEADLINE)


# -- WebSocket ---------------------------------------------------------------------------------------------------------


def test_messages_go_back_and_forth(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/echo", subprotocols=["chat"]) as ws:
        assert ws.is_open
        assert ws.subprotocol == "chat"
        assert ws.response_headers is not None
        for message in ("text", b"binary", "x" * 300_000, b"y" * 300_000):
            ws.send(message)
            assert ws.receive() == message
        assert ws.ping() > 0.0
        assert ws.latency is not None
        ws.pong(b"unasked")
    assert not ws.is_open
    assert (ws.close_code, ws.close_reason) == (1000, "")
    assert repr(ws) == "<elio.sync.WebSocket closed 1000>"


def test_messages_over_tls(certificates: Certificates) -> None:
    tls = certificates.client()
    server = serving((certificates.certificate, certificates.key))
    with server as port, elio.sync.connect(f"wss://localhost:{port}/echo", tls=tls) as ws:
        for number in range(100):
            ws.send(str(number))
            assert ws.receive(DEADLINE) == str(number)


def test_iteration_ends_with_an_agreed_end(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/greet") as ws:
        assert list(ws) == ["hello"]
        with pytest.raises(ConnectionClosedOK):
            ws.receive()
        with pytest.raises(ConnectionClosed):
            ws.send("late")


def test_iteration_raises_at_any_other_end(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/fail") as ws, pytest.raises(ConnectionClosedError, match="1011"):
        list(ws)


def test_a_burst_arrives_in_order(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/burst") as ws:
        assert list(ws) == [str(number) for number in range(1000)]


def test_a_receive_that_times_out_loses_nothing(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/late") as ws:
        ws.send("message")
        timeouts = 0
        while True:
            try:
                assert ws.receive(timeout=0.02) == "message"
                break
            except TimeoutError:
                timeouts += 1
        assert timeouts > 0
    with elio.sync.connect(f"ws://127.0.0.1:{port}/echo") as ws, pytest.raises(TimeoutError, match="within 0 seconds"):
        ws.receive(timeout=0)


def test_several_threads_share_a_connection(port: int) -> None:
    with elio.sync.connect(f"ws://127.0.0.1:{port}/echo") as ws, ThreadPoolExecutor(8) as pool:
        received = [pool.submit(lambda: [ws.receive(DEADLINE) for _ in range(50)]) for _ in range(4)]
        sent = [pool.submit(lambda n=n: [ws.send(f"{n}-{i}") for i in range(50)]) for n in range(4)]
        for future in sent:
            future.result(DEADLINE)
        messages = [message for future in received for message in future.result(DEADLINE)]
        assert sorted(messages) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))


def test_many_connections_from_many_threads(port: int) -> None:
    def talk(number: int) -> None:
        with elio.sync.connect(f"ws://127.0.0.1:{port}/echo") as ws:
            for i in range(30):
                ws.send(f"{number} {i}")
                assert ws.receive(DEADLINE) == f"{number} {i}"

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(talk, number) for number in range(16)]:
            future.result(DEADLINE)


def test_closing_in_one_thread_wakes_who_waits_in_another(port: int) -> None:
    ws = elio.sync.connect(f"ws://127.0.0.1:{port}/echo").open()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ws.receive)
        waits = Background.current().waiting
        while not waits:
            time.sleep(0.001)
        ws.close()
        with pytest.raises(ConnectionClosed):
            waiting.result(DEADLINE)


def test_pings_are_answered_while_nobody_receives(port: int) -> None:
    ws = elio.sync.connect(f"ws://127.0.0.1:{port}/echo").open()
    for _ in range(3):
        ws.send("x")
        assert ws.receive() == "x"
    assert ws.ping(timeout=DEADLINE) > 0.0
    ws.close()


def test_a_slow_peer_makes_the_sender_wait(port: int) -> None:
    ws = elio.sync.connect(f"ws://127.0.0.1:{port}/deaf", compression=False).open()

    def flood() -> None:
        for _ in range(1000):
            ws.send(b"x" * 200_000, timeout=0.05)

    with pytest.raises(TimeoutError):
        flood()
    assert ws.is_open
    ws.abort()
    assert ws.receive(DEADLINE) == "hello"
    with pytest.raises(ConnectionClosedError):
        ws.receive(DEADLINE)


def test_a_server_that_cannot_be_reached() -> None:
    with serving() as free:
        pass
    with pytest.raises(ConnectError), elio.sync.connect(f"ws://127.0.0.1:{free}/"):
        raise AssertionError


def test_a_handshake_that_is_refused(port: int) -> None:
    with pytest.raises(HandshakeError, match="404"):
        elio.sync.connect(f"ws://127.0.0.1:{port}/nowhere").open()


def test_a_connector_connects_again_and_again(port: int) -> None:
    connector = elio.sync.connect(f"ws://127.0.0.1:{port}/greet", reconnect=elio.Reconnect(first_delay=0.01))
    assert repr(connector).startswith("<elio.sync.Connector of")
    greetings = []
    for ws in connector:
        greetings += list(ws)
        if len(greetings) == 3:
            break
    assert greetings == ["hello"] * 3


def test_an_error_in_the_block_closes_with_1011(port: int) -> None:
    with pytest.raises(KeyError), elio.sync.connect(f"ws://127.0.0.1:{port}/echo") as ws:
        raise KeyError
    assert ws.close_code == 1011


# -- event streams -----------------------------------------------------------------------------------------------------


def test_events_are_followed_over_reconnections(port: int) -> None:
    url = f"http://127.0.0.1:{port}/events"
    with elio.sync.EventSource(url, reconnection_time=0.0) as source:
        assert source.url == url
        assert source.headers is not None
        for number, event in zip(range(1, 7), source, strict=False):
            assert event == Event(f"event {number}", type="message", id=str(number))
            assert source.last_event_id == event.id
        with pytest.raises(HandshakeError, match="404"):
            source.receive(DEADLINE)
        assert source.state is ConnectionState.CLOSED
        assert not source.is_complete


def test_an_event_that_does_not_come_in_time(port: int) -> None:
    with elio.sync.EventSource(f"http://127.0.0.1:{port}/quiet") as source:
        assert source.receive(DEADLINE).data == "first"
        with pytest.raises(TimeoutError):
            source.receive(timeout=0.01)
        source.close()
        with pytest.raises(StreamClosed):
            source.receive()
        assert list(source) == []


# -- processes ---------------------------------------------------------------------------------------------------------


def run(program: str, port: int, *, interrupt: bool = False) -> str:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline() if interrupt else ""
        if interrupt:
            process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=3 * DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, complaints(errors)) == (0, [])
    return first + output


OPEN = """
import os, signal, sys, elio
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests behind their back ignores it
ws = elio.sync.connect(f"ws://127.0.0.1:{sys.argv[1]}/echo").open()
ws.send("one")
assert ws.receive() == "one"
"""


def test_the_interpreter_ends_with_an_open_connection(port: int) -> None:
    assert run(OPEN + "print('bye')", port) == "bye\n"


def test_a_keyboard_interrupt_leaves_the_connection_usable(port: int) -> None:
    program = """
try:
    print("waiting", flush=True)
    ws.receive()
except KeyboardInterrupt:
    print("interrupted")
ws.send("two")
print(ws.receive())
ws.close()
"""
    assert run(OPEN + program, port, interrupt=True) == "waiting\ninterrupted\ntwo\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_cannot_use_the_connection_and_can_open_its_own(port: int) -> None:
    program = """
child = os.fork()
if not child:
    for use in (ws.receive, lambda: ws.send("x"), ws.ping):
        try:
            use()
        except elio.ConcurrencyError as error:
            assert "forked" in str(error)
        else:
            raise AssertionError(use)
    ws.close()
    with elio.sync.connect(f"ws://127.0.0.1:{sys.argv[1]}/echo") as own:
        own.send("child")
        print(own.receive(), flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
ws.send("parent")
print(ws.receive())
ws.close()
"""
    assert run(OPEN + program, port) == "child\nparent\n"


def test_the_thread_of_the_loop_cannot_wait(port: int) -> None:
    ws = elio.sync.connect(f"ws://127.0.0.1:{port}/echo").open()

    async def wait() -> None:
        ws.receive()

    with pytest.raises(ConcurrencyError):
        Background.current().run(wait)
    ws.close()
