"""Accepting in want of descriptors, in a process of its own: `scarce.py reactor|acceptor asyncio|uvloop`."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from elio.net.transports.acceptor import Acceptor


class Echo:
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.stream = transport

    def data_received(self, data: bytes) -> None:
        self.stream.write(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        pass


async def starve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    sock = socket.create_server(("127.0.0.1", 0))
    errors: list[OSError] = []
    reactor: Any = None
    listener: Any
    if kind == "reactor":
        from elio.net.epoll.reactor import Reactor

        reactor = Reactor(loop)
        listener = reactor.listen(sock, Echo, backlog=100, on_error=errors.append)
    else:
        listener = Acceptor(loop, sock, Echo, backlog=100, on_error=errors.append)
    peers = [socket.socket() for _ in range(20)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (peers[-1].fileno() + 6, 64))
    for peer in peers:
        peer.connect(sock.getsockname())
        peer.setblocking(False)
        peer.send(b"x")
    for peer in peers[:5]:
        assert await asyncio.wait_for(loop.sock_recv(peer, 1), 10) == b"x"
    before = time.process_time()
    await asyncio.sleep(1.5)
    busy = time.process_time() - before
    assert busy < 0.5, busy
    assert [error.errno for error in errors] == [24], errors
    assert listener.rests >= 2, listener
    assert listener.accepted < 20, listener
    peers[0].send(b"y")
    assert await asyncio.wait_for(loop.sock_recv(peers[0], 1), 10) == b"y"
    waiting = listener.accepted
    for peer in peers[:waiting]:
        peer.close()
    for peer in peers[waiting:]:
        assert await asyncio.wait_for(loop.sock_recv(peer, 1), 10) == b"x"
        peer.close()
    assert len(errors) <= 3, errors
    listener.close()
    if reactor is not None:
        reactor.close()
    await asyncio.sleep(0.01)


def check_scarce(kind: str, loop: str) -> None:
    """Accepting rests while there is no descriptor, resumes when there is one, and spins at no time."""
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", __file__, kind, loop],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "served\n", done.stderr


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if sys.argv[2] == "uvloop" else None) as runner:
        runner.run(starve(sys.argv[1]))
    print("served")
