"""A client that speaks bytes: what it sends and what comes back is written out in the test."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from elio import Limits, Router, Server
from support.frames import frame, xor

DEADLINE = 30.0
"""Seconds for anything that is waited for."""

HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        try:
            self.writer.write(data)
        except RuntimeError as error:  # so uvloop says that the connection is lost
            raise ConnectionResetError(str(error)) from error

    def send_eof(self) -> None:
        self.writer.write_eof()

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(size)

    async def read_until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readuntil(mark)

    async def read_all(self) -> bytes:
        """Up to the end of the stream; a reset counts as one."""
        data = b""
        async with asyncio.timeout(DEADLINE):
            try:
                while part := await self.reader.read(65536):
                    data += part
            except ConnectionError:
                pass
        return data

    async def head(self) -> Answer:
        """The head of a response."""
        block = (await self.read_until(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = block.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Answer(int(status_line.split()[1]), headers, b"")

    async def answer(self, *, head_only: bool = False) -> Answer:
        """A response with its body."""
        head = await self.head()
        body = b""
        if head_only or head.status in (101, 204, 304):
            pass
        elif "content-length" in head.headers:
            body = await self.read(int(head.headers["content-length"]))
        elif head.headers.get("transfer-encoding") == "chunked":
            while part := await self.chunk():
                body += part
        else:
            body = await self.read_all()
        return Answer(head.status, head.headers, body)

    async def chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end."""
        size = int((await self.read_until(b"\r\n")).split(b";")[0], 16)
        data = await self.read(size + 2)
        return data[:-2]

    async def get(self, target: str, *, headers: str = "", method: str = "GET") -> Answer:
        self.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode("latin-1"))
        return await self.answer(head_only=method == "HEAD")

    # -- WebSocket -----------------------------------------------------------------------------------------------------

    async def upgrade(self, target: str = "/ws", *, headers: str = "", behind: bytes = b"") -> Answer:
        """The opening handshake, with frames right behind it."""
        self.send(HANDSHAKE % (target.encode(), headers.encode("latin-1")) + behind)
        return await self.answer()

    def frame(self, head: int, payload: bytes = b"") -> None:
        """Send a masked frame."""
        self.send(frame(head, payload))

    async def receive_frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next frame."""
        first, second = await self.read(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self.read(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.read(8), "big")
        key = await self.read(4) if second & 0x80 else b""
        payload = await self.read(size)
        return first, xor(payload, key) if key else payload

    async def receive_close(self) -> tuple[int, str]:
        """Code and reason of a close frame, which must be the next one."""
        first, payload = await self.receive_frame()
        if first != 0x88:
            raise AssertionError(f"frame {first:#x} {payload[:100]!r} instead of a close frame")
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def reset(self) -> None:
        """End with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that the loop brings about by itself."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serve(router: Router, *, limits: Limits | None = None, **options: Any) -> AsyncIterator[Server]:
    """A server on a free port, closed at the end with whatever it still has."""
    server = Server(router, port=0, limits=limits or Limits(), **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close(grace=0.5)


@asynccontextmanager
async def connect(server: Server, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    """A raw connection to a server."""
    name = "localhost" if tls is not None else None
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls, server_hostname=name)
    raw = Raw(reader, writer)
    try:
        yield raw
    finally:
        await raw.close()
