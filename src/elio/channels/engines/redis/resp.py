"""One connection to a server that speaks RESP, the protocol of Redis and Valkey.

Commands of one turn of the loop go out in one write, and answers are matched by their order, so any number of callers
shares a round trip. A caller that is cancelled leaves its place in the row: its answer is taken off and dropped, and
never becomes that of another. A connection whose answers stop coming is cut by :meth:`RespConnection.check`; then, as
with every lost connection, all who wait are told.

Not here: which server, when again, and what commands mean. The parser is hiredis.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from ....errors import ConfigurationError, EngineError, EngineLost

try:
    import hiredis
except ImportError:
    hiredis = None  # type: ignore[assignment]

__all__ = ["Argument", "Listener", "RespConnection"]

Argument = bytes | str | int | float

_HIGH_WATER: Final = 1 << 20
_NEWS: Final = frozenset({b"message", b"pmessage", b"smessage"})
_CHANGES: Final = frozenset(
    {b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
)
# The server cannot do it now, and did not: it starts, it is no longer the master, a part of the cluster is away.
_PASSING: Final = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK")


class Listener(Protocol):
    """Who is told what comes over the connection of a subscriber."""

    def news(self, channel: bytes, data: bytes) -> None:
        """A message of pub/sub."""
        ...

    def changed(self, verb: bytes, name: bytes) -> None:
        """The server confirms what was subscribed to, or left; or has left it by itself."""
        ...

    def settled(self) -> None:
        """All that came at once has been told."""
        ...


class RespConnection(asyncio.Protocol):
    """Commands and their answers over one stream.

    Args:
        on_lost: called once with the reason when the connection has ended.
        listener: makes it the connection of a subscriber, which has no answers but those of PING.

    Raises:
        ConfigurationError: hiredis is not installed.
    """

    def __init__(self, on_lost: Callable[[str], object], listener: Listener | None = None) -> None:
        if hiredis is None:
            raise ConfigurationError("Redis needs the package hiredis: pip install elio-web[redis]")
        self._on_lost = on_lost
        self._listener = listener
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._why = ""
        self._room: asyncio.Future[None] | None = None

    # -- what the transport calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"not RESP: {error}")
        if self._listener is not None:
            self._listener.settled()

    def connection_lost(self, error: Exception | None) -> None:
        """The stream has ended."""
        self._transport = None
        self._end(self._why or (str(error) if error else "closed by the engine"))

    def pause_writing(self) -> None:
        """The server takes less than is sent: callers wait in :meth:`room`."""
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    # -- what the engine calls -------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._why

    @property
    def has_room(self) -> bool:
        """Whether the server takes what is sent."""
        return self._room is None

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """Send a command.

        Returns:
            Its answer. An error of the server becomes an ``EngineError``, a lost connection an ``EngineLost``.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self.is_open:
            answer.set_exception(EngineLost(self._why or "no connection to the engine", is_unknown=False))
            return answer
        self._waiting.append((self._loop.time(), answer))
        self.send(*command)
        return answer

    def send(self, *command: Argument) -> None:
        """Send a command that has no answer of its own: those that subscribe."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))  # type: ignore[arg-type]

    async def room(self) -> None:
        """Wait while more is under way than the server takes."""
        if self._room is not None:
            await asyncio.shield(self._room)

    def check(self, timeout: float) -> None:
        """Cut the connection if an answer is overdue.

        Args:
            timeout: seconds that an answer may take.
        """
        if self._waiting and self._loop.time() - self._waiting[0][0] > timeout:
            self.abort(f"no answer within {timeout:g} seconds")

    def abort(self, why: str) -> None:
        """Cut the connection, and tell everybody who waits."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    # -- inside ----------------------------------------------------------------------------------------

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and not self._why:
            self._transport.write(b"".join(out))

    def _take(self, reply: Any) -> None:
        if self._listener is not None and type(reply) is list and self._is_told(reply, self._listener):
            return
        if not self._waiting:
            self.abort("an answer that nothing asked for")
            return
        _, answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            answer.set_exception(_error(str(reply)))
        else:
            answer.set_result(reply)

    @staticmethod
    def _is_told(reply: list[Any], listener: Listener) -> bool:
        kind = reply[0]
        if kind in _NEWS:
            listener.news(reply[-2], reply[-1])
        elif kind in _CHANGES:
            listener.changed(kind, reply[1])
        else:
            return False
        return True

    def _end(self, why: str) -> None:
        self._why = self._why or why
        waiting, self._waiting = self._waiting, deque()
        for _, answer in waiting:
            if not answer.done():
                answer.set_exception(EngineLost(self._why, is_unknown=True))
        self.resume_writing()
        told, self._on_lost = self._on_lost, _nobody
        told(self._why)


def _error(text: str) -> EngineError:
    """What an error of the server means: it may only be busy with itself."""
    return EngineLost(text) if text.startswith(_PASSING) else EngineError(text)


def _nobody(why: str) -> None:
    """Who is told of a second end."""
