"""Searching in bytes for the compiled twins, which take the C of ``octets.pxd`` instead of this."""

from __future__ import annotations

__all__ = ["count", "find", "find_name", "octets_at", "value_at"]


def find(data: bytes, line_start: bytes, start: int) -> int:
    """Where ``line_start``, which begins with CR, stands in the data at or behind ``start``; -1 if nowhere."""
    return data.find(line_start, start)


def find_name(data: bytes, line_start: bytes, start: int) -> int:
    """The same where the data is written in any case and ``line_start`` in lower case."""
    return data.lower().find(line_start, start)


def count(data: bytes, octet: bytes, start: int, end: int) -> int:
    """How often one octet stands in the data from ``start`` up to ``end``, which is not beyond it."""
    return data.count(octet, start, end)


def octets_at(data: bytes, start: int) -> bytes:
    """The value of the header line in which ``start`` is behind the colon, without the white space around it."""
    return data[start : data.find(b"\r\n", start)].strip(b" \t")


def value_at(data: bytes, start: int) -> str:
    """The same as text."""
    return octets_at(data, start).decode("latin-1")
