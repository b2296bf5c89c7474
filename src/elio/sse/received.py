"""The steps of the parser that every event, line and read takes.

The compiled parser takes these functions from ``received.pxd``, where the same names are C. Not here: what lines mean.
"""

from __future__ import annotations

from .event import received_event as event

__all__ = ["append", "block_end", "block_text", "event", "joined", "keep", "line_end", "take_text", "text"]


def line_end(lines: bytes, pos: int) -> int:
    """The position of the first LF from a position on, -1 if there is none."""
    return lines.find(b"\n", pos)


def text(lines: bytes, start: int, stop: int) -> str:
    """The text between two positions, with U+FFFD for what is not UTF-8."""
    return lines[start:stop].decode("utf-8", "replace")


def block_end(lines: bytes, pos: int) -> int:
    """The position of the empty line behind the run of ``data: `` lines that begins at a position.

    -1 if something else follows the run, or nothing yet.
    """
    end = lines.find(b"\n\n", pos) + 1
    if not end or lines.count(b"\ndata: ", pos, end) + 1 != lines.count(b"\n", pos, end):
        return -1
    return end


def block_text(lines: bytes, pos: int, end: int) -> str:
    """The text of such a run: the values of its lines, with LF between them."""
    return lines[pos + 6 : end - 1].replace(b"\ndata: ", b"\n").decode("utf-8", "replace")


def append(buffer: bytearray, data: bytes, start: int, stop: int) -> None:
    """Append what the data has between two positions."""
    buffer += data[start:stop]


def joined(buffer: bytearray, data: bytes) -> bytes:
    """The buffer with the data behind it."""
    return b"".join((buffer, data))


def keep(buffer: bytearray, data: bytes, start: int) -> None:
    """Let the buffer have what the data has from a position on, and nothing else."""
    buffer[:] = data[start:]


def take_text(data: bytearray) -> str:
    """The text of the data without the last LF. The data is empty afterwards."""
    text = data[:-1].decode("utf-8", "replace")
    data.clear()
    return text
