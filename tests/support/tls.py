"""Both sides of a TLS connection without a network: a client of the module `ssl`, and records of ours."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from elio.net.records.memory import MemoryRecords
from elio.net.records.records import Records
from support.site import Certificates

__all__ = ["Client", "Line", "Way", "as_they_are", "read_all", "server_context"]

Way = Callable[[MemoryRecords], Records]
"""How records go on behind the handshake."""


def as_they_are(records: MemoryRecords) -> Records:
    """Through the module `ssl`, as in the handshake."""
    return records


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(certificates.certificate), Path(certificates.key))
    return context


class Client:
    """A client of OpenSSL's without a network: `client` is the object of the module `ssl`.

    Args:
        context: the client's.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self.got_end = False

    def sent(self, data: bytes) -> bytes:
        """The client's records of these bytes."""
        for start in range(0, len(data), 16_384):
            self.client.write(data[start : start + 16_384])
        return self._out.read()

    def read(self, data: bytes) -> bytes:
        """What the client reads in these records. `got_end` says whether the server's end was behind it."""
        self._in.write(data)
        read = b""
        while True:
            try:
                part = self.client.read(65_536)
            except ssl.SSLWantReadError:
                return read
            if not part:
                self.got_end = True
                return read
            read += part

    def end(self) -> bytes:
        """The client's close_notify, which the server has yet to answer."""
        with pytest.raises(ssl.SSLWantReadError):
            self.client.unwrap()
        return self._out.read()


class Line(Client):
    """A client and the records of a server, whose handshake is complete.

    Args:
        server: the server's context.
        client: the client's.
        way: how the server's records go on.
    """

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, way: Way = as_they_are) -> None:
        super().__init__(client)
        self.shaken = MemoryRecords(server, bytearray(8 * 16_384))
        self._shake_hands()
        self.server = way(self.shaken)

    def _shake_hands(self) -> None:
        is_complete = False
        for _ in range(5):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            data = self._out.read()
            if data:
                self.shaken.add(data)
            while not is_complete and self.shaken.has_input():
                is_complete = self.shaken.shake_hands()
            self._in.write(self.shaken.take())
        assert is_complete
        assert self.client.version() == self.shaken.tls.version()


def read_all(records: Records, data: bytes) -> bytes:
    """What is read in this ciphertext."""
    records.add(data)
    read = b""
    while records.has_input() and not records.at_end:
        read += records.read()
    return read
