"""Readers that take nothing, among others: what they cost, and how they end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing, contextmanager

import pytest

from elio import EventStream, Limits, Request, Response, Router, Server, WebSocket, broadcast
from support.attack import target
from support.raw import HANDSHAKE, Raw, serve, until

ESTABLISHED, CLOSED = 1, 7
"""States of TCP (linux/tcp_states.h)."""

BACKLOG, MESSAGE = 512 * 1024, 4096
OTHERS, STALLED, CUTS = 15, 5, 6
ROUNDS = 20_000
"""Far above what it takes until stalled readers are cut off, whatever the buffers of the system hold."""


async def told(tell: Raw, others: list[Raw], number: int) -> None:
    """A message for everybody, which the others have received in the end: nothing waits but for who reads nothing."""
    message = b"%0*d" % (MESSAGE, number)
    tell.send(b"POST /broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % MESSAGE + message)
    assert (await tell.answer()).status == 200
    for other in others:
        assert await other.receive_frame() == (0x82, message)


async def test_stalled_readers_cost_their_bounds_and_the_others_miss_nothing() -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(target(limits={"max_backlog": BACKLOG, "ping_interval": None}))
        tell, *others = [await stack.enter_async_context(server.connect()) for _ in range(OTHERS + 1)]
        for other in others:
            await other.upgrade("/room")
            await other.receive_frame()
        for number in range(300):
            await told(tell, others, number)
        stalled = [stack.enter_context(closing(await joined(server.port))) for _ in range(STALLED)]
        cuts, rounds = 0, iter(range(ROUNDS))
        with server.within(int(STALLED * BACKLOG * 1.1)):
            while cuts < CUTS:
                await told(tell, others, next(rounds))
                for place, sock in enumerate(stalled):
                    if state_of(sock) != ESTABLISHED:
                        cuts += 1
                        stalled[place] = stack.enter_context(closing(await joined(server.port)))


async def joined(port: int) -> socket.socket:
    """A member of the room that takes nothing."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, HANDSHAKE % (b"/room", b""))
    await loop.sock_recv(sock, 1)
    return sock


def make_router() -> Router:
    router = Router()

    @router.websocket("/broadcast")
    async def tell(ws: WebSocket) -> None:
        await ws.accept()
        while ws.is_open:
            broadcast([ws], bytes(10_000))
            await asyncio.sleep(0)

    @router.websocket("/send")
    async def send(ws: WebSocket) -> None:
        while True:
            await ws.send(bytes(10_000))

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        while True:
            await stream.send("x" * 10_000)

    @router.get("/body")
    async def body(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield bytes(10_000)

        return Response.stream(parts())

    return router


@contextmanager
def reader(server: Server, request: bytes) -> Iterator[socket.socket]:
    """A client that asks for something and takes nothing of it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(request)
        yield sock


@pytest.mark.parametrize(
    ("path", "bound"),
    [("/broadcast", "max_backlog"), ("/send", "send_timeout"), ("/events", "send_timeout"), ("/body", "send_timeout")],
)
async def test_nothing_is_held_for_a_reader_that_was_cut_off(path: str, bound: str) -> None:
    # The system would hold megabytes for it, as long as the reader says that it is there and has no room.
    limits = Limits(max_backlog=100_000) if bound == "max_backlog" else Limits(send_timeout=0.3)
    upgrade = path in ("/broadcast", "/send")
    request = HANDSHAKE % (path.encode(), b"") if upgrade else b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()
    async with serve(make_router(), limits=limits) as server:
        with reader(server, request.replace(b"Host: x", b"Host: localhost")) as sock:
            await until(lambda: server.counters.ends)
            await until(lambda: state_of(sock) != ESTABLISHED)
            assert state_of(sock) == CLOSED
        assert set(server.counters.limits) == {bound}


def state_of(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
