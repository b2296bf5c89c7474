"""Peers that vanish without a word: a network that is cut, with a peer in another network namespace."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from elio import EventStream, Limits, Request, Response, Router, Server, WebSocket
from elio.net.accept import open_reactor
from elio.server.watch.silence import is_silent
from support.engines import Recorder
from support.raw import DEADLINE, connect, serve, until

NUMBERS = itertools.count(1)
CLIENT = """
import socket, sys
host, port, *targets = sys.argv[1:]
socks = []
for target in targets:
    sock = socket.create_connection((host, int(port)))
    upgrade = "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n"
    sock.sendall(f"GET {target} HTTP/1.1\\r\\nHost: {host}\\r\\n{upgrade if 'ws' in target else ''}\\r\\n".encode())
    socks.append(sock)
print("ready", flush=True)
sys.stdin.read()
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[tuple[str, str]]:
    """The name of another network namespace, joined to this one by a pair of virtual cables, and our address there."""
    number = next(NUMBERS)
    name = f"elio{os.getpid() % 100_000}x{number}"  # the kernel takes its time to forget one
    here = f"10.213.{number}.1"
    if not sys.platform.startswith("linux") or shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs Linux, the program ip, and the right to make network namespaces")
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("network namespaces are not permitted here")
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("addr", "add", f"{here}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"10.213.{number}.2/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        yield name, here
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", f"{name}a")  # the kernel deletes it with the namespace, but later
        ip("netns", "del", name)


@dataclass
class Seen:
    open: int = 0
    ended: dict[str, tuple[float, Any]] = field(default_factory=dict)


def make_router(seen: Seen) -> Router:
    router = Router()

    async def wait(name: str) -> None:
        seen.open += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.ended[name] = (time.monotonic(), error.args[0])
            raise

    @router.get("/http")
    async def http(request: Request) -> Response:
        await wait("http")
        return Response()

    @router.sse("/sse")
    async def sse(stream: EventStream) -> None:
        await stream.send("one")
        await wait("sse")

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        await ws.accept()
        await wait("ws")

    return router


@pytest.mark.parametrize("interval", [20.0, 0.3], ids=["nothing on its way", "pings and comments on their way"])
async def test_a_peer_that_vanishes_is_noticed_in_time(
    network: tuple[str, str], interval: float, caplog: pytest.LogCaptureFixture
) -> None:
    name, here = network
    seen = Seen()
    timeout = 3.0
    limits = Limits(unacknowledged_timeout=timeout, keep_alive_interval=interval, ping_interval=interval)
    async with serve(make_router(seen), limits=limits, host=here) as server:
        command = ["ip", "netns", "exec", name, sys.executable, "-c", CLIENT, here, str(server.port)]
        client = await asyncio.create_subprocess_exec(
            *command, "/http", "/sse", "/ws", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            if client.stdout is None:
                raise AssertionError("no output")
            async with asyncio.timeout(DEADLINE):
                await client.stdout.readline()
            await until(lambda: seen.open == 3)
            ip("-n", name, "link", "set", f"{name}b", "down")
            cut = time.monotonic()
            await until(lambda: len(seen.ended) == 3)
        finally:
            with suppress(ProcessLookupError):
                client.kill()
            await client.wait()
        assert {word for _, word in seen.ended.values()} == {"peer_gone"}
        await until(lambda: server.connections == 0)
        assert server.counters.limits == {"unacknowledged_timeout": 4}  # the stream, and the connection below it
    for which, (when, _) in seen.ended.items():
        assert when - cut < timeout + 1.0, f"{which} was noticed after {when - cut:.2f} s"
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_who_is_there_is_not_silent() -> None:
    async with serve(make_router(Seen())) as server, connect(server) as raw:
        transport = raw.writer.transport
        assert not is_silent(transport, 60_000)


class Carried:
    """A transport over a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def get_extra_info(self, name: str) -> socket.socket:
        return self.sock


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("looks", ["reactor", "transports"])
async def test_who_came_before_probing_was_switched_on_is_probed_before_it_is_judged(looks: str) -> None:
    # Such as a client that came to the socket of systemd, or of a supervisor, before the server had started.
    reactor = open_reactor(asyncio.get_running_loop())
    if looks == "reactor" and reactor is None:
        pytest.skip("the reactor is not built or switched off")
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        sock, _ = listener.accept()
        receiver = Recorder()
        if looks == "reactor" and reactor is not None:
            reactor.adopt(sock, receiver)
            reactor.cut_silent(0, 0, 1000)
            await asyncio.sleep(0)
        else:
            assert not is_silent(Carried(sock), 0)
        assert "lost" not in receiver.calls
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        assert [sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) for option in options] == [1, 1, 2]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if looks == "reactor" and reactor is not None:
            reactor.cut_silent(0, 0, 1000)
            await receiver.until_told("lost")
        else:
            assert is_silent(Carried(sock), 0)
            sock.close()
    if reactor is not None:
        reactor.close()


async def test_a_unix_socket_cannot_be_silent(tmp_path: Any) -> None:
    async with Server(make_router(Seen()), uds=str(tmp_path / "s")):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        assert not is_silent(writer.transport, 0)
        writer.close()
        await writer.wait_closed()
        del reader
