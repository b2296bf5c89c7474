"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from ..terminal import printable

__all__ = ["amount", "duration", "table"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: texts to the left, numbers (what begins with a digit, or is ``-``) to the right.

    Args:
        heads: of the columns.
        rows: of texts.
    """
    cells = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_right = [all(row[at][:1].isdigit() or row[at] == "-" for row in cells[1:]) for at in range(len(heads))]
    lines = []
    for row in cells:
        fields = zip(row, widths, to_right, strict=True)
        line = "  ".join(cell.rjust(size) if right else cell.ljust(size) for cell, size, right in fields).rstrip()
        lines.append(line)
    return lines


def amount(size: int) -> str:
    """Bytes for people."""
    if size < 1024:
        return f"{size} B"
    for unit, factor in (("KiB", 1 << 10), ("MiB", 1 << 20)):
        if size < factor << 10:
            return f"{size / factor:.1f} {unit}"
    return f"{size / (1 << 30):.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
