"""A server of event streams that is written out in the test: one script for each request, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.raw import Raw
from support.scripts import listening

__all__ = ["STREAM", "Asked", "StreamServer", "answer", "chunk", "stream_server"]

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
"""The head of a stream that ends with its connection."""

Answer = Callable[[Raw], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class StreamServer:
    """Where it listens, and what it was asked."""

    port: int
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"


def answer(*pieces: bytes, wait: bool = False) -> Answer:
    """Send pieces; then close, or wait until the client closes."""

    async def script(raw: Raw) -> None:
        for piece in pieces:
            raw.send(piece)
            await raw.writer.drain()
        if wait:
            await raw.read_all()

    return script


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def stream_server(*answers: Answer, host: str = "127.0.0.1") -> AsyncIterator[StreamServer]:
    """Each connection gets the next answer; the last one serves all that follow."""
    asked: list[Asked] = []

    async def script(raw: Raw) -> None:
        head = (await raw.read_until(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await raw.read(int(headers.get("content-length", "0")))
        asked.append(Asked(line, headers, body))
        await answers[min(len(asked), len(answers)) - 1](raw)

    async with listening(script, host=host) as port:
        yield StreamServer(port, asked)
