"""What the commands say to the person who runs them: whole lines, and errors as one sentence.

Logs are not its matter: they go through :mod:`logging`.
"""

from __future__ import annotations

import os
import sys

__all__ = ["complain", "one_line", "say"]


def one_line(text: object) -> str:
    """The text with every run of white space, line ends included, as one space."""
    return " ".join(str(text).split())


def say(line: str) -> None:
    """Print a line at once. A reader that has left (``elio serve app | head -1``) is no reason to stop."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(text: object) -> None:
    """Print what went wrong, as one line on stderr."""
    print(f"elio: {one_line(text)}", file=sys.stderr, flush=True)
