"""What the commands say to the person who runs them: whole lines, and errors as one sentence.

Logs are not its matter: they go through :mod:`logging`.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final, TextIO

__all__ = ["complain", "note", "one_line", "printable", "say"]

# What terminals obey: C0 but for tab and line feed, DEL, C1; and what turns the direction of the text around.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: object) -> str:
    """The text with every run of white space, line ends included, as one space."""
    return " ".join(str(text).split())


def printable(text: str) -> str:
    r"""The text with what a terminal would obey written out, such as ``\x1b``; tabs and line feeds stay."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def say(line: str) -> None:
    """Print a line at once. A reader that has left (``elio serve app | head -1``) is no reason to stop."""
    _print(line, sys.stdout)


def note(text: object) -> None:
    """Tell what happens, as one line on stderr. A reader that has left is no reason to stop."""
    _print(printable(one_line(text)), sys.stderr)


def complain(text: object) -> None:
    """Tell what went wrong, as one line on stderr."""
    note(f"elio: {text}")


def _print(line: str, stream: TextIO | None) -> None:
    if stream is None:  # it was closed at the start; print() would take another one
        return
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
