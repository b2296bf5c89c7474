"""The payload bytes of a frame, in and out: the steps of ``frame.py`` whose time grows with the size of a message.

The compiled twins take these functions from ``octets.pxd``, where the same names are C over the kernels. Not here: what
a header means and whether it may be.
"""

from __future__ import annotations

from io import BytesIO

from .mask import apply_mask
from .utf8 import Utf8Validator

__all__ = [
    "MessageBuffer",
    "MessageBufferPure",
    "framed",
    "framed_text",
    "header",
    "plain",
    "unmasked",
    "unmasked_text",
]


def plain(buffer: bytes, start: int, end: int) -> bytes:
    """The payload between two positions, which is not masked."""
    return buffer[start:end]


def unmasked(buffer: bytes, start: int, end: int) -> bytes:
    """The payload between two positions, whose masking key stands right before it."""
    return apply_mask(buffer[start:end], buffer[start - 4 : start])


def unmasked_text(buffer: bytes, start: int, end: int) -> str:
    """The same payload as text.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return apply_mask(buffer[start:end], buffer[start - 4 : start]).decode()


def framed(head: int, payload: bytes | bytearray | memoryview, key: bytes | None) -> bytes:
    """A frame: its first byte, its length in the shortest form, then the payload, masked where there is a key."""
    if key is None:
        return header(head, len(payload)) + payload
    start = header(head, len(payload))
    return start[:1] + bytes((start[1] | 0x80,)) + start[2:] + key + apply_mask(payload, key)


def header(head: int, size: int) -> bytes:
    """What stands before a payload that is not masked: the first byte of the frame, and its length."""
    if size < 126:
        return bytes((head, size))
    if size < 65536:
        return bytes((head, 126, size >> 8, size & 0xFF))
    return bytes((head, 127)) + size.to_bytes(8, "big")


def framed_text(head: int, text: str, key: bytes | None) -> bytes:
    """A frame around text.

    Raises:
        UnicodeEncodeError: the text has lone surrogates.
    """
    return framed(head, text.encode(), key)


class MessageBufferPure:
    """A message while it is gathered, in plain Python. Text is checked as its bytes arrive (RFC 6455 8.1)."""

    __slots__ = ("_buffer", "_utf8")

    def __init__(self, is_text: bool) -> None:
        self._buffer = BytesIO()
        self._utf8 = Utf8Validator() if is_text else None

    def write(self, data: bytes) -> bool:
        """Add bytes.

        Returns:
            False if the message is text and the bytes cannot continue well-formed UTF-8.
        """
        self._buffer.write(data)
        return self._utf8 is None or self._utf8.feed(data)

    def write_part(self, source: bytes, start: int, end: int, key: bytes, rest: int) -> bool:
        """Add what the source has between two positions.

        Args:
            source: what was read.
            start: where the part begins.
            end: where it ends.
            key: the masking key as of the start of the part; empty if it is not masked.
            rest: bytes that are announced to follow.

        Returns:
            As :meth:`write`.
        """
        data = source[start:end]
        return self.write(apply_mask(data, key) if key else data)

    def finish(self) -> str | bytes | None:
        """The message; None if it is text that ends inside a character. The buffer is not used afterwards."""
        if self._utf8 is None:
            return self._buffer.getvalue()
        return self._buffer.getvalue().decode() if self._utf8.complete else None


try:
    from ._native import MessageBuffer
except ImportError:
    MessageBuffer = MessageBufferPure  # type: ignore[misc, assignment]
