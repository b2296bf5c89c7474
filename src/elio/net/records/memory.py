"""Records through the module `ssl` and its memory buffers: for handshakes, and where nothing faster can be had."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from typing import Final

from .records import Records

__all__ = ["RECORD", "MemoryRecords"]

RECORD: Final = 16_384
"""Bytes of plaintext that one record has at most (RFC 8446 5.1)."""

_RECORD: Final = RECORD

_PIECE: Final = 5 * (RECORD + 256 + 5)
"""Bytes of ciphertext that OpenSSL is given at a time: its buffer for a connection grows to that and stays."""

_OUT: Final = 4 * RECORD
"""Bytes of plaintext that OpenSSL is given at a time: its buffer for a connection grows to twice that at most."""


class MemoryRecords(Records):
    """The records of one connection.

    Args:
        context: certificates and versions.
        buffer: what plaintext is read into: two records at least. Others may use it between two calls.
    """

    __slots__ = ("_buffer", "_engine", "_incoming", "_outgoing", "_view")

    def __init__(self, context: ssl.SSLContext, buffer: bytearray) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._buffer = buffer
        self._view = memoryview(buffer)
        super().__init__(context.wrap_bio(self._incoming, self._outgoing, server_side=True))
        # What it calls in its turn, where it has that: one frame of the interpreter less for each read and write.
        self._engine = getattr(self.tls, "_sslobj", self.tls)

    def shake_hands(self) -> bool:
        """Go on with the handshake, with the next piece of what has come. Returns whether it is complete.

        Raises:
            ssl.SSLError, ssl.CertificateError: it never will be.
        """
        self._feed()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._unread = False
            return False
        self._unread = self._incoming.pending > 0
        return True

    def take_input(self) -> bytes:
        """What has come and is not read yet: it is somebody else's."""
        rest = self._incoming.read() + self._left[self._offset :]
        self.drop_input()
        self._unread = False
        return rest

    def _feed(self) -> None:
        """Give OpenSSL the next piece of what has come."""
        data = self._left
        start = self._offset
        size = len(data) - start
        if size > _PIECE:
            size = _PIECE
            self._offset = start + size
        else:
            self.drop_input()
        self._incoming.write(data if size == len(data) else memoryview(data)[start : start + size])
        self._unread = True

    def read(self) -> bytes:
        """The plaintext of the records that are there, or of the first of them; empty if none is complete."""
        if not self._unread:
            self._feed()
        engine = self._engine
        incoming = self._incoming
        data = buffer = self._buffer
        view = self._view
        room = len(buffer)
        count = 0
        while count <= room - _RECORD:
            try:
                size = engine.read(room - count, view[count:] if count else view)
            except ssl.SSLWantReadError:
                self._unread = False
                break
            except ssl.SSLZeroReturnError:
                size = 0
            except ssl.SSLError as error:
                self.error = error.with_traceback(None)
                size = 0
            if not size:
                self._unread = False
                self.at_end = True
                break
            count += size
            # Asking once more where nothing is left would cost an exception.
            if not incoming.pending:
                self._unread = False
                break
        return bytes(data[:count])

    def write(self, data: bytes) -> bytes:
        """The records of these bytes, behind what :meth:`take` would return."""
        self._engine.write(data)
        written: bytes = self._outgoing.read()
        return written

    def write_pieces(self, list_of_data: Iterable[bytes]) -> list[bytes]:
        """The records of several pieces, one behind the other, in one or several parts."""
        outgoing = self._outgoing
        pieces = []
        for data in list_of_data:
            view = memoryview(data)
            size = len(view)
            for start in range(0, size, _OUT):
                self._engine.write(view[start : start + _OUT])
                if outgoing.pending >= _OUT:
                    pieces.append(outgoing.read())
        if outgoing.pending:
            pieces.append(outgoing.read())
        return pieces

    def end(self) -> None:
        """Make our close_notify (RFC 8446 6.1)."""
        with contextlib.suppress(ssl.SSLError):  # as a rule, since the peer has yet to answer
            self.tls.unwrap()

    def take(self) -> bytes:
        """What OpenSSL has made of its own accord: answers, alerts, our close_notify."""
        return self._outgoing.read() if self._outgoing.pending else b""
