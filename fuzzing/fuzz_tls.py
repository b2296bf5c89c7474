"""Whatever a peer sends behind its handshake, TLS records raise nothing, and both ways to OpenSSL say the same of it.

An input is a list of steps, two bytes each: what is done, and how much of it.
"""

from __future__ import annotations

import ssl
import sys
import tempfile
from pathlib import Path
from typing import Final

from harness import ROOT, main

sys.path.insert(0, str(ROOT / "tests"))

from support.site import make_certificates
from support.tls import Line, Way, as_they_are, read_all, server_context

WAYS: list[Way] = [as_they_are]
try:
    from elio.net.records._openssl import direct
except ImportError:
    pass
else:
    WAYS.append(direct)

with tempfile.TemporaryDirectory() as _folder:
    _certificates = make_certificates(Path(_folder))
    SERVER: Final = server_context(_certificates)
    CLIENTS: Final = [_certificates.client(), _certificates.client()]
CLIENTS[0].maximum_version = ssl.TLSVersion.TLSv1_2

STEPS: Final = 64


class Peer:
    """One connection, one way, and what came of it."""

    def __init__(self, client: ssl.SSLContext, way: Way) -> None:
        self.line = Line(SERVER, client, way)
        self.ciphertext = b""
        self.ends = 0
        self.is_cut = False  # within a record: what is left does not begin with one
        self.seen: list[object] = []

    def step(self, what: int, much: int) -> None:
        line = self.line
        if what == 0 and not self.ends:
            self.ciphertext += line.sent(bytes([much]) * (much * 97 + 1))
        elif what == 1 and self.ciphertext:
            place = much % len(self.ciphertext)
            changed = self.ciphertext[place] ^ 1 << much % 8
            self.ciphertext = self.ciphertext[:place] + bytes([changed]) + self.ciphertext[place + 1 :]
        elif what == 2 and not self.is_cut:
            self.ciphertext = self.ciphertext[5 + int.from_bytes(self.ciphertext[3:5], "big") :]
        elif what == 3:
            self.ciphertext += bytes([20 + much % 5, 3, 3, 0, much]) + b"\x01" * much
        elif what == 4:
            self.arrive(self.ciphertext[:much])
            self.ciphertext = self.ciphertext[much:]
            self.is_cut = True
        elif what == 5:
            self.arrive(self.ciphertext)
            self.ciphertext = b""
            self.is_cut = False
        elif what == 6:
            self.write(much)
        elif what == 7 and not self.ends:
            self.ends += 1
            self.ciphertext += line.end()

    def arrive(self, data: bytes) -> None:
        if not data or self.line.server.at_end:
            return
        read = read_all(self.line.server, data)
        if read:
            self.seen.append(read)
        if self.line.server.at_end:
            # Only whether there is one: its words depend on random bytes where a changed length makes them a header.
            self.seen.append(isinstance(self.line.server.error, ssl.SSLError))

    def write(self, much: int) -> None:
        if self.line.server.at_end:
            return
        size = much * 1021
        sent = self.line.server.write_pieces([b"head", b"x" * size])
        if not self.ends:
            assert len(self.line.read(b"".join(sent))) == size + 4


def check(data: bytes) -> None:
    if len(data) < 3:
        return
    peers = [Peer(CLIENTS[data[0] % 2], way) for way in WAYS]
    for place in range(1, min(len(data) - 1, 2 * STEPS), 2):
        for peer in peers:
            peer.step(data[place] % 8, data[place + 1])
    for peer in peers[1:]:
        assert joined(peer.seen) == joined(peers[0].seen), f"{peer.seen} and {peers[0].seen}"


def joined(seen: list[object]) -> tuple[bytes, list[object]]:
    """All that was read, and how it ended."""
    read = b"".join(part for part in seen if isinstance(part, bytes))
    return read, [part for part in seen if not isinstance(part, bytes)]


if __name__ == "__main__":
    main("tls", check)
