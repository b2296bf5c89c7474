"""What has gone wrong elsewhere with what HTTP servers write, done to this one over sockets: answers, logs, pages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator

import pytest

from elio import Request, Response, Router, WebSocket
from support.attack import Target, target
from support.raw import connect, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with target() as running:
        yield running


Send = Callable[[str], Response]

SENDS: dict[str, Send] = {
    "header value": lambda text: Response.text("", headers={"X": text}),
    "header name": lambda text: Response.text("", headers={text: "x"}),
    "content type": lambda text: Response(b"", content_type=text),
    "location": lambda text: Response.redirect("/" + text),
    "cookie": lambda text: _with_cookie(text, "x"),
    "cookie value": lambda text: _with_cookie("a", text),
}


def _with_cookie(name: str, value: str) -> Response:
    response = Response.text("")
    response.set_cookie(name, value)
    return response


@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0X-Evil: 1"])
@pytest.mark.parametrize("kind", SENDS)
async def test_nothing_that_breaks_a_line_reaches_the_wire(
    kind: str, evil: str, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return SENDS[kind](evil)

    @router.get("/later")
    async def later(request: Request) -> Response:
        response = Response.text("fine")
        response.headers["X"] = evil
        return response

    async with serve(router) as running, connect(running) as raw:
        for target_path in ("/", "/later"):
            answer = await raw.get(target_path)
            assert answer.status == 500
            assert "x-evil" not in answer.headers
            assert b"Evil" not in answer.body
    caplog.clear()


@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\0b"])
async def test_nothing_that_breaks_a_line_reaches_the_answer_to_a_handshake(
    evil: str, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router()

    @router.websocket("/accept")
    async def accept(ws: WebSocket) -> None:
        await ws.accept(headers={"X": evil})

    @router.websocket("/reject")
    async def reject(ws: WebSocket) -> None:
        await ws.reject(403, "", {"X": evil})

    @router.middleware
    async def add(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await handler(request)
        if request.path == "/middleware":
            response.headers["X"] = evil
        return response

    @router.websocket("/middleware")
    async def nothing(ws: WebSocket) -> None:
        await ws.accept()

    async with serve(router) as running:
        for path in ("/accept", "/reject", "/middleware"):
            async with connect(running) as raw:
                answer = await raw.upgrade(path)
                assert answer.status == 500
                assert "x-evil" not in answer.headers
    caplog.clear()


async def test_the_access_log_has_no_control_characters_of_a_client(server: Target) -> None:
    async with server.connect() as raw:
        assert (await raw.get("/\x9b31m%1b%0aINFO:forged", headers="User-Agent: \x9b31m\r\n")).status in (400, 404)
    async with server.connect() as raw:
        raw.send(b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.answer()).status == 400
    async with server.connect() as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n")
        assert (await raw.answer()).status == 400
    assert re.search(r"[^\n\x20-\x7e]", server.log) is None
    assert "\nINFO:forged" not in server.log


XSS = "%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (f"GET /{XSS} HTTP/1.1", "localhost"),
        ("GET /<script>alert(1)</script> HTTP/1.1", "localhost"),
        ("<script> / HTTP/1.1", "localhost"),
        ("GET / HTTP/<script>", "localhost"),
        ("DELETE / HTTP/1.1", "localhost"),
        ("GET / HTTP/1.1", "script-alert.example"),
        ("GET / HTTP/1.1", "<script>"),
    ],
)
async def test_pages_of_errors_are_no_markup(server: Target, line: str, host: str) -> None:
    async with server.connect() as raw:
        raw.send(f"{line}\r\nHost: {host}\r\n\r\n".encode())
        answer = await raw.answer()
        assert answer.status >= 400
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
