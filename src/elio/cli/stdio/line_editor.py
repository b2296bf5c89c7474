"""A line of input that is being typed: keys in, finished lines and what is to be shown out; no I/O.

Of its own, since a line must be put aside and drawn again whenever a message of the server comes in between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from unicodedata import combining, east_asian_width

__all__ = ["LineEditor"]

# A key: a sequence of ECMA-48 (CSI or SS3), a key with Alt, or a character. What has only begun waits for the rest.
_KEY: Final = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|\x1b[^\[O]|[^\x1b]|\x1b(?:\[[0-9;]*|O)[^0-9;]", re.DOTALL
)
_MAX_BEGUN: Final = 16
"""Characters of a key that is not complete; a longer one is none."""

_ACTIONS: Final = {
    "\r": "_enter",
    "\n": "_enter",
    "\x7f": "_delete_before",
    "\x08": "_delete_before",
    "\x1b[3~": "_delete",
    "\x04": "_delete_or_end",
    "\x1b[D": "_left",
    "\x1bOD": "_left",
    "\x02": "_left",
    "\x1b[C": "_right",
    "\x1bOC": "_right",
    "\x06": "_right",
    "\x1b[A": "_older",
    "\x1bOA": "_older",
    "\x10": "_older",
    "\x1b[B": "_newer",
    "\x1bOB": "_newer",
    "\x0e": "_newer",
    "\x1b[H": "_home",
    "\x1bOH": "_home",
    "\x1b[1~": "_home",
    "\x01": "_home",
    "\x1b[F": "_end",
    "\x1bOF": "_end",
    "\x1b[4~": "_end",
    "\x05": "_end",
    "\x15": "_delete_to_start",
    "\x0b": "_delete_to_end",
    "\x17": "_delete_word",
}


class LineEditor:
    """The line, the cursor in it, and the lines from before to choose from.

    Args:
        history: lines that were entered before, the latest one last; looked at, never changed.

    Attributes:
        text: the line so far.
        cursor: how many characters of it are before the cursor.
        is_ended: whether Ctrl+D was pressed on an empty line.
    """

    def __init__(self, history: Sequence[str] = ()) -> None:
        self.text = ""
        self.cursor = 0
        self.is_ended = False
        self._history = history
        self._age = 0  # 0 is the line that is being typed, 1 the latest of the history
        self._typed = ""
        self._begun = ""
        self._entered: list[str] = []

    def feed(self, keys: str) -> list[str]:
        """Handle what was typed, or pasted.

        Returns:
            The lines that were finished by it.
        """
        keys = self._begun + keys
        position = 0
        while not self.is_ended and (found := _KEY.match(keys, position)):
            position = found.end()
            self._press(found[0])
        self._begun = keys[position:] if len(keys) - position <= _MAX_BEGUN else ""
        entered, self._entered = self._entered, []
        return entered

    def view(self, width: int) -> tuple[str, int]:
        """What is to be seen of the line.

        Args:
            width: columns that there are.

        Returns:
            The part around the cursor, and the column of the cursor in it.
        """
        start, column = 0, sum(map(_width, self.text[: self.cursor]))
        while column >= width and start < self.cursor:
            column -= _width(self.text[start])
            start += 1
        used, stop = 0, start
        while stop < len(self.text) and used + _width(self.text[stop]) < width:
            used += _width(self.text[stop])
            stop += 1
        return self.text[start:stop].replace("\t", " "), column

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _press(self, key: str) -> None:
        action = _ACTIONS.get(key)
        if action is not None:
            getattr(self, action)()
        elif key.isprintable() or key == "\t":
            self._replace(self.cursor, self.cursor, key)

    def _replace(self, start: int, stop: int, text: str = "") -> None:
        self.text = self.text[:start] + text + self.text[stop:]
        self.cursor = start + len(text)

    def _show(self, text: str) -> None:
        self.text = text
        self.cursor = len(text)

    def _enter(self) -> None:
        self._entered.append(self.text)
        self._age = 0
        self._show("")

    def _delete_before(self) -> None:
        self._replace(max(self.cursor - 1, 0), self.cursor)

    def _delete(self) -> None:
        self._replace(self.cursor, self.cursor + 1)

    def _delete_or_end(self) -> None:
        if self.text:
            self._delete()
        else:
            self.is_ended = True

    def _delete_to_start(self) -> None:
        self._replace(0, self.cursor)

    def _delete_to_end(self) -> None:
        self._replace(self.cursor, len(self.text))

    def _delete_word(self) -> None:
        before = self.text[: self.cursor].rstrip()
        self._replace(before.rfind(" ") + 1, self.cursor)

    def _left(self) -> None:
        self.cursor = max(self.cursor - 1, 0)

    def _right(self) -> None:
        self.cursor = min(self.cursor + 1, len(self.text))

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _older(self) -> None:
        self._turn_to(self._age + 1)

    def _newer(self) -> None:
        self._turn_to(self._age - 1)

    def _turn_to(self, age: int) -> None:
        if not 0 <= age <= len(self._history):
            return
        if self._age == 0:
            self._typed = self.text
        self._age = age
        self._show(self._history[-age] if age else self._typed)


def _width(character: str) -> int:
    """Columns that a terminal gives to a character."""
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
