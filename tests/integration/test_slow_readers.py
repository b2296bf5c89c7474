"""Readers that take nothing, among others: what they cost, and how they end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from elio import EventStream, Limits, Request, Response, Router, Server, WebSocket, broadcast
from support.house import ROOT
from support.processes import run
from support.raw import HANDSHAKE, serve, until

ESTABLISHED, CLOSED = 1, 7
"""States of TCP (linux/tcp_states.h)."""

OPTIONS = "--readers 20 --stalled 5 --rate 8000 --max-backlog 524288 --seconds 2 --warmup 0.2"


async def test_stalled_readers_cost_their_bounds_and_the_others_miss_nothing() -> None:
    options = (*OPTIONS.split(), "--memory-only")
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    finished = await run(sys.executable, "-m", "benchmarks.soak.slow", *options, environment=environment)
    assert finished.status == 0, finished.output.decode() + finished.errors
    assert b"PASSED" in finished.output


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
