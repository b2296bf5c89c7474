"""The floor of asyncio: a uvloop protocol in Python that does nothing but unmask short frames and write them back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import uvloop

from .options import Options, read_options

KEY = re.compile(rb"sec-websocket-key: *([^\r]+)", re.IGNORECASE)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
)
CLOSE = 8


class Echo(asyncio.Protocol):
    __slots__ = ("open", "rest", "transport")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""
        self.open = False

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        if self.open:
            self.echo(data)
        else:
            self.upgrade(data)

    def upgrade(self, data: bytes) -> None:
        self.rest = data
        if b"\r\n\r\n" not in data:
            return
        accept = base64.b64encode(hashlib.sha1(KEY.search(data)[1] + GUID).digest())
        self.open = True
        self.rest = b""
        self.transport.write(ANSWER % accept)

    def echo(self, data: bytes) -> None:
        start, size, out = 0, len(data), []
        while start + 6 <= size:
            length = data[start + 1] & 127
            end = start + 6 + length
            if length > 125 or end > size:
                break
            key = int.from_bytes(data[start + 2 : start + 6] * (length // 4 + 1), "little")
            payload = int.from_bytes(data[start + 6 : end], "little") ^ key & ((1 << 8 * length) - 1)
            out.append(bytes((data[start], length)))
            out.append(payload.to_bytes(length, "little"))
            start = end
        self.rest = data[start:]
        if out:
            self.transport.write(b"".join(out))
            if out[-2][0] & 15 == CLOSE:
                self.transport.close()


async def main(options: Options) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", options.port, backlog=options.backlog)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(read_options()))
