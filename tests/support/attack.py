"""Attacks on a server in another process, and what they cost it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from support.frames import header
from support.processes import Program, python
from support.raw import DEADLINE, Raw

MIB = 1024 * 1024


class Target:
    """A running ``support/target.py``."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = program.port()
        self._process = Path(f"/proc/{program.process.pid}")

    @property
    def log(self) -> str:
        """What it wrote to its standard error so far."""
        return self.program.errors

    def begin(self) -> int:
        """Bytes of memory in use now; the peak is counted from here."""
        (self._process / "clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most bytes of memory that were in use since :meth:`begin`."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = (self._process / "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    def processor_time(self) -> float:
        """Seconds for which its main thread has run."""
        return int((self._process / "schedstat").read_text().split()[0]) / 1e9

    @contextmanager
    def within(self, size: int) -> Iterator[None]:
        """Its memory does not grow by more than so many bytes at any time of the block."""
        before = self.begin()
        yield
        grown = self.peak() - before
        if grown > size:
            raise AssertionError(f"memory grew by {grown / MIB:.1f} MiB, {size / MIB:.1f} are allowed")

    @asynccontextmanager
    async def connect(self, *, receive_buffer: int | None = None) -> AsyncIterator[Raw]:
        """A connection that is reset at the end, whatever is still on its way."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock)
        raw = Raw(reader, writer)
        try:
            yield raw
        finally:
            if not writer.transport.is_closing():
                raw.reset()
            await raw.close()

    async def serves(self) -> None:
        """The next client is served."""
        async with self.connect() as raw:
            answer = await raw.get("/")
            if (answer.status, answer.body) != (200, b"hello"):
                raise AssertionError(answer)

    async def members(self) -> list[int]:
        """How many WebSockets and event streams its handlers count."""
        async with self.connect() as raw:
            found = json.loads((await raw.get("/members")).body)
        return [int(number) for number in found]

    async def until_members(self, expected: list[int]) -> None:
        async with asyncio.timeout(DEADLINE):
            while await self.members() != expected:
                pass

    async def until_it_reads_no_more(self, raw: Raw) -> int:
        """Wait until what is sent stays where it is while others are served.

        Returns:
            How many bytes are left in this process.
        """
        size, same = -1, 0
        async with asyncio.timeout(DEADLINE):
            while same < 50:
                await self.serves()
                left = raw.writer.transport.get_write_buffer_size()
                same = same + 1 if left == size else 0
                size = left
        return size


@contextmanager
def target(**options: Any) -> Iterator[Target]:
    """Run one with these options."""
    program = str(Path(__file__).with_name("target.py"))
    with python(program, json.dumps(options)) as running:
        yield Target(running)


def deaf(raw: Raw) -> None:
    """Read nothing more."""
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]


def quick_frame(head: int, payload: bytes = b"") -> bytes:
    """A frame as a client sends it, masked with a key that changes nothing."""
    return header(head, len(payload), masked=True) + bytes(4) + payload
