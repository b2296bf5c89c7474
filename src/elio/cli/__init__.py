"""The command line: ``elio COMMAND``. Errors are one sentence and an exit status, never a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .._twins import running
from ..errors import ConfigurationError
from ..version import VERSION
from . import serve

__all__ = ["main"]


def _version() -> str:
    compiled = [name for name, is_native in running().items() if is_native]
    return f"elio {VERSION} ({'compiled: ' + ', '.join(compiled) if compiled else 'pure Python'})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: those of the process by default.

    Returns:
        The exit status: 0, or 1 for what cannot be done as asked, 2 for a command line that is not understood.
    """
    parser = argparse.ArgumentParser(prog="elio", description="The real-time layer for Python.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigurationError as error:
        print(f"elio: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
