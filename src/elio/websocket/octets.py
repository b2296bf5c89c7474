"""The payload bytes of a frame, in and out: the steps of ``frame.py`` whose time grows with the size of a message.

The compiled twins take these functions from ``octets.pxd``, where the same names are C over the kernels. Not here: what
a header means and whether it may be.
"""

from __future__ import annotations

from .mask import apply_mask

__all__ = ["framed", "framed_text", "plain", "unmasked", "unmasked_text"]


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
    size = len(payload)
    mask_bit = 0 if key is None else 0x80
    if size < 126:
        header = bytes((head, mask_bit | size))
    elif size < 65536:
        header = bytes((head, mask_bit | 126, size >> 8, size & 0xFF))
    else:
        header = bytes((head, mask_bit | 127)) + size.to_bytes(8, "big")
    if key is None:
        return header + payload
    return header + key + apply_mask(payload, key)


def framed_text(head: int, text: str, key: bytes | None) -> bytes:
    """A frame around text.

    Raises:
        UnicodeEncodeError: the text has lone surrogates.
    """
    return framed(head, text.encode(), key)
