"""``elio tail CHANNEL...``: messages of channels as lines of output, and gaps where some are missing."""

from __future__ import annotations

import argparse

from ..channels.members.formats import as_json
from ..channels.message import Gap, Message
from ..channels.names import check_pattern, is_pattern
from .options import add_engine_options, count, engine_of, log_to_stderr
from .outcome import STATUSES, run_client
from .stdio.streams import Output
from .terminal import note, printable

__all__ = ["add_command"]

_DESCRIPTION: str = """Follow channels. The data of each message is a line of the output, behind the name of its channel
where there may be several. A gap, where messages are missing, is told on stderr, or is a line of --json."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tail`` to the commands."""
    parser = commands.add_parser(
        "tail", help="follow channels", description=_DESCRIPTION, epilog=STATUSES, allow_abbrev=False
    )
    parser.add_argument("names", metavar="CHANNEL", nargs="+", help="a name, or a pattern such as 'news.*'")
    parser.add_argument("--since", metavar="CURSOR", help="where to go on from: the id of a message")
    parser.add_argument("--backlog", type=count, default=0, metavar="N", help="begin with the N newest messages")
    parser.add_argument("--json", action="store_true", help='lines such as {"channel":"a","id":"...","data":"hi"}')
    parser.add_argument("--count", type=count, metavar="N", help="end when so many messages have come")
    add_engine_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    log_to_stderr(options.log_level)
    for name in options.names:
        check_pattern(name)
    return run_client(lambda: _follow(options), max_time=options.max_time)


async def _follow(options: argparse.Namespace) -> None:
    output = Output()
    left: int | None = options.count
    names_channels = len(options.names) > 1 or is_pattern(options.names[0])
    async with (
        engine_of(options) as channels,
        channels.subscribe(*options.names, since=options.since, backlog=options.backlog) as subscription,
    ):
        async for item in subscription:
            if isinstance(item, Gap) and not options.json:
                note(_describe(item))
                continue
            line = as_json(item).encode() if isinstance(item, Gap) or options.json else _line(item, names_channels)
            await output.write(_shown(line + b"\n") if output.is_terminal else line + b"\n")
            if left is not None and isinstance(item, Message):
                left -= 1
                if not left:
                    return


def _line(message: Message, names_channel: bool) -> bytes:
    data = message.data.encode() if isinstance(message.data, str) else message.data
    return f"{message.channel}: ".encode() + data if names_channel else data


def _shown(line: bytes) -> bytes:
    return printable(line.decode("utf-8", "replace")).encode()


def _describe(gap: Gap) -> str:
    how_many = "messages" if gap.missed is None else f"{gap.missed} messages"
    return f"gap in {gap.channel}: {how_many} missing ({gap.reason})"
