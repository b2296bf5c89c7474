"""The examples as programs: they explain themselves, start, refuse and stop as a person expects it."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import sys
import time
from contextlib import ExitStack, closing

import pytest
from websockets.asyncio.client import connect as dial

from support.house import ROOT
from support.processes import EXAMPLES, example, run
from support.raw import DEADLINE

CLASSIC = ["websocket_server", "sse_server", "demo"]
SERVERS = [*CLASSIC, "chat", "dashboard", "model_stream"]
CLIENTS = ["sse_client", "websocket_client"]
QUICK = 3.0
"""Seconds that a stop may take on a busy machine when nobody is connected."""


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_every_example_is_tested_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SERVERS, *CLIENTS}


@pytest.mark.parametrize("name", SERVERS + CLIENTS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_an_example_explains_itself(name: str, option: str) -> None:
    with example(name, option) as program:
        assert program.line().startswith(f"usage: {name}.py [-h]")
        assert program.wait() == 0


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("argument", ["http", "8o80"])
def test_what_is_no_port_is_a_wrong_command_line(name: str, argument: str) -> None:
    with example(name, argument) as program:
        assert program.wait() == 2
        assert program.errors.endswith(f"argument port: invalid int value: {argument!r}\n")


@pytest.mark.parametrize("name", SERVERS)
def test_a_busy_port_is_one_sentence_and_status_1(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with example(name, str(port)) as program:
            assert program.wait() == 1
            assert program.errors == f"port {port} on 127.0.0.1 is in use by another program\n"


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_that_cannot_be_is_one_sentence_and_status_1(name: str) -> None:
    with example(name, "65536") as program:
        assert program.wait() == 1
        assert program.errors == "port 65536, allowed are 0 to 65535\n"


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_example_with_status_0(name: str, number: signal.Signals) -> None:
    with example(name, "0") as program:
        port = program.port()
        status, body = get(port, "/")
        assert status == 200
        assert b"<title>" in body
        asked = time.monotonic()
        program.signal(number)
        assert program.wait() == 0
        assert time.monotonic() - asked < QUICK
        assert program.errors == ""


def test_pages_of_the_demo_are_found_without_their_slash_too() -> None:
    with example("demo", "0") as program:
        port = program.port()
        for path in ("/websocket", "/sse"):
            assert get(port, path)[0] == 308
            assert get(port, f"{path}/")[0] == 200


@pytest.mark.parametrize("name", CLASSIC)
async def test_an_example_stops_quickly_with_people_connected(name: str) -> None:
    below = {"websocket": "/websocket", "sse": "/sse"} if name == "demo" else {"websocket": "", "sse": ""}
    with example(name, "0") as program, ExitStack() as stack:
        port = program.port()
        if name != "sse_server":
            ws = await dial(f"ws://127.0.0.1:{port}{below['websocket']}/ws/chat", proxy=None)
            await ws.recv()
        if name != "websocket_server":
            reader = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)))
            reader.request("GET", f"{below['sse']}/events")
            stream = reader.getresponse()
            assert stream.read(7) == b"retry: "
        program.signal(signal.SIGTERM)
        if name != "sse_server":
            async for _ in ws:
                pass
            assert ws.close_code == 1001
        assert await asyncio.to_thread(program.wait) == 0
        assert program.errors == ""


@pytest.mark.parametrize("value", ["0", "nan", "soon"])
@pytest.mark.parametrize("option", ["--interval", "--retry"])
def test_what_is_no_time_is_a_wrong_command_line(option: str, value: str) -> None:
    with example("sse_server", "0", f"{option}={value}") as program:
        assert program.wait() == 2
        assert f"argument {option}: " in program.errors


@pytest.mark.parametrize(
    ("name", "info"),
    [
        (
            "websocket_server",
            {
                "server": "Elio WebSocket Server",
                "connected_clients": 0,
                "endpoints": {"echo": "/ws/echo", "chat": "/ws/chat"},
            },
        ),
        (
            "sse_server",
            {"server": "Elio SSE Server", "total_events": 0, "endpoints": {"events": "/events", "sse": "/sse"}},
        ),
    ],
)
def test_an_example_tells_about_itself_in_json(name: str, info: dict[str, object]) -> None:
    with example(name, "0") as program:
        status, body = get(program.port(), "/info")
        assert status == 200
        told = json.loads(body)
        assert told.pop("version")
        assert told == info


# -- the WebSocket client ----------------------------------------------------------------------------------------------


async def talk(*options: str, target: str = "/ws/echo", data: bytes = b"") -> tuple[int, list[str], str]:
    """Status, lines and errors of the client of the running example server."""
    with example("websocket_server", "0") as server:
        url = f"ws://127.0.0.1:{server.port()}{target}"
        client = str(EXAMPLES / "websocket_client.py")
        done = await run(
            sys.executable, client, *options, url, data=data, environment={"PYTHONPATH": str(ROOT / "src")}
        )
        return done.status, done.output.decode().replace(url, "URL").splitlines(), done.errors


@pytest.mark.parametrize("option", [[], ["--echo"], ["-e"]])
async def test_the_client_echoes_and_no_reply_is_off_by_one(option: list[str]) -> None:
    status, lines, errors = await talk(*option)
    words = [line for text in ("Hello", "World", "WebSocket", "Test") for line in (f"> {text}", f"< {text}")]
    assert (status, errors) == (0, "")
    assert lines[0] == "connected to URL"
    assert "welcome" in lines[1]
    assert lines[2:] == [*words, "closed with 1000"]


@pytest.mark.parametrize("target", ["/ws/echo", "/ws"])
async def test_the_client_shows_one_of_everything(target: str) -> None:
    status, lines, errors = await talk("--demo", target=target)
    assert (status, errors) == (0, "")
    assert lines[2:5] == [
        "text:   Hello from the demo!",
        'JSON:   {"action": "test", "value": 42}',
        "binary: 256 bytes came back the same",
    ]
    assert lines[5].startswith("ping: ")
    assert lines[6:] == ["rapid:  Message 1", "rapid:  Message 2", "rapid:  Message 3", "closed with 1000"]


async def test_the_client_sends_lines_of_standard_input() -> None:
    status, lines, errors = await talk("--interactive", target="/ws", data="one\ntwo é\n".encode())
    assert (status, errors) == (0, "")
    assert lines == ["connected to URL", "< one", "< two é", "closed with 1000"]


@pytest.mark.parametrize(
    ("url", "told"),
    [("ws://127.0.0.1:1/", "cannot connect to 127.0.0.1:1: Connection refused"), ("http://a/", "scheme 'http' is not")],
)
def test_what_goes_wrong_is_one_sentence_and_status_1(url: str, told: str) -> None:
    with example("websocket_client", url) as program:
        assert program.wait() == 1
        assert told in program.errors
        assert program.errors.count("\n") == 1


# -- the reader of event streams ---------------------------------------------------------------------------------------


async def read(*options: str, server_options: tuple[str, ...] = ("--interval", "0.01")) -> tuple[int, list[str], str]:
    """Status, lines and errors of the reader of the running example server."""
    with example("sse_server", "0", *server_options) as server:
        url = f"http://127.0.0.1:{server.port()}/events"
        reader = str(EXAMPLES / "sse_client.py")
        done = await run(sys.executable, reader, *options, url, environment={"PYTHONPATH": str(ROOT / "src")})
        return done.status, done.output.decode().splitlines(), done.errors


@pytest.mark.parametrize(
    ("option", "count"),
    [([], 20), (["--demo"], 20), (["-s"], 5), (["--simple"], 5), (["-r"], 30), (["--reconnect"], 30)],
)
async def test_the_reader_prints_so_many_events(option: list[str], count: int) -> None:
    status, lines, errors = await read(*option)
    assert (status, errors) == (0, "-- connecting\n-- open\n-- closed\n")
    heads = [line for line in lines if line.startswith("[Event #")]
    assert heads[0] == "[Event #  1] type=heartbeat id=1"
    assert heads[3] == "[Event #  4] type=message id=4"
    assert len(heads) == count
    assert lines[-1] == f"{count} events"


def test_the_reader_tells_what_goes_wrong_in_one_sentence() -> None:
    with example("sse_client", "--simple", "http://127.0.0.1:1/") as program:
        assert program.wait() == 1
        *steps, told = program.errors.splitlines()
        assert steps == ["-- connecting", "-- closed"]
        assert told == "sse_client: cannot connect to 127.0.0.1:1: Connection refused"
