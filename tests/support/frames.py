"""Frames for tests, encoded by a few lines of their own, and ways to cut what is fed to a decoder."""

from __future__ import annotations

import random
from collections.abc import Iterator

KEY = bytes.fromhex("37fa213d")
"""The masking key of the examples in RFC 6455 5.7."""


def xor(data: bytes, key: bytes) -> bytes:
    """Masking as RFC 6455 5.3 states it, byte by byte."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def header(head: int, size: int, *, masked: bool, form: int | None = None) -> bytes:
    """A header without its masking key; ``form`` (0, 126 or 127) asks for a length that is not the shortest."""
    if form is None:
        form = 0 if size < 126 else 126 if size < 65536 else 127
    bit = 0x80 if masked else 0
    if form == 0:
        return bytes((head, bit | size))
    return bytes((head, bit | form)) + size.to_bytes(2 if form == 126 else 8, "big")


def frame(head: int, payload: bytes = b"", key: bytes | None = KEY) -> bytes:
    """A frame with this first byte, as a client sends it; as a server does with ``key=None``."""
    start = header(head, len(payload), masked=key is not None)
    return start + payload if key is None else start + key + xor(payload, key)


def whole(data: bytes) -> list[bytes]:
    """All at once."""
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[index : index + 1] for index in range(len(data))]


def random_cuts(data: bytes, rng: random.Random, longest: int = 40) -> list[bytes]:
    """Pieces of 0 to ``longest`` bytes."""
    return list(_pieces(data, rng, longest))


def _pieces(data: bytes, rng: random.Random, longest: int) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        size = rng.randint(0, longest)
        yield data[position : position + size]
        position += size


def ways(data: bytes, seed: int) -> list[list[bytes]]:
    """The data whole, byte by byte, and cut at random places three times."""
    rng = random.Random(seed)
    return [whole(data), byte_by_byte(data), *(random_cuts(data, rng) for _ in range(3))]
