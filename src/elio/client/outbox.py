"""Messages that outlive a connection: a bounded queue in front of the WebSockets of a client that reconnects.

A message stays in the queue until the server is known to have it: behind what is sent goes a ping, and its pong, which
comes in order, confirms all of it. On the next connection the queue is sent from its beginning. So no message is lost;
each arrives once, except that those of the last round trip before a connection broke may arrive twice, since nobody can
know whether they had arrived.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..errors import ConfigurationError, ConnectionClosed, StreamClosed
from ..session import WebSocket
from ..websocket.codes import CloseCode

__all__ = ["Outbox"]


class Outbox:
    """The queue.

    Args:
        size: messages that it holds; a sender waits while it is full.
    """

    __slots__ = ("_confirmed", "_flying", "_is_closed", "_messages", "_more", "_room", "_sent", "_size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ConfigurationError(f"keep is {size}, it must be at least 1")
        self._size = size
        self._messages: deque[str | bytes] = deque()  # what the server is not known to have, oldest first
        self._sent = 0  # how many of them were sent over the present connection
        self._flying = asyncio.Event()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._is_closed = False

    def __len__(self) -> int:
        """Messages that the server is not known to have."""
        return len(self._messages)

    async def send(self, message: str | bytes) -> None:
        """Queue a message; wait while the queue is full.

        Raises:
            StreamClosed: the client has ended.
            TypeError: the message is neither text nor bytes.
            UnicodeEncodeError: the text has lone surrogates.
        """
        if isinstance(message, str):
            message.encode()
        elif not isinstance(message, bytes):
            raise TypeError(f"a message that is kept is str or bytes, not {type(message).__name__}")
        while len(self._messages) >= self._size and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            raise StreamClosed("the client has ended; the message was not taken")
        self._messages.append(message)
        self._more.set()

    async def flush(self) -> None:
        """Wait until the server has everything, over as many connections as it takes.

        Raises:
            StreamClosed: the client has ended before.
        """
        while self._messages:
            if self._is_closed:
                raise StreamClosed(f"the client has ended with {len(self._messages)} messages in its queue")
            self._confirmed.clear()
            await self._confirmed.wait()

    def close(self) -> None:
        """Take no more; whoever waits is told."""
        self._is_closed = True
        self._room.set()
        self._confirmed.set()

    async def serve(self, ws: WebSocket) -> None:
        """Send over a connection what is here and what comes. To be run as a task, and cancelled once it has ended."""
        self._sent = 0
        self._flying.clear()
        confirming = asyncio.ensure_future(self._ask(ws))
        try:
            while True:
                while self._sent < len(self._messages):
                    room = ws.send(self._messages[self._sent])
                    self._sent += 1
                    self._flying.set()
                    await room
                self._more.clear()
                await self._more.wait()
        except ConnectionClosed:
            return
        finally:
            confirming.cancel()
            await asyncio.wait([confirming])

    def settle(self, ws: WebSocket) -> None:
        """The connection has ended. If the server has answered our close frame, it has all that came before that."""
        if ws.end is None and ws.close_code == CloseCode.NORMAL:
            self._confirm(self._sent)
        self._sent = 0

    async def _ask(self, ws: WebSocket) -> None:
        try:
            while True:
                await self._flying.wait()
                count = self._sent
                await ws.ping()
                self._confirm(count)
        except ConnectionClosed:
            return

    def _confirm(self, count: int) -> None:
        for _ in range(count):
            self._messages.popleft()
        self._sent -= count
        if not self._sent:
            self._flying.clear()
        self._room.set()
        self._confirmed.set()
