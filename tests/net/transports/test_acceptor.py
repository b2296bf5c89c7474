"""Accepting in the event loop: connections are served, wait while there are no descriptors, and then go on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from elio.net.transports.acceptor import Acceptor
from support.engines import DEADLINE, reset, runner_of
from support.scarce import Echo, check_scarce

Test = Callable[[socket.socket], Any]


def on_both_loops(test: Test) -> Callable[[str], None]:
    """Run it on asyncio's loop and on uvloop's, with a bound socket."""

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def run(loop: str) -> None:
        with runner_of(loop) as runner, socket.create_server(("127.0.0.1", 0)) as sock:
            runner.run(test(sock))

    run.__name__ = test.__name__
    return run


def listen(sock: socket.socket, factory: Callable[[], Any] = Echo, **options: Any) -> Acceptor:
    return Acceptor(asyncio.get_running_loop(), sock, factory, backlog=100, **options)


async def echoed(sock: socket.socket) -> bool:
    """Whether a new connection gets back what it sends."""
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setblocking(False)
        async with asyncio.timeout(DEADLINE):
            await loop.sock_connect(peer, sock.getsockname())
            await loop.sock_sendall(peer, b"x")
            try:
                return await loop.sock_recv(peer, 1) == b"x"
            except ConnectionResetError:
                return False


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@on_both_loops
async def test_connections_are_served_until_it_is_closed(sock: socket.socket) -> None:
    acceptor = listen(sock)
    for _ in range(3):
        assert await echoed(sock)
    assert acceptor.accepted == 3
    assert "open" in repr(acceptor)
    where = sock.getsockname()
    acceptor.close()
    acceptor.close()
    assert "closed" in repr(acceptor)
    with socket.socket() as peer, pytest.raises(ConnectionRefusedError):
        peer.connect(where)
    await turns()


@on_both_loops
async def test_connections_that_were_reset_before_they_were_accepted_harm_nobody(sock: socket.socket) -> None:
    for _ in range(10):
        reset(socket.create_connection(sock.getsockname()))
    acceptor = listen(sock)
    assert await echoed(sock)
    acceptor.close()
    await turns()


@on_both_loops
async def test_a_factory_that_raises_is_reported_and_the_next_connection_is_served(sock: socket.socket) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    receivers: list[Any] = []
    acceptor = listen(sock, lambda: receivers.pop())
    assert not await echoed(sock)
    assert isinstance(failures[0]["exception"], IndexError)
    receivers.append(Echo())
    assert await echoed(sock)
    acceptor.close()
    await turns()


@on_both_loops
async def test_it_may_be_closed_while_it_accepts(sock: socket.socket) -> None:
    def make() -> Echo:
        acceptor.close()
        return Echo()

    acceptor = listen(sock, make)
    assert await echoed(sock)
    assert acceptor.accepted == 1
    await turns()


@on_both_loops
async def test_it_may_be_closed_while_it_rests(sock: socket.socket) -> None:
    exhausted: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
    acceptor = listen(sock, on_error=exhausted.set_result)
    sock.shutdown(socket.SHUT_RDWR)  # accept fails with EINVAL from now on
    assert (await asyncio.wait_for(exhausted, DEADLINE)).errno == errno.EINVAL
    await turns()
    assert acceptor.rests == 1
    assert "resting" in repr(acceptor)
    acceptor.close()


def test_a_loop_that_watches_no_descriptors_cannot_have_one() -> None:
    class Blind(asyncio.SelectorEventLoop):
        def add_reader(self, *args: object) -> None:
            raise NotImplementedError

    loop = Blind()
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(NotImplementedError):
        Acceptor(loop, sock, Echo, backlog=1)
    loop.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_without_descriptors_accepting_rests_and_resumes_without_spinning(loop: str) -> None:
    check_scarce("acceptor", loop)
