"""A terminal that a person types on while lines come in: the prompt stays below, whatever appears above it."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from .history import History, history_path
from .line_editor import LineEditor

try:
    import termios
    import tty
except ImportError:  # Windows
    _HAS_TERMINALS = False
else:
    _HAS_TERMINALS = True

__all__ = ["Console", "is_interactive"]

_PROMPT: Final = "> "
_CLEAR: Final = "\r\x1b[K"
_PIECE: Final = 4096
_WIDTH: Final = 80
"""Columns of a terminal that does not say how many it has."""


def is_interactive() -> bool:
    """Whether input and output are a terminal, of a kind that a :class:`Console` can be on."""
    return _HAS_TERMINALS and os.isatty(0) and os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"


class Console:
    """The terminal, key by key, between ``__enter__`` and ``__exit__``; as it was before and after.

    Args:
        history: name of the file with the lines from before; None for none.
        input_fd: where keys come from.
        output_fd: where everything is shown.
    """

    def __init__(self, *, history: str | None, input_fd: int = 0, output_fd: int = 1) -> None:
        self._input = input_fd
        self._output = output_fd
        self._history = History(None if history is None else history_path(history))
        self._editor = LineEditor(self._history.lines)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._entered: asyncio.Queue[str | None] = asyncio.Queue()
        self._modes: list[Any] = []

    def __enter__(self) -> None:
        self._modes = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._input, self._read)
        loop.add_signal_handler(signal.SIGCONT, self._come_back)
        self._draw()

    def __exit__(self, *what: object) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._input)
        loop.remove_signal_handler(signal.SIGCONT)
        self._write(_CLEAR)
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._modes)

    def show(self, text: str) -> None:
        """Show lines above the prompt; control characters must be gone already."""
        self._write(f"{_CLEAR}{text}\n")
        self._draw()

    async def lines(self) -> AsyncIterator[str]:
        """The lines that are entered, until Ctrl+D on an empty one."""
        while (line := await self._entered.get()) is not None:
            yield line

    def _read(self) -> None:
        try:
            data = os.read(self._input, _PIECE)
        except OSError:
            data = b""
        for line in self._editor.feed(self._decoder.decode(data)):
            self._history.add(line)
            self._write(f"{_CLEAR}{_PROMPT}{line}\n")
            self._entered.put_nowait(line)
        if not data or self._editor.is_ended:
            asyncio.get_running_loop().remove_reader(self._input)
            self._entered.put_nowait(None)
            return
        self._draw()

    def _come_back(self) -> None:
        """Behind Ctrl+Z and ``fg``: the shell had the terminal in between."""
        with suppress(termios.error):
            tty.setcbreak(self._input)
        self._draw()

    def _draw(self) -> None:
        text, column = self._editor.view(self._columns() - len(_PROMPT))
        self._write(f"{_CLEAR}{_PROMPT}{text}\r\x1b[{len(_PROMPT) + column}C")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._output).columns or _WIDTH
        except OSError:
            return _WIDTH

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "replace"))
        with suppress(OSError):  # a terminal that is gone tells it by a signal, or by the end of the input
            while rest:
                rest = rest[os.write(self._output, rest) :]
