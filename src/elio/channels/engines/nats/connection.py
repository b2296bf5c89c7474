"""One connection to a NATS server: its text protocol, requests and their answers, subscriptions.

What goes out in one turn of the loop is one write. Requests share one subscription for answers; a request that is
cancelled leaves nothing behind, for each has a name of its own.

Not here: JetStream, coming back after a loss, and the signed nonces of NKeys.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from itertools import count
from secrets import token_hex
from typing import Any, Final, NamedTuple

from ....errors import EngineLost
from ..._made import made

__all__ = ["Message", "NatsConnection"]

_ENOUGH: Final = 16 * 1024
"""Bytes that are sent before the turn of the loop has ended: the server works while this process does."""
_ANSWERS: Final = "0"
"""ID of the subscription for answers."""


class Message(NamedTuple):
    """What came.

    Attributes:
        subject: where it was published.
        reply: where answers go; b"" for nowhere.
        headers: as on the wire, b"" for none.
        data: its payload.
    """

    subject: bytes
    reply: bytes
    headers: bytes
    data: bytes

    @property
    def status(self) -> bytes:
        """The status of an answer that is no message; b"" for a message."""
        return self.headers[9:12].strip() if self.headers[8:9] == b" " else b""

    def header(self, name: bytes) -> bytes:
        """The value of a header; b"" if there is none."""
        start = self.headers.find(b"\r\n" + name + b":")
        if start < 0:
            return b""
        start += len(name) + 3
        return self.headers[start : self.headers.find(b"\r\n", start)].strip()


class NatsConnection(asyncio.Protocol):
    """A connection, of which :meth:`greeted` must be awaited and :meth:`introduce` called first.

    Args:
        on_lost: called once with the reason when it has ended.
        on_settled: called when all that came at once has been told.
    """

    def __init__(self, on_lost: Callable[[str], object], on_settled: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost: Callable[[str], object] | None = on_lost
        self._on_settled = on_settled
        self._info: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self._in = b""
        self._out: list[bytes] = []
        self._out_size = 0
        self._room: asyncio.Future[None] | None = None
        self._pings: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._numbers = count(1)
        self._inbox = f"_INBOX.{token_hex(8)}.".encode()
        self._waiting: dict[bytes, tuple[float, asyncio.Future[Message]]] = {}
        self._takers: dict[bytes, Callable[[Message], object]] = {_ANSWERS.encode(): self._answered}

    # -- what the transport calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is there; over TLS again."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        """The stream has ended."""
        self._transport = None
        self._end(self._why or (str(error) if error else "closed by the engine"))

    def pause_writing(self) -> None:
        """The server takes less than is sent."""
        self._room = self._room or self._loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        data = self._in + data if self._in else data
        start, size = 0, len(data)
        try:
            while start < size and not self._why:
                end = data.find(b"\r\n", start)
                if end < 0:
                    break
                after = self._take(data, start, end)
                if after < 0:
                    break
                start = after
        except (ValueError, IndexError, LookupError) as error:
            self.abort(f"not the protocol of NATS: {error!r}")
        self._in = data[start:]
        self._on_settled()

    # -- parsing -------------------------------------------------------------------------------------------------------

    def _take(self, data: bytes, start: int, end: int) -> int:
        """Take what begins with a line.

        Returns:
            Where the next line begins; -1 if not all of it is there.
        """
        words = data[start:end].split(b" ")
        verb = words[0].upper()
        if verb == b"MSG":
            has_reply, middle = len(words) == 5, end + 2
        elif verb == b"HMSG":
            has_reply, middle = len(words) == 6, end + 2 + int(words[-2])
        else:
            self._control(verb, data[start + len(verb) : end].strip())
            return end + 2
        after = end + 2 + int(words[-1])
        if len(data) < after + 2:
            return -1
        taker = self._takers.get(words[2])
        if taker is not None:
            reply = words[3] if has_reply else b""
            taker(made(Message, (words[1], reply, data[end + 2 : middle], data[middle:after])))
        return after + 2

    def _control(self, verb: bytes, rest: bytes) -> None:
        if verb == b"PING":
            self.send(b"PONG\r\n")
        elif verb == b"PONG":
            _, answer = self._pings.popleft()
            if not answer.done():
                answer.set_result(None)
        elif verb == b"INFO":
            if not self._info.done():
                self._info.set_result(json.loads(rest))
        elif verb == b"-ERR":
            # Of most errors the connection dies; a refused subscription or publication is no reason to go on either.
            self.abort(rest.strip(b"'").decode(errors="replace"))

    def _answered(self, message: Message) -> None:
        _, answer = self._waiting.get(message.subject[len(self._inbox) :], (0.0, None))
        if answer is not None and not answer.done():
            answer.set_result(message)

    # -- the beginning -------------------------------------------------------------------------------------------------

    async def greeted(self) -> dict[str, Any]:
        """What the server says of itself."""
        return await asyncio.shield(self._info)

    @property
    def transport(self) -> asyncio.Transport:
        """The stream.

        Raises:
            EngineLost: there is none any more.
        """
        if self._transport is None:
            raise EngineLost(self._why)
        return self._transport

    def introduce(self, options: dict[str, object]) -> None:
        """Say who this is, and where answers go."""
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.send(b"SUB %b* %b\r\n" % (self._inbox, _ANSWERS.encode()))

    # -- sending -------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> asyncio.Future[None] | None:
        """What to wait for before sending more; None if there is room."""
        return self._room

    def send(self, data: bytes) -> None:
        """Send at the end of this turn of the loop, or when there is enough for the server to begin with."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size >= _ENOUGH:
            self._flush()

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._out_size = 0
        if out and self._transport is not None and not self._why:
            self._transport.write(b"".join(out))

    def publish(self, subject: str, payload: bytes, reply: bytes = b"", headers: bytes = b"") -> None:
        """Publish.

        Args:
            subject: where.
            payload: what.
            reply: where answers go.
            headers: lines that end with CR and LF.
        """
        if headers:
            headers = b"NATS/1.0\r\n" + headers + b"\r\n"
            size = len(headers)
            head = b"HPUB %b %b %d %d\r\n" % (subject.encode(), reply, size, size + len(payload))
            self.send(head + headers + payload + b"\r\n")
        else:
            self.send(b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply, len(payload), payload))

    async def request(self, subject: str, payload: bytes, headers: bytes = b"") -> Message:
        """Publish, and wait for the answer.

        Raises:
            EngineLost: the connection was lost, or the answer is overdue.
        """
        if self._why:
            raise EngineLost(self._why)
        name = b"%d" % next(self._numbers)
        answer = self._loop.create_future()
        self._waiting[name] = self._loop.time(), answer
        self.publish(subject, payload, self._inbox + name, headers)
        try:
            return await answer  # type: ignore[no-any-return]
        finally:
            self._waiting.pop(name, None)

    async def ping(self) -> None:
        """A round trip: the server has seen all that was sent before."""
        if self._why:
            raise EngineLost(self._why)
        answer = self._loop.create_future()
        self._pings.append((self._loop.time(), answer))
        self.send(b"PING\r\n")
        await answer

    def subscribe(self, number: str, subject: str, taker: Callable[[Message], object]) -> None:
        """Messages of a subject come from now on.

        Args:
            number: its ID, which is not in use.
            subject: which.
            taker: told each.
        """
        self._takers[number.encode()] = taker
        self.send(f"SUB {subject} {number}\r\n".encode())

    def unsubscribe(self, number: str) -> None:
        """They come no more."""
        if self._takers.pop(number.encode(), None) is not None:
            self.send(f"UNSUB {number}\r\n".encode())

    # -- the end -------------------------------------------------------------------------------------------------------

    def check(self, timeout: float) -> None:
        """Give up what is overdue.

        Args:
            timeout: seconds that an answer may take.
        """
        latest = self._loop.time() - timeout
        if self._pings and self._pings[0][0] < latest:
            self.abort(f"no answer within {timeout:g} seconds")
        for sent_at, answer in list(self._waiting.values()):
            if sent_at > latest:
                break
            if not answer.done():
                answer.set_exception(EngineLost(f"no answer within {timeout:g} seconds", is_unknown=True))

    def abort(self, why: str) -> None:
        """Cut it, and tell everybody who waits."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def _end(self, why: str) -> None:
        self._why = self._why or why
        waits = [answer for _, answer in self._waiting.values()]
        pings = [answer for _, answer in self._pings]
        self._pings.clear()
        everybody: list[asyncio.Future[Any]] = [*waits, *pings, self._info]
        for answer in everybody:
            if not answer.done():
                answer.set_exception(EngineLost(self._why, is_unknown=True))
        if not self._info.cancelled():
            self._info.exception()  # Nobody may have asked.
        self.resume_writing()
        told, self._on_lost = self._on_lost, None
        if told is not None:
            told(self._why)
