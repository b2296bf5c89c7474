"""What all ways to read and write the records of a TLS connection have in common (RFC 8446 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Records"]


class Records:
    """The records of one connection: ciphertext becomes plaintext, and the other way round.

    Args:
        tls: the :class:`ssl.SSLObject` of the connection.

    Attributes:
        at_end: whether the peer's close_notify has been read, or something that nobody can read.
        error: why that cannot be read; None for a close_notify.
    """

    __slots__ = ("_left", "_offset", "_unread", "at_end", "error", "tls")

    def __init__(self, tls: Any) -> None:
        self.tls = tls
        self.at_end = False
        self.error: Exception | None = None
        self._left = b""  # ciphertext from the offset on, that OpenSSL has not got yet
        self._offset = 0
        self._unread = False  # whether OpenSSL has got what it has not been asked for

    def add(self, data: bytes) -> bool:
        """Keep ciphertext of the peer, to be read. Returns whether there was none before."""
        if self._left:
            self._left = self._left[self._offset :] + data
            self._offset = 0
            return False
        self._left = data
        return True

    def has_input(self) -> bool:
        """Whether there is something to be read."""
        return self._unread or len(self._left) > 0

    def drop_input(self) -> None:
        """Forget what OpenSSL has not got yet."""
        self._left = b""
        self._offset = 0

    def read(self) -> bytes:
        """The plaintext of the records that are there, or of the first of them; empty if none is complete."""
        raise NotImplementedError

    def write(self, data: bytes) -> bytes:
        """The records of these bytes, behind what :meth:`take` would return.

        Raises:
            ssl.SSLError: OpenSSL does not write any more.
        """
        raise NotImplementedError

    def write_pieces(self, list_of_data: Iterable[bytes]) -> list[bytes]:
        """The records of several pieces, one behind the other, in one or several parts.

        Raises:
            ssl.SSLError: OpenSSL does not write any more.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Make our close_notify (RFC 8446 6.1)."""
        raise NotImplementedError

    def take(self) -> bytes:
        """What OpenSSL has made of its own accord: answers, alerts, our close_notify."""
        raise NotImplementedError
