"""A socket as a proxy's handshake needs it: send all, receive an exact number of bytes, one after the other.

For the few bytes before the socket becomes a stream; over any loop, without its transports.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from ...errors import ConnectError

__all__ = ["Pipe"]

_READ_SIZE: Final = 4096


class Pipe:
    """Bytes to and from a proxy.

    Args:
        sock: connected and non-blocking; it stays the caller's.
        name: what errors call the other end.
    """

    __slots__ = ("_loop", "_sock", "name")

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self.name = name

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self._sock, data)

    async def receive(self, size: int) -> bytes:
        """Exactly so many bytes; what follows them stays in the socket.

        Raises:
            ConnectError: the other end closed before.
        """
        data = b""
        while len(data) < size:
            data += await self._receive_up_to(size - len(data))
        return data

    async def receive_some(self) -> bytes:
        """What is there, at least one byte.

        Raises:
            ConnectError: the other end closed.
        """
        return await self._receive_up_to(_READ_SIZE)

    async def _receive_up_to(self, size: int) -> bytes:
        data = await self._loop.sock_recv(self._sock, size)
        if not data:
            raise ConnectError(f"the {self.name} closed the connection")
        return data
