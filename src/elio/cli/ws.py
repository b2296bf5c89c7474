"""``elio ws URL``: a WebSocket on the terminal, or as a filter between two pipes."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Final

from ..client.websocket import Connector, connect
from ..errors import ConfigurationError, ConnectionClosed, ElioError
from ..limits import UNSET
from ..session import WebSocket
from .options import add_client_options, log_to_stderr, reaching, seconds, speed
from .outcome import STATUSES, run_client
from .stdio.console import Console, is_interactive
from .stdio.recording import Recorder, decode_message, encode_message, parse_line, replay, to_line
from .stdio.streams import Input, Output
from .terminal import note, printable

__all__ = ["add_command"]

_CLOSE_TIMEOUT: Final = 3.0
"""Seconds for the closing handshake: a person waits for it."""

_DESCRIPTION: Final = """Talk to a WebSocket server. On a terminal, with a prompt and a history; else as a filter: each
line of the input is a text message, each message is a line of the output."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ws`` to the commands."""
    parser = commands.add_parser(
        "ws", help="talk to a WebSocket server", description=_DESCRIPTION, epilog=STATUSES, allow_abbrev=False
    )
    parser.add_argument("url", metavar="URL", help="ws, wss or ws+unix")
    messages = parser.add_argument_group("messages")
    form = messages.add_mutually_exclusive_group()
    form.add_argument("--binary", action="store_true", help="bytes as they come, in both directions, without lines")
    form.add_argument("--json", action="store_true", help='lines such as {"type":"text","data":"hello"}')
    messages.add_argument("--no-input", action="store_true", help="send nothing, and stay until the server ends it")
    messages.add_argument(
        "--wait",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="close when nothing has come for so long behind the end of the input (default: %(default)g)",
    )
    messages.add_argument("--record", metavar="PATH", help="write what comes and goes into a file, with its times")
    messages.add_argument("--replay", metavar="PATH", help="send what such a file has as sent, instead of the input")
    messages.add_argument(
        "--speed", type=speed, default=1.0, metavar="FACTOR", help="of --replay; 2 is twice as fast (default: 1)"
    )
    messages.add_argument("--no-history", action="store_true", help="on a terminal: keep no history of lines")
    handshake = parser.add_argument_group("the handshake")
    handshake.add_argument(
        "--subprotocol",
        action="append",
        default=[],
        metavar="NAME",
        help="offer it; repeatable, the preferred one first",
    )
    handshake.add_argument("--origin", help="the Origin header")
    handshake.add_argument("--ping", type=seconds, metavar="SECONDS", help="between pings; 0 for none (default: 20)")
    add_client_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    log_to_stderr(options.log_level)
    return run_client(lambda: _talk(options), max_time=options.max_time)


def _connector(options: argparse.Namespace) -> Connector:
    return connect(
        options.url,
        subprotocols=options.subprotocol,
        origin=options.origin,
        max_message_size=options.max_size or UNSET,
        ping_interval=UNSET if options.ping is None else options.ping or None,
        close_timeout=_CLOSE_TIMEOUT,
        **reaching(options),
    )


async def _talk(options: argparse.Namespace) -> None:
    connector = _connector(options)
    with ExitStack() as stack:
        recorder = None if options.record is None else stack.enter_context(Recorder(options.record))
        async with connector as ws:
            if options.verbose:
                _tell_opened(ws, options.url)
            is_typed = is_interactive() and not options.no_input and options.replay is None
            door = _Terminal(options) if is_typed else _Filter(options)
            with door:
                await _Conversation(ws, door, recorder, options).run()


def _tell_opened(ws: WebSocket, url: str) -> None:
    chosen = "" if ws.subprotocol is None else f", subprotocol {ws.subprotocol}"
    note(f"connected to {url}{chosen}")
    for name, value in ws.response_headers.items() if ws.response_headers is not None else ():
        note(f"{name}: {value}")


class _Filter:
    """Messages of the input, and where those of the server go, between pipes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._output = Output()

    def __enter__(self) -> None:
        """Nothing needs to be prepared."""

    def __exit__(self, *what: object) -> None:
        """Nor undone."""

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        if self._options.binary:
            async for piece in Input().pieces():
                yield piece
            return
        number = 0
        async for line in Input().lines():
            number += 1
            where = f"line {number} of the input"
            if not self._options.json:
                yield _decode_text(line, where)
            elif line.strip():
                yield decode_message(parse_line(line, where), where)

    async def show(self, message: str | bytes) -> None:
        await self._output.write(self._encode(message))

    def tell_end(self, ws: WebSocket) -> None:
        if self._options.verbose:
            note(f"closed with code {ws.close_code} {ws.close_reason}")

    def _encode(self, message: str | bytes) -> bytes:
        if self._output.is_terminal:
            return f"{_shown(message, as_json=self._options.json)}\n".encode()
        if self._options.json:
            return to_line(encode_message(message))
        data = message.encode() if isinstance(message, str) else message
        return data if self._options.binary else data + b"\n"


class _Terminal:
    """The same on a terminal, with a prompt."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._console = Console(history=None if options.no_history else "ws")

    def __enter__(self) -> None:
        self._console.__enter__()
        self._console.show("connected; Ctrl+D closes the connection")

    def __exit__(self, *what: object) -> None:
        self._console.__exit__()

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        async for line in self._console.lines():
            try:
                yield self._message_of(line)
            except ConfigurationError as error:
                self._console.show(f"elio: {error}")

    def _message_of(self, line: str) -> str | bytes:
        if self._options.json:
            return decode_message(parse_line(line.encode(), "this line"), "this line")
        return line.encode() if self._options.binary else line

    async def show(self, message: str | bytes) -> None:
        self._console.show(f"< {_shown(message, as_json=self._options.json)}")

    def tell_end(self, ws: WebSocket) -> None:
        self._console.show(printable(f"closed with code {ws.close_code} {ws.close_reason}".rstrip()))


def _decode_text(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where} is not UTF-8, which text messages are; see --binary") from error


def _shown(message: str | bytes, *, as_json: bool) -> str:
    """A message as it is on a terminal."""
    if as_json:
        return printable(to_line(encode_message(message)).decode().rstrip("\n"))
    if isinstance(message, str):
        return printable(message)
    return f"({len(message)} bytes) {message[:64].hex(' ')}{' ...' if len(message) > 64 else ''}"


class _Conversation:
    """What is sent and what is received, until one of the sides ends it."""

    def __init__(
        self, ws: WebSocket, door: _Filter | _Terminal, recorder: Recorder | None, options: argparse.Namespace
    ) -> None:
        self._ws = ws
        self._door = door
        self._recorder = recorder
        self._options = options
        self._left: int | None = options.count
        self._latest = 0.0

    async def run(self) -> None:
        """Until the server closes, enough has come, or the input has ended and so has what it led to.

        Raises:
            ConnectionClosedError: it ended in another way than agreed.
            ConfigurationError: the input, the output or a recording cannot be used.
            BrokenPipeError: the reader of the output has left.
        """
        receiving = asyncio.ensure_future(self._receive())
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait([receiving, sending], return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                sending.result()
                await self._wait_silence(receiving)
            if receiving.done():
                receiving.result()
        except (ElioError, BrokenPipeError) as error:
            if not isinstance(error, ConnectionClosed):
                await self._ws.close()  # it was no fault of the connection
            raise
        finally:
            receiving.cancel()
            sending.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)
        await self._ws.close()
        self._door.tell_end(self._ws)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        async for message in self._ws:
            self._latest = loop.time()
            if self._recorder is not None:
                self._recorder.note("received", encode_message(message))
            await self._door.show(message)
            if self._left is not None:
                self._left -= 1
                if not self._left:
                    return

    async def _send(self) -> None:
        if self._options.no_input:
            await asyncio.get_running_loop().create_future()
        async with aclosing(self._messages()) as messages:
            async for message in messages:
                try:
                    await self._ws.send(message)
                except ConnectionClosed:
                    await asyncio.get_running_loop().create_future()  # who receives has more to say about it
                if self._recorder is not None:
                    self._recorder.note("sent", encode_message(message))

    def _messages(self) -> AsyncGenerator[str | bytes, None]:
        return self._door.messages() if self._options.replay is None else _replayed(self._options)

    async def _wait_silence(self, receiving: asyncio.Future[None]) -> None:
        """Give the server time to answer: until nothing has come for a while."""
        loop = asyncio.get_running_loop()
        self._latest = loop.time()
        if isinstance(self._door, _Terminal):
            return
        while not receiving.done():
            left = self._latest + self._options.wait - loop.time()
            if left <= 0:
                return
            await asyncio.wait([receiving], timeout=left)


async def _replayed(options: argparse.Namespace) -> AsyncGenerator[str | bytes, None]:
    async with aclosing(replay(options.replay, "sent", speed=options.speed)) as lines:
        async for fields in lines:
            yield decode_message(fields, fields["where"])
