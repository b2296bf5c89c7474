"""``elio sse URL``: an event stream as lines of output, followed for as long as there is one."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any, Final

from ..client.backoff import Change, ConnectionState
from ..client.event_source import EventSource
from ..errors import ConfigurationError, InvalidHeader
from ..limits import UNSET, Limits, with_bounds
from ..sse.event import Event
from .options import add_client_options, count, log_to_stderr, reaching, seconds, speed
from .outcome import STATUSES, run_client
from .stdio.recording import Recorder, encode_event, replay, to_line
from .stdio.streams import Input, Output
from .terminal import note, printable

__all__ = ["add_command"]

_DESCRIPTION: Final = """Follow an event stream: the data of each event is a line of the output, or several. When the
stream breaks it is asked for again, from the last event ID on."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``sse`` to the commands."""
    parser = commands.add_parser(
        "sse", help="follow an event stream", description=_DESCRIPTION, epilog=STATUSES, allow_abbrev=False
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="http, https or http+unix; none with --replay")
    events = parser.add_argument_group("events")
    events.add_argument("--json", action="store_true", help='lines such as {"type":"message","data":"hello","id":"1"}')
    events.add_argument("--event", action="append", metavar="TYPE", help="only events of this type; repeatable")
    events.add_argument("--record", metavar="PATH", help="write all events into a file, with their times")
    events.add_argument("--replay", metavar="PATH", help="events of such a file, at their times, instead of a server's")
    events.add_argument(
        "--speed", type=speed, default=1.0, metavar="FACTOR", help="of --replay; 2 is twice as fast (default: 1)"
    )
    request = parser.add_argument_group("the request")
    request.add_argument(
        "--data", metavar="DATA", help="send it as the body, with POST; @PATH for a file, @- for input"
    )
    request.add_argument("--method", metavar="METHOD", help="instead of GET, or of POST with --data")
    request.add_argument("--last-event-id", default="", metavar="ID", help="where to go on from")
    stream = parser.add_argument_group("the stream")
    stream.add_argument("--done", metavar="WORD", help="type or data of the event that completes it, such as [DONE]")
    stream.add_argument(
        "--max-reconnects", type=_attempts, metavar="N", help="attempts in a row behind the first; 0 for none at all"
    )
    stream.add_argument(
        "--progress-timeout",
        type=seconds,
        metavar="SECONDS",
        help="longest wait for an event, 0 for ever (default: 300)",
    )
    add_client_options(parser)
    parser.set_defaults(run=_run)


def _attempts(text: str) -> int:
    return 0 if text == "0" else count(text)


def _run(options: argparse.Namespace) -> int:
    log_to_stderr(options.log_level)
    if (options.url is None) == (options.replay is None):
        raise ConfigurationError("either a URL or --replay is needed, and not both")
    return run_client(lambda: _follow(options), max_time=options.max_time)


async def _follow(options: argparse.Namespace) -> None:
    output = Output()
    left: int | None = options.count
    with ExitStack() as stack:
        recorder = None if options.record is None else stack.enter_context(Recorder(options.record))
        async with aclosing(_events(options)) as events:
            async for event in events:
                if recorder is not None:
                    recorder.note("received", encode_event(event))
                if options.event is not None and event.type not in options.event:
                    continue
                await output.write(_encode(event, as_json=options.json, for_terminal=output.is_terminal))
                if left is not None:
                    left -= 1
                    if not left:
                        return


async def _events(options: argparse.Namespace) -> AsyncGenerator[Event, None]:
    if options.replay is not None:
        async with aclosing(replay(options.replay, "received", speed=options.speed)) as lines:
            async for fields in lines:
                yield _event_of(fields)
        return
    source = EventSource(
        options.url,
        method=options.method,
        body=await _body(options.data),
        last_event_id=options.last_event_id,
        done=options.done,
        max_reconnects=options.max_reconnects,
        on_change=_tell if options.verbose else None,
        limits=_limits(options),
        **reaching(options),
    )
    async with source:
        async for event in source:
            yield event


def _limits(options: argparse.Namespace) -> Limits:
    timeout = options.progress_timeout
    return with_bounds(
        None,
        max_event_size=options.max_size or UNSET,
        progress_timeout=UNSET if timeout is None else timeout or None,
    )


async def _body(data: str | None) -> bytes | None:
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode("utf-8", "surrogateescape")
    if data == "@-":
        return b"".join([piece async for piece in Input().pieces()])
    return _read(data[1:])


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path!r} cannot be read: {error.strerror}") from error


def _event_of(fields: dict[str, Any]) -> Event:
    where, kind, last_event_id = fields["where"], fields.get("type", "message"), fields.get("id", "")
    if not isinstance(kind, str) or not isinstance(last_event_id, str):
        raise ConfigurationError(f"{where} is not an event: 'type' and 'id' are strings")
    try:
        return Event(fields["data"], type=kind, id=last_event_id)
    except InvalidHeader as error:
        raise ConfigurationError(f"{where} is not an event: {error}") from error


def _encode(event: Event, *, as_json: bool, for_terminal: bool) -> bytes:
    line = to_line(encode_event(event)) if as_json else f"{event.data}\n".encode("utf-8", "replace")
    return printable(line.decode()).encode() if for_terminal else line


def _tell(change: Change) -> None:
    """Say on stderr what the connection does."""
    text = change.state.value
    if change.state is ConnectionState.WAITING:
        text += f" {change.delay:.1f} seconds for attempt {change.attempt}"
    if change.error is not None:
        text += f": {change.error}"
    note(text)
