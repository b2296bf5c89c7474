"""``elio ws`` as a program of its own, between pipes and on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from elio import Limits, Request, Response, Router, Server, WebSocket
from elio.websocket.handshake import accept_key
from support.certificates import make
from support.programs import DEADLINE, elio, usual_environment
from support.terminal import on_terminal


class Place:
    """A server, and how the WebSockets there ended."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()
        self.requests: list[Request] = []
        self.talking: asyncio.Queue[WebSocket] = asyncio.Queue()
        self.port = 0
        self.router = Router()
        self.router.websocket("/ws", subprotocols=["chat"], origins=["*"])(self.echo)
        self.router.websocket("/endless")(self.endless)
        self.router.get("/page")(self.page)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def echo(self, ws: WebSocket) -> None:
        await ws.accept()
        if ws.request is not None:
            self.requests.append(ws.request)
        self.talking.put_nowait(ws)
        try:
            async for message in ws:
                if isinstance(message, str) and message.startswith("close "):
                    await ws.close(int(message[6:]), "as asked \x1b[31m")
                    return
                await ws.send(message)
        finally:
            self.ends.put_nowait((ws.close_code, ws.close_reason))

    async def endless(self, ws: WebSocket) -> None:
        while True:
            await ws.send("again")

    async def page(self, request: Request) -> Response:
        return Response.text("no\nWebSocket \x1b[2J")

    async def end(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(DEADLINE):
            return await self.ends.get()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    async with Server(place.router, port=0, limits=Limits(close_timeout=1.0)) as server:
        place.port = server.port
        yield place


# -- as a filter -------------------------------------------------------------------------------------------------------


async def test_lines_are_messages_in_both_directions(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, "--wait", "2", cwd=tmp_path, stdin=PIPE) as program:
        program.feed(b"one\n")
        await program.says("one")
        program.feed("zwei: ü\r\n\nlast".encode())
        await program.says("zwei: ü")
        await program.says("")
        await program.feed_eof()
        await program.says("last")
        assert await program.ends() == 0
    assert await place.end() == (1000, "")


async def test_binary_is_bytes_as_they_come(place: Place) -> None:
    data = os.urandom(300_000)
    command = [sys.executable, "-m", "elio", "ws", place.url, "--binary", "--wait", "2"]
    process = await asyncio.create_subprocess_exec(*command, env=usual_environment(), stdin=PIPE, stdout=PIPE)
    async with asyncio.timeout(DEADLINE):
        out, _ = await process.communicate(data)
    assert out == data
    assert process.returncode == 0


async def test_json_carries_every_message(place: Place, tmp_path: Path) -> None:
    lines = [{"type": "text", "data": "a\nb"}, {"type": "binary", "data": "AP8="}]
    async with elio("ws", place.url, "--json", "--wait", "2", cwd=tmp_path, stdin=PIPE) as program:
        for line in lines:
            program.feed(json.dumps(line).encode() + b"\n\n")
            assert json.loads((await program.says(".*"))[0]) == line
        await program.feed_eof()
        assert await program.ends() == 0


@pytest.mark.parametrize(
    ("arguments", "data", "sentence"),
    [
        (["--json"], b"\nno\n", "line 2 of the input is not JSON: 'no'"),
        (["--json"], b"[1]\n", "line 1 of the input is not an object with 'data' as a string"),
        ([], b"\xff\n", "line 1 of the input is not UTF-8, which text messages are; see --binary"),
    ],
)
async def test_input_that_is_no_message_is_one_sentence(
    place: Place, tmp_path: Path, arguments: list[str], data: bytes, sentence: str
) -> None:
    async with elio("ws", place.url, *arguments, cwd=tmp_path, stdin=PIPE) as program:
        program.feed(data)
        await program.complains(f"elio: {re.escape(sentence)}")
        assert await program.ends() == 1
    assert await place.end() == (1000, "")


async def test_options_reach_the_handshake(place: Place, tmp_path: Path) -> None:
    options = ["-H", "X-One: 1", "--header", "X-Two:2", "--subprotocol", "chat", "--origin", "https://a.example"]
    async with elio("ws", place.url, *options, "-v", "--count", "1", cwd=tmp_path, stdin=PIPE) as program:
        await program.complains(f"connected to {place.url}, subprotocol chat")
        program.feed(b"hello\n")
        await program.says("hello")
        assert await program.ends(silently=False) == 0
    (request,) = place.requests
    assert (request.headers["x-one"], request.headers["x-two"]) == ("1", "2")
    assert request.headers["origin"] == "https://a.example"
    assert await place.end() == (1000, "")


async def test_no_input_stays_until_the_server_ends_it(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, "--no-input", cwd=tmp_path) as program:
        ws = await place.talking.get()
        await ws.send("news")
        await program.says("news")
        await ws.close(1001)
        assert await program.ends() == 0


async def test_any_other_end_is_a_status_of_its_own(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, cwd=tmp_path, stdin=PIPE) as program:
        program.feed(b"close 4000\n")
        await program.complains(r"elio: connection closed by the peer with code 4000 \(as asked \\x1b\[31m\)")
        assert await program.ends() == 5


async def test_a_message_over_its_limit_ends_the_connection(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, "--max-size", "10", cwd=tmp_path, stdin=PIPE) as program:
        program.feed(b"12345678901\n")
        await program.complains("elio: .* limit 10.*")
        assert await program.ends() == 5


@pytest.mark.parametrize(
    ("url", "arguments", "sentence", "status"),
    [
        ("http://localhost", [], "scheme 'http' is not ws, wss or ws\\+unix", 1),
        ("ws://localhost:99999", [], "port '99999' is not 1 to 65535", 1),
        ("ws://localhost", ["-H", "Upgrade: x"], "header upgrade is set by the handshake", 1),
        ("ws://localhost", ["--subprotocol", "a b"], ".*'a b'.*", 1),
        ("ws://localhost", ["--cacert", "none.pem"], "the authorities 'none.pem' cannot be used: .*", 1),
        ("ws://localhost", ["--record", "none/file"], "'none/file' cannot be written to: No such file or directory", 1),
        ("ws://127.0.0.1:{port}/page", [], r"the server answered with status 200 .*: no WebSocket \\x1b\[2J", 4),
        ("ws://127.0.0.1:{port}/ws", ["--replay", "none"], "'none' cannot be read: No such file or directory", 1),
    ],
)
async def test_what_does_not_work_is_one_sentence(
    place: Place, tmp_path: Path, url: str, arguments: list[str], sentence: str, status: int
) -> None:
    async with elio("ws", url.format(port=place.port), *arguments, cwd=tmp_path) as program:
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == status


async def test_a_server_that_is_not_there_is_status_3(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        async with elio("ws", f"ws://127.0.0.1:{sock.getsockname()[1]}", cwd=tmp_path) as program:
            await program.complains("elio: cannot connect to .*: Connection refused")
            assert await program.ends() == 3


async def test_certificates_are_checked_unless_told_otherwise(tmp_path: Path) -> None:
    certificates = make(tmp_path)
    place = Place()
    async with Server(place.router, port=0, tls=(certificates.certificate, certificates.key)) as server:
        url = f"wss://localhost:{server.port}/ws"
        async with elio("ws", url, cwd=tmp_path) as program:
            await program.complains("elio: .*certificate.*")
            assert await program.ends() == 3
        async with elio("ws", url, "--insecure", "--wait", "0", cwd=tmp_path) as program:
            assert await program.ends() == 0


async def test_a_unix_socket_is_another_way(tmp_path: Path) -> None:
    place = Place()
    async with Server(place.router, uds=str(tmp_path / "s")):
        async with elio("ws", "ws://localhost/ws", "--uds", "s", "--wait", "0", cwd=tmp_path) as program:
            assert await program.ends() == 0
        assert await place.end() == (1000, "")


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_closes_the_connection_in_order(place: Place, tmp_path: Path, number: int) -> None:
    async with elio("ws", place.url, cwd=tmp_path, stdin=PIPE) as program:
        program.feed(b"hello\n")
        await program.says("hello")
        program.kill(number)
        assert await program.ends() == 128 + number
    assert await place.end() == (1001, "")


async def test_a_second_ctrl_c_waits_for_no_closing_handshake(tmp_path: Path) -> None:
    closing = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search(r"(?i)^sec-websocket-key: (\S+)", head, re.MULTILINE)
        assert key is not None
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n\x81\x02hi" % accept_key(key[1]).encode()
        )
        await reader.readexactly(8)  # the close frame, which nobody answers
        closing.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with elio("ws", url, "--no-input", cwd=tmp_path) as program:
            await program.says("hi")
            program.kill(signal.SIGINT)
            async with asyncio.timeout(DEADLINE):
                await closing.wait()
            program.kill(signal.SIGINT)
            assert await program.ends() == 130


async def test_the_time_may_be_bounded(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, "--no-input", "--max-time", "0.2", cwd=tmp_path) as program:
        await program.complains("elio: not at an end within 0.2 seconds")
        assert await program.ends() == 124


async def test_a_reader_that_leaves_ends_it_silently(place: Place, tmp_path: Path) -> None:
    async with elio("ws", f"ws://127.0.0.1:{place.port}/endless", "--no-input", cwd=tmp_path) as program:
        await program.says("again")
        await program.leave()
        assert await program.ends(silently=False) == 141


# -- recordings --------------------------------------------------------------------------------------------------------


async def test_what_was_recorded_can_be_replayed(place: Place, tmp_path: Path) -> None:
    async with elio("ws", place.url, "--record", "one", "--wait", "2", cwd=tmp_path, stdin=PIPE) as program:
        for line in ("first", "second"):
            program.feed(line.encode() + b"\n")
            await program.says(line)
        await program.feed_eof()
        assert await program.ends() == 0
    entries = [json.loads(line) for line in (tmp_path / "one").read_text().splitlines()]
    said = [(entry["direction"], entry["type"], entry["data"]) for entry in entries]
    assert said == [(side, "text", text) for text in ("first", "second") for side in ("sent", "received")]
    options = ["--replay", "one", "--speed", "inf", "--wait", "2"]
    async with elio("ws", place.url, *options, cwd=tmp_path) as program:
        await program.says("first")
        await program.says("second")
        assert await program.ends() == 0


# -- on a terminal -----------------------------------------------------------------------------------------------------


async def test_messages_do_not_garble_the_line_that_is_typed(place: Place, tmp_path: Path) -> None:
    async with on_terminal("ws", place.url, cwd=tmp_path) as terminal:
        await terminal.shows("connected; Ctrl+D closes the connection", "> ")
        ws = await place.talking.get()
        terminal.type("half a line\x1b[D\x1b[D")
        await terminal.until(lambda: terminal.screen.column == 11)
        await ws.send("\x1b[2J news")
        await terminal.shows("< \\x1b[2J news", "> half a line")
        await terminal.until(lambda: terminal.screen.column == 11)
        terminal.type("X\r")
        await terminal.shows("> half a liXne", "< half a liXne", "> ")
        terminal.type("\x04")
        assert await terminal.ends() == 0
        await terminal.shows("closed with code 1000", "")
        assert terminal.screen.unknown == []
        assert terminal.echoes()
    assert await place.end() == (1000, "")


async def test_lines_from_before_come_back(place: Place, tmp_path: Path) -> None:
    for keys, answer in (("hello\r", "< hello"), ("\x1b[A!\r", "< hello!")):
        async with on_terminal("ws", place.url, cwd=tmp_path) as terminal:
            await terminal.shows("connected; Ctrl+D closes the connection", "> ")
            terminal.type(keys)
            await terminal.shows(answer, "> ")
            terminal.type("\x04")
            assert await terminal.ends() == 0
    history = tmp_path / "elio" / "ws_history"
    assert history.read_text() == "hello\nhello!\n"
    assert history.stat().st_mode & 0o777 == 0o600


async def test_ctrl_c_closes_and_gives_the_terminal_back(place: Place, tmp_path: Path) -> None:
    async with on_terminal("ws", place.url, "--no-history", cwd=tmp_path) as terminal:
        await terminal.shows("connected; Ctrl+D closes the connection", "> ")
        assert not terminal.echoes()
        terminal.type("abc\x03")
        assert await terminal.ends() == 130
        assert terminal.echoes()
    assert await place.end() == (1001, "")
    assert not (tmp_path / "elio").exists()


async def test_a_wrong_line_of_json_can_be_typed_anew(place: Place, tmp_path: Path) -> None:
    async with on_terminal("ws", place.url, "--json", cwd=tmp_path) as terminal:
        await terminal.shows("connected; Ctrl+D closes the connection", "> ")
        terminal.type("no\r")
        await terminal.shows("elio: this line is not JSON: 'no'", "> ")
        terminal.type('{"type":"binary","data":"AP8="}\r')
        await terminal.shows('< {"type":"binary","data":"AP8="}', "> ")


async def test_the_end_of_the_server_is_told(place: Place, tmp_path: Path) -> None:
    async with on_terminal("ws", place.url, "--binary", cwd=tmp_path) as terminal:
        await terminal.shows("connected; Ctrl+D closes the connection", "> ")
        terminal.type("ab\r")
        await terminal.shows("< (2 bytes) 61 62", "> ")
        ws = await place.talking.get()
        await ws.close(4001, "over\x1b[31m")
        assert await terminal.ends() == 5
        await terminal.shows("elio: connection closed by the peer with code 4001 (over\\x1b[31m)", "")
        assert terminal.echoes()
