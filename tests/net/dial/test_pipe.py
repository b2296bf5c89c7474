"""Exact numbers of bytes from a socket."""

from __future__ import annotations

import pytest

from elio.errors import ConnectError
from elio.net.dial.pipe import Pipe
from support.raw import Raw
from support.scripts import scripted


async def test_exact_sizes_whatever_the_pieces() -> None:
    async def peer(raw: Raw) -> None:
        assert await raw.read(5) == b"hello"
        for byte in b"abcdefgh":
            raw.send(bytes([byte]))
            await raw.writer.drain()

    async with scripted(peer) as sock:
        pipe = Pipe(sock, "peer")
        await pipe.send(b"hello")
        assert await pipe.receive(3) == b"abc"
        assert await pipe.receive(4) == b"defg"
        assert await pipe.receive_some() == b"h"


async def test_an_early_end_is_told() -> None:
    async def peer(raw: Raw) -> None:
        raw.send(b"ab")
        raw.send_eof()

    async with scripted(peer) as sock:
        with pytest.raises(ConnectError, match="the peer closed the connection"):
            await Pipe(sock, "peer").receive(3)
