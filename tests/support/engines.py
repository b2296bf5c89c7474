"""Streams over real sockets: the reactor's, ours over transports of the loop, and asyncio's own. One test for all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from elio.net.transports.transport_stream import TransportStream

try:
    from elio.net.epoll.reactor import Reactor
except ImportError:
    HAS_REACTOR = False
else:
    HAS_REACTOR = Reactor.is_available()

DEADLINE = 20.0
"""Seconds after which a test that waits has failed."""


class Recorder:
    """A receiver that writes down what it is told."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.stream: Any = None
        self.calls: list[str] = []
        self.data = bytearray()
        self.errors: list[Exception | None] = []
        self.keep_open = keep_open
        self.on_data: Callable[[bytes], object] | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def connection_made(self, transport: Any) -> None:
        self.stream = transport
        self._told("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.data += data
        self._told("data")
        if self.on_data is not None:
            self.on_data(data)

    def eof_received(self) -> bool:
        self._told("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.errors.append(exc)
        self._told("lost")

    def pause_writing(self) -> None:
        self._told("pause")

    def resume_writing(self) -> None:
        self._told("resume")

    def _told(self, call: str) -> None:
        if call != "data" or self.calls[-1:] != ["data"]:
            self.calls.append(call)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so; asked after every call."""
        async with asyncio.timeout(DEADLINE):
            while not is_so():
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    async def until_told(self, call: str) -> None:
        """Wait for the first call of that name."""
        await self.until(lambda: call in self.calls)

    async def until_received(self, size: int) -> None:
        """Wait for so many bytes."""
        await self.until(lambda: len(self.data) >= size)


class Engine:
    """Makes streams over sockets: the reactor's, ours over the loop's transports ("kept"), or the loop's own."""

    def __init__(self, name: str, family: str) -> None:
        self.name = name
        self.is_reactor = name == "reactor"
        self.family = getattr(socket, family)
        self.loop = asyncio.get_running_loop()
        self.failures: list[dict[str, Any]] = []
        self.reactor = Reactor(self.loop) if self.is_reactor else None
        self._open: list[socket.socket] = []
        self._streams: list[Any] = []
        self.loop.set_exception_handler(lambda loop, context: self.failures.append(context))

    def connected_sockets(self) -> tuple[socket.socket, socket.socket]:
        """Two ends of a connection, neither of which blocks."""
        if self.family is socket.AF_UNIX:
            ends = socket.socketpair()
        else:
            host = "::1" if self.family is socket.AF_INET6 else "127.0.0.1"
            with socket.create_server((host, 0), family=self.family) as listening:
                near = socket.create_connection(listening.getsockname()[:2])
                ends = (listening.accept()[0], near)
        for end in ends:
            end.setblocking(False)
        return ends

    async def adopt(self, sock: socket.socket, receiver: Any) -> Any:
        """A stream over a connected socket."""
        if self.reactor is not None:
            stream: Any = self.reactor.adopt(sock, receiver)
        elif self.name == "kept":
            stream = TransportStream(receiver)
            await self.loop.connect_accepted_socket(lambda: stream, sock)
        else:
            stream, _ = await self.loop.connect_accepted_socket(lambda: receiver, sock)
        self._streams.append(stream)
        return stream

    async def pair(self, receiver: Any) -> tuple[Any, socket.socket]:
        """A stream that tells ``receiver``, and the socket of its peer."""
        ours, peer = self.connected_sockets()
        self._open.append(peer)
        return await self.adopt(ours, receiver), peer

    async def send(self, peer: socket.socket, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.loop.sock_sendall(peer, data)

    async def receive(self, peer: socket.socket, size: int) -> bytes:
        """So many bytes, fewer only where the peer's input ends."""
        data = bytearray()
        async with asyncio.timeout(DEADLINE):
            while len(data) < size:
                part = await self.loop.sock_recv(peer, min(size - len(data), 65536))
                if not part:
                    break
                data += part
        return bytes(data)

    async def turns(self, count: int = 5) -> None:
        """Let the loop turn: what does not happen then does not happen by itself."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for stream in self._streams:
            # One that closes already may have something left to write; asyncio's cannot be aborted behind its end.
            if not stream.is_closing() or stream.get_write_buffer_size():
                stream.abort()
        for sock in self._open:
            sock.close()
        await self.turns()
        if self.reactor is not None:
            self.reactor.close()
        await self.turns()


def reset(peer: socket.socket) -> None:
    """Close so that the other side sees a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


@contextlib.contextmanager
def runner_of(loop: str) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        yield runner


def cases(names: tuple[str, ...], families: tuple[str, ...]) -> list[Any]:
    """Parameters ``engine, loop, family``; what is not built or does not exist here is left out."""
    found = []
    for name in names if HAS_REACTOR else [name for name in names if name != "reactor"]:
        for loop in ("asyncio",) if name == "transport" else ("asyncio", "uvloop"):
            for family in families:
                found.append(pytest.param(name, loop, family, id=f"{name}-{loop}-{family.removeprefix('AF_')}"))
    return found


def on_engines(
    *names: str, families: tuple[str, ...] = ("AF_INET", "AF_UNIX")
) -> Callable[[Callable[[Engine], Awaitable[None]]], Callable[[str, str, str], None]]:
    """Run an ``async def test(engine)`` on the engines of those names: ``reactor``, ``kept``, ``transport``."""

    def decorate(test: Callable[[Engine], Awaitable[None]]) -> Callable[[str, str, str], None]:
        @pytest.mark.parametrize(("name", "loop", "family"), cases(names, families))
        def run(name: str, loop: str, family: str) -> None:
            async def inner() -> None:
                engine = Engine(name, family)
                try:
                    await test(engine)
                finally:
                    await engine.close()

            with runner_of(loop) as runner:
                runner.run(inner())

        run.__doc__ = test.__doc__
        return run

    return decorate
