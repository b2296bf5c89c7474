"""Searching in bytes for the compiled twins, which take the C of ``octets.pxd`` instead of this."""

from __future__ import annotations

__all__ = ["find"]


def find(data: bytes, line_start: bytes, start: int) -> int:
    """Where ``line_start``, which begins with CR, stands in the data at or behind ``start``; -1 if nowhere."""
    return data.find(line_start, start)
