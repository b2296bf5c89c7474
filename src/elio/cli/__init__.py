"""The command line: ``elio COMMAND``. Errors are one sentence and an exit status, never a traceback."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from .._twins import running
from ..errors import ChannelError, ConfigurationError, InvalidURL, LocalProtocolError
from ..version import VERSION
from . import publish, serve, sse, tail, top, ws
from .terminal import complain

__all__ = ["main"]

_CANNOT: Final = 1
_INTERNAL: Final = 70  # EX_SOFTWARE of sysexits.h
_INTERRUPTED: Final = 130


def _version() -> str:
    compiled = [name for name, is_native in running().items() if is_native]
    return f"elio {VERSION} ({'compiled: ' + ', '.join(compiled) if compiled else 'pure Python'})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="elio",
        description="The real-time layer for Python.",
        epilog="Each command tells its options: elio COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the other one breaks the line of --version
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (serve, ws, sse, publish, tail, top):
        command.add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: those of the process by default.

    Returns:
        The exit status: 0, or 1 for what cannot be done as asked, 70 for an error in Elio itself, 130 if it was
        interrupted; a client command has more of them.

    Raises:
        SystemExit: with 2 for a command line that is not understood, with 0 behind ``--help`` and ``--version``.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    options.command = [sys.executable, "-m", "elio", *arguments]
    try:
        status: int = options.run(options)
    except (ChannelError, ConfigurationError, InvalidURL, LocalProtocolError) as error:
        _show_more(options)
        complain(error)
        return _CANNOT
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        _show_more(options)
        complain(f"internal error: {type(error).__name__}: {error} (--log-level debug shows more)")
        return _INTERNAL
    return status


def _show_more(options: argparse.Namespace) -> None:
    """The traceback, for who asked for it."""
    if getattr(options, "log_level", None) == "debug":
        traceback.print_exc()
