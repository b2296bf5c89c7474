"""The same server on a Unix socket and on an inherited descriptor."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import unix_connect

from elio import ConfigurationError, EventStream, Request, Response, Router, WebSocket
from support.processes import run
from support.raw import connect, serve


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text(f"{request.host!r} {request.client!r} {request.scheme}")

    @router.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("one")

    return router


@pytest.fixture
def path() -> Iterator[Path]:
    """In a folder with a short name: the path of a Unix socket has little room."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "elio"


def found_at(path: Path) -> str:
    if path.is_socket():
        return "a socket"
    return path.read_text() if path.exists() else "nothing"


@pytest.fixture
def occupied(path: Path) -> Path:
    path.write_text("precious")
    return path


async def test_curl_and_websockets_over_a_unix_socket(curl: str, path: Path) -> None:
    async with serve(make_router(), uds=str(path)) as server:
        assert server.urls == [f"unix:{path}"]
        assert server.port == 0
        command = [curl, "--silent", "--show-error", "--unix-socket", str(path)]
        assert (await run(*command, "http://example.com/")).output == b"'example.com' '' http"
        assert (await run(*command, "http://localhost/events")).output == b"data: one\n\n"
        async with unix_connect(str(path), "ws://localhost/ws") as ws:
            for message in ("text", b"bytes", "x" * 300_000):
                await ws.send(message)
                assert await ws.recv() == message
    assert found_at(path) == "nothing"


async def test_a_socket_that_a_dead_server_left_is_replaced(curl: str, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serve(make_router(), uds=str(path)):
        finished = await run(curl, "--silent", "--unix-socket", str(path), "http://localhost/")
        assert finished.output == b"'localhost' '' http"


async def test_the_socket_of_a_living_server_is_left_alone(path: Path) -> None:
    async with serve(make_router(), uds=str(path)):
        with pytest.raises(ConfigurationError, match="another program listens on the Unix socket"):
            async with serve(make_router(), uds=str(path)):
                pass
        assert found_at(path) == "a socket"


async def test_a_file_is_left_alone(occupied: Path) -> None:
    with pytest.raises(ConfigurationError, match="exists and is not a socket"):
        async with serve(make_router(), uds=str(occupied)):
            pass
    assert found_at(occupied) == "precious"


async def test_an_inherited_descriptor_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serve(make_router(), fd=listening.fileno()) as server:
            assert server.port == listening.getsockname()[1]
            async with connect(server) as raw:
                assert (await raw.get("/")).body.startswith(b"'localhost' '127.0.0.1:")
        assert listening.fileno() >= 0
        assert listening.getsockname()[1] > 0, "the descriptor of the caller was closed"
