"""``elio top FOLDER``: connections and channels of a running server, as a table that is made anew every second.

The server tells them in that folder (``elio serve --status FOLDER``), each of its processes on a socket of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ..errors import ConnectError
from ..server.watch.status import SUFFIX
from .options import log_to_stderr, seconds
from .outcome import STATUSES, run_client
from .stdio.recording import to_line
from .stdio.streams import Output
from .stdio.table import amount, duration, table

__all__ = ["add_command"]

_DESCRIPTION: Final = """Show what is open in a server that was started with --status FOLDER: its processes, the
connections for which most bytes wait, and its channels."""

_PATIENCE: Final = 2.0
"""Seconds that a process gets to answer; one that does not is left out."""

_CLEAR: Final = "\x1b[H\x1b[2J"

_Status = dict[str, Any]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``top`` to the commands."""
    parser = commands.add_parser(
        "top", help="watch a running server", description=_DESCRIPTION, epilog=STATUSES, allow_abbrev=False
    )
    parser.add_argument("folder", metavar="FOLDER", help="that of elio serve --status")
    parser.add_argument("--once", action="store_true", help="show it once, and end")
    parser.add_argument("--json", action="store_true", help="a line of JSON each time, with a list of the processes")
    parser.add_argument(
        "--interval", type=seconds, default=1.0, metavar="SECONDS", help="between two looks (default: %(default)g)"
    )
    parser.add_argument("--max-time", type=seconds, metavar="SECONDS", help="end after so long, with status 124")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    log_to_stderr("warning")
    return run_client(lambda: _watch(options), max_time=options.max_time)


async def _watch(options: argparse.Namespace) -> None:
    output = Output()
    seen = await _look(options.folder)
    if not seen:
        raise ConnectError(f"no server tells its status in {options.folder!r}; one does with: elio serve --status")
    while True:
        await output.write(_encode(seen, as_json=options.json, for_terminal=output.is_terminal and not options.once))
        if options.once:
            return
        await asyncio.sleep(options.interval)
        seen = await _look(options.folder)


# -- looking -----------------------------------------------------------------------------------------------------------


async def _look(folder: str) -> list[_Status]:
    """What all processes tell, in the order of their numbers."""
    told = await asyncio.gather(*map(_ask, _sockets(folder)))
    return sorted((status for status in told if status), key=lambda status: (status["worker"], status["pid"]))


def _sockets(folder: str) -> list[Path]:
    return list(Path(folder).glob(f"*{SUFFIX}"))


async def _ask(path: Path) -> _Status | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                status: _Status = json.loads(await reader.read(-1))
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None  # it has ended, or hangs
    return status


# -- showing -----------------------------------------------------------------------------------------------------------


def _encode(seen: list[_Status], *, as_json: bool, for_terminal: bool) -> bytes:
    if as_json:
        return to_line({"processes": seen})
    size = shutil.get_terminal_size() if for_terminal else None
    lines = [_summary(seen), "", *_processes(seen), "", *_channels(seen), "", *_connections(seen)]
    if size is None:
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    cut = [line[: size.columns] for line in lines[: max(size.lines - 1, 1)]]
    return (_CLEAR + "\r\n".join(cut)).encode("utf-8", "replace")


def _summary(seen: list[_Status]) -> str:
    names = {"websockets": "WebSockets", "streams": "event streams", "requests": "HTTP connections"}
    counts = ", ".join(f"{_sum(seen, key)} {name}" for key, name in names.items())
    return f"{len(seen)} processes, {counts}, {amount(_sum(seen, 'queued'))} queued"


def _sum(seen: Iterable[_Status], key: str) -> int:
    return sum(status[key] for status in seen)


def _processes(seen: list[_Status]) -> list[str]:
    heads = ("WORKER", "PID", "LOOP LAG", "WEBSOCKETS", "STREAMS", "HTTP", "QUEUED")
    rows = [
        (
            str(status["worker"] or "-"),
            str(status["pid"]),
            duration(status["lag"]),
            *(str(status[key]) for key in ("websockets", "streams", "requests")),
            amount(status["queued"]),
        )
        for status in seen
    ]
    return table(heads, rows)


def _channels(seen: list[_Status]) -> list[str]:
    heads = ("WORKER", "SUBSCRIBERS", "BEHIND", "LAG", "QUEUED", "CHANNEL")
    rows = [
        (
            str(status["worker"] or "-"),
            *(str(feed[key]) for key in ("subscribers", "behind", "lag")),
            amount(feed["queued"]),
            " ".join(feed["channels"]),
        )
        for status, feed in _all(seen, "channels")
    ]
    return table(heads, rows)


def _connections(seen: list[_Status]) -> list[str]:
    heads = ("WORKER", "KIND", "AGE", "ROUND TRIP", "QUEUED", "CLIENT", "PATH")
    rows = [
        (
            str(status["worker"] or "-"),
            one["kind"],
            duration(one["age"]),
            "-" if one["round_trip"] is None else duration(one["round_trip"]),
            amount(one["queued"]),
            one["client"] or "-",
            one["path"],
        )
        for status, one in sorted(_all(seen, "connections"), key=lambda pair: -pair[1]["queued"])
    ]
    return table(heads, rows)


def _all(seen: list[_Status], key: str) -> list[tuple[_Status, dict[str, Any]]]:
    return [(status, one) for status in seen for one in status[key]]
