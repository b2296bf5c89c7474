"""What every server is told on its command line, and the subscriptions of those that have none of their own."""

from __future__ import annotations

import argparse
import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["CASES", "HELLO", "MAX_MESSAGE", "READY", "READY_EVENT", "EventQueues", "Options", "event", "read_options"]

CASES = ("echo", "deflate", "tls", "broadcast", "sse", "http")
HELLO = "Hello, World!"
READY = "ready"
READY_EVENT = b"data: ready\n\n"
MAX_MESSAGE = 4 * 1024 * 1024
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """The port, what is measured, and the files of the certificate for the case `tls`."""

    port: int
    case: str
    certificate: str
    key: str
    backlog: int = BACKLOG

    @property
    def compresses(self) -> bool:
        return self.case == "deflate"

    @property
    def uses_tls(self) -> bool:
        return self.case == "tls"

    def ssl_context(self) -> ssl.SSLContext | None:
        """The context of a server in the case `tls`, else None."""
        if not self.uses_tls:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def read_options(arguments: Iterable[str] | None = None) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--case", choices=CASES, default="echo")
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    values = parser.parse_args(None if arguments is None else list(arguments))
    return Options(values.port, values.case, values.certificate, values.key)


def event(message: str) -> bytes:
    """One event with that data, which is one line."""
    return b"data: %b\n\n" % message.encode()


@dataclass(slots=True)
class EventQueues:
    """A queue for each event stream; whatever waits in one is written at once, as a careful user would do it."""

    queues: set[asyncio.Queue[bytes]] = field(default_factory=set)

    def publish(self, data: bytes) -> None:
        for queue in self.queues:
            queue.put_nowait(data)

    def subscribe(self) -> asyncio.Queue[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.queues.add(queue)
        return queue

    @staticmethod
    async def take(queue: asyncio.Queue[bytes]) -> bytes:
        first = await queue.get()
        if queue.empty():
            return first
        parts = [first]
        while not queue.empty():
            parts.append(queue.get_nowait())
        return b"".join(parts)
