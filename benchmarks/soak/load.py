"""The other side of the soaks: thousands of connections in one process, at little cost each.

The protocols are spoken by hand, as far as the site speaks them: frames of the server up to 64 KiB and without
fragments, and events of one line. Masking keys are zero, which masks nothing.
"""

from __future__ import annotations

import asyncio
import re
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

__all__ = ["HANDSHAKE", "Events", "Member", "Socket", "Tally", "in_steps"]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
EVENT = re.compile(rb"(?:event: pid\ndata: (\d+)|data: n (\d+)|retry: (\d+))\n\n|(0\r\n\r\n)\Z")


@dataclass
class Tally:
    """What all connections have seen."""

    received: int = 0
    echoed: int = 0
    reordered: int = 0
    refused: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    retries: list[int] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    without_farewell: int = 0


class Member(asyncio.Protocol):
    """One connection. `pid` is the process that serves it; `on_lost` is called with it when it is gone."""

    def __init__(self, tally: Tally, on_lost: Callable[[Member], object] | None = None) -> None:
        self.tally = tally
        self.pid = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._on_lost = on_lost
        self._buffer = b""
        self._next = 0
        self._has_head = False
        self._farewell = False

    hello = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.hello)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._has_head:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._has_head = True
            if b" 101 " not in head[:16] and b" 200 " not in head[:16]:
                self.tally.refused += 1
            self._buffer = rest
        self.parse()

    def parse(self) -> None:
        raise NotImplementedError

    def serves(self, pid: int) -> None:
        self.pid = pid
        if not self.ready.done():
            self.ready.set_result(None)

    def number(self, number: int) -> None:
        self.tally.received += 1
        self.tally.reordered += number != self._next
        self._next = number + 1

    def ends(self) -> None:
        self.tally.ends.append(time.monotonic())
        self._farewell = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.without_farewell += not self._farewell
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("lost at the start"))
            self.ready.exception()
        if self._on_lost is not None:
            self._on_lost(self)


class Socket(Member):
    """A WebSocket."""

    hello = HANDSHAKE

    def __init__(self, tally: Tally, on_lost: Callable[[Member], object] | None = None) -> None:
        super().__init__(tally, on_lost)
        self.asked = 0
        self.answered = 0

    def ask(self) -> None:
        """Send a number, which is to come back."""
        if self.transport is None or self.transport.is_closing():
            return
        self._send(0x81, b"e %d" % self.asked)
        self.asked += 1

    def _send(self, head: int, payload: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(bytes((head, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    def parse(self) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 2:
            head, size = buffer[start], buffer[start + 1]
            begin = start + 2
            if size == 126:
                if len(buffer) - start < 4:
                    break
                size = int.from_bytes(buffer[start + 2 : start + 4], "big")
                begin += 2
            if len(buffer) - begin < size:
                break
            self._frame(head, buffer[begin : begin + size])
            start = begin + size
        self._buffer = buffer[start:]

    def _frame(self, head: int, payload: bytes) -> None:
        if head == 0x89:
            self._send(0x8A, payload)
        elif head == 0x88:
            self.tally.codes[struct.unpack("!H", payload[:2])[0]] += 1
            self.ends()
            self._send(0x88, payload[:2])
        elif payload.startswith(b"n "):
            self.number(int(payload[2:]))
        elif payload.startswith(b"e "):
            self.tally.echoed += 1
            self.tally.reordered += int(payload[2:]) != self.answered
            self.answered += 1
        else:
            self.serves(int(payload[4:]))


class Events(Member):
    """An event stream."""

    hello = REQUEST

    def __init__(self, tally: Tally, on_lost: Callable[[Member], object] | None = None) -> None:
        super().__init__(tally, on_lost)
        self._retry: int | None = None

    def parse(self) -> None:
        done = 0
        for found in EVENT.finditer(self._buffer):
            done = found.end()
            pid, number, retry, end = found.groups()
            if pid:
                self.serves(int(pid))
            elif number:
                self.number(int(number))
            elif retry:
                self._retry = int(retry)
            elif end:
                self._complete()
        self._buffer = self._buffer[done:][-64:]

    def _complete(self) -> None:
        if self._retry is not None:
            self.tally.retries.append(self._retry)
            self.ends()


async def in_steps(make: list[Callable[[], Coroutine[object, object, object]]], *, at_once: int = 200) -> None:
    """Await all of them, so many at a time."""
    for start in range(0, len(make), at_once):
        await asyncio.gather(*(each() for each in make[start : start + at_once]))
