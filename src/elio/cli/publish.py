"""``elio publish CHANNEL``: a message, or each line of the input as one."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ..channels.names import check_channel
from .options import add_engine_options, engine_of, log_to_stderr
from .outcome import STATUSES, run_client
from .stdio.streams import Input, Output

__all__ = ["add_command"]

_DESCRIPTION: str = """Publish a message on a channel. Without DATA each line of the input is a message, published as
soon as it is there."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``publish`` to the commands."""
    parser = commands.add_parser(
        "publish", help="publish on a channel", description=_DESCRIPTION, epilog=STATUSES, allow_abbrev=False
    )
    parser.add_argument("channel", metavar="CHANNEL", help="its name, such as news.sport")
    parser.add_argument("data", metavar="DATA", nargs="?", help="the message, as text; the lines of the input without")
    parser.add_argument("--type", default="", metavar="TYPE", help="type of the event that it becomes")
    parser.add_argument("--key", metavar="KEY", help="what it is about: later messages replace earlier ones of its key")
    parser.add_argument("--id", action="store_true", help="print the cursor behind each message, for elio tail --since")
    add_engine_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    log_to_stderr(options.log_level)
    check_channel(options.channel)
    return run_client(lambda: _publish(options), max_time=options.max_time)


async def _publish(options: argparse.Namespace) -> None:
    output = Output() if options.id else None
    async with engine_of(options) as channels, aclosing(_messages(options.data)) as messages:
        async for message in messages:
            cursor = await channels.publish(options.channel, message, type=options.type, key=options.key)
            if output is not None:
                await output.write(f"{cursor}\n".encode())


async def _messages(data: str | None) -> AsyncGenerator[str | bytes, None]:
    if data is not None:
        yield _text(data.encode("utf-8", "surrogateescape"))
        return
    async for line in Input().lines():
        yield _text(line)


def _text(data: bytes) -> str | bytes:
    """Text where it is some; what is no UTF-8 stays as it is."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
