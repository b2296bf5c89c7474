"""Whatever bytes a client sends, and however it leaves: a whole server logs no error of its own, and is done with it.

The first byte of an input chooses the cuts, and whether the client leaves politely; the rest is what it sends, over a
Unix socket. It reads all the time, and its connection must come to an end soon after it has left. Where the reactor is
built it carries the connections, elsewhere the event loop does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from harness import main, pieces

from elio import Event, EventStream, HTTPError, Limits, Request, Response, Router, Server, WebSocket

DEADLINE: Final = 10.0
"""Seconds in which a connection must have ended."""
LEAVES_AT_ONCE: Final = 0x80
LIMITS: Final = Limits(
    max_request_line_size=200,
    max_headers=12,
    max_headers_size=600,
    max_body_size=1000,
    max_body_overhead=200,
    max_message_size=2048,
    max_fragments=50,
    max_empty_frames=50,
    max_queue=3,
    write_limit=4096,
)

router = Router()


class Planned(Exception):
    """What a handler of ours raises."""


@router.get("/")
async def index(request: Request) -> Response:
    return Response.text("hello")


@router.get("/items/{name}")
async def item(request: Request) -> Response:
    return Response.json([request.params["name"], request.query.get("x"), request.cookies.get("a")])


@router.post("/echo")
async def echo_body(request: Request) -> Response:
    return Response.bytes(await request.body())


@router.get("/raise")
async def fail(request: Request) -> Response:
    raise HTTPError(418)


@router.sse("/events")
async def events(stream: EventStream) -> None:
    for number in range(3):
        await stream.send(Event(f"a\n{number}", id=str(number)))


@router.websocket("/ws", subprotocols=["json"], compression=True)
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@router.websocket("/push")
async def push(ws: WebSocket) -> None:
    for _ in range(20):
        await ws.send(bytes(1000))


@router.websocket("/close")
async def close(ws: WebSocket) -> None:
    await ws.receive()
    await ws.close(4000, "enough")


@router.websocket("/refuse")
async def refuse(ws: WebSocket) -> None:
    raise HTTPError(403)


class Errors(logging.Handler):
    """Keeps what the server calls an error of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


class Bench:
    """One server for all inputs, and the loop that both run in."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.errors = Errors()
        logging.getLogger().addHandler(self.errors)
        self.loop.set_exception_handler(lambda _, context: self.errors.seen.append(str(context)))
        self.path = str(Path(tempfile.mkdtemp(prefix="elio-fuzz-")) / "server")
        self.server = Server(router, uds=self.path, limits=LIMITS)
        self.loop.run_until_complete(self.server.start())

    def check(self, data: bytes) -> None:
        """Be one client."""
        if data:
            self.loop.run_until_complete(self._visit(data[0], data[1:]))
        assert not self.errors.seen, self.errors.seen.pop()

    async def _visit(self, choice: int, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)
                await self.loop.sock_connect(sock, self.path)
                reader = self.loop.create_task(self._read(sock))
                await self._send(sock, choice & 0x7F, data)
                if choice & LEAVES_AT_ONCE:
                    reader.cancel()
                else:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_WR)
                [answer] = await asyncio.gather(reader, return_exceptions=True)
            if isinstance(answer, bytes):
                assert answer[:7] in (b"", b"HTTP/1."), answer
            while self.server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _send(self, sock: socket.socket, seed: int, data: bytes) -> None:
        with suppress(ConnectionError):
            for piece in pieces(data, seed):
                await self.loop.sock_sendall(sock, piece)
                await asyncio.sleep(0)

    async def _read(self, sock: socket.socket) -> bytes:
        parts = []
        with suppress(ConnectionError):
            while part := await self.loop.sock_recv(sock, 65536):
                parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """End the server and the loop."""
        self.loop.run_until_complete(self.server.close())
        self.loop.close()
        Path(self.path).parent.rmdir()


def run() -> None:
    bench: Any = Bench()
    try:
        main("server", bench.check)
    finally:
        bench.close()


if __name__ == "__main__":
    run()
