"""Masking of payloads from client to server (RFC 6455 5.3) and the keys for it.

``apply_mask`` is the native kernel where it is built, and the Python of this file where it is not or where the
environment says ``ELIO_PURE=1``. Not here: which side masks; that is the frame's business.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["MaskingKeys", "apply_mask", "apply_mask_pure", "masking_keys"]

_IDENTITY: Final = int.from_bytes(bytes(range(256)), "little")
# Entry k is a table for bytes.translate that XORs every byte with k.
_XOR_TABLES: Final = tuple(
    (_IDENTITY ^ int.from_bytes(bytes((key,)) * 256, "little")).to_bytes(256, "little") for key in range(256)
)
# One big-integer XOR takes 0.4 µs for 20 bytes and 229 µs for 64 KiB; four strided translations take 1.1 and 78 µs.
_TRANSLATE_FROM: Final = 640


def apply_mask_pure(data: bytes | bytearray | memoryview, key: bytes, offset: int = 0) -> bytes:
    """Mask or unmask in plain Python; see :func:`apply_mask`."""
    if offset & 3:
        key = key[offset & 3 :] + key[: offset & 3]
    size = len(data)
    if size < _TRANSLATE_FROM:
        pattern = (key * ((size + 3) >> 2))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")
    masked = bytearray(data)
    for index in range(4):
        masked[index::4] = masked[index::4].translate(_XOR_TABLES[key[index]])
    return bytes(masked)


try:
    if os.environ.get("ELIO_PURE", "") not in ("", "0"):
        raise ImportError("ELIO_PURE asks for Python only")
    from ._native import apply_mask
except ImportError:
    apply_mask = apply_mask_pure


class MaskingKeys:
    """Masking keys from the system's source of randomness, fetched in blocks (RFC 6455 10.3: unpredictable).

    Safe to share between threads: taking a key is one step of an iterator.

    Args:
        block: keys fetched at once. 256 keys cost one system call of about 4 µs.
    """

    __slots__ = ("_block", "_keys")

    def __init__(self, block: int = 256) -> None:
        self._block = block
        self._keys: Iterator[tuple[bytes]] = iter(())

    def next_key(self) -> bytes:
        """A masking key of 4 bytes that was never handed out before."""
        for (key,) in self._keys:
            return key
        keys: Iterator[tuple[bytes]] = struct.iter_unpack("4s", os.urandom(4 * self._block))
        self._keys = keys
        return next(keys)[0]

    def reset(self) -> None:
        """Forget the keys at hand; a forked process must not use those of its parent."""
        self._keys = iter(())


masking_keys: Final = MaskingKeys()
"""The keys of every client connection of this process."""

if hasattr(os, "register_at_fork"):  # pragma: no branch - there is no fork on Windows
    os.register_at_fork(after_in_child=masking_keys.reset)
