"""Searching in bytes for the compiled twins, which take the C of ``octets.pxd`` instead of this."""

from __future__ import annotations

__all__ = ["find", "find_name"]


def find(data: bytes, line_start: bytes, start: int) -> int:
    """Where ``line_start``, which begins with CR, stands in the data at or behind ``start``; -1 if nowhere."""
    return data.find(line_start, start)


def find_name(data: bytes, line_start: bytes, start: int) -> int:
    """The same where the data is written in any case and ``line_start`` in lower case."""
    return data.lower().find(line_start, start)
