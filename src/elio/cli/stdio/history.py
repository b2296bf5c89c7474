"""The lines that a person has entered, over several sessions."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["History", "history_path"]

_MAX_LINES: Final = 1000
"""Lines that are kept; the file may have twice as many before it is cut."""


def history_path(name: str) -> Path:
    """Where a history is: below ``$XDG_STATE_HOME``, or ``~/.local/state`` without that."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "elio" / f"{name}_history"


class History:
    """Lines, the latest one last. Where the file cannot be used, it holds those of this session.

    Args:
        path: of the file, which only its owner may read; None for no file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.lines: list[str] = [] if path is None else _load(path)

    def add(self, line: str) -> None:
        """Remember a line, unless it is empty, begins with a space, or is the same as the one before."""
        if not line or line.startswith(" ") or line == (self.lines[-1] if self.lines else ""):
            return
        self.lines.append(line)
        del self.lines[:-_MAX_LINES]
        if self._path is not None:
            with suppress(OSError):
                _write(self._path, [line], os.O_APPEND)


def _load(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    kept = lines[-_MAX_LINES:]
    if len(lines) > 2 * _MAX_LINES:
        with suppress(OSError):
            _write(path, kept, os.O_TRUNC)
    return kept


def _write(path: Path, lines: list[str], flag: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
    with open(fd, "w", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{line}\n" for line in lines)
