"""The recipes of docs/guides/behind-a-proxy.md, as they stand there: nginx, HAProxy and Caddy before a server.

Only ports, names and paths are put in. Clients connect from 127.0.0.2, the proxies from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from elio import EventStream, Request, Response, Router, WebSocket
from support.between import caddy, haproxy, nginx_with
from support.house import ROOT
from support.raw import DEADLINE, HANDSHAKE, Raw, serve
from support.servers import held_port
from support.site import Certificates

pytestmark = pytest.mark.peer

PAGE = (ROOT / "docs" / "guides" / "behind-a-proxy.md").read_text("utf-8")
FORGED = "X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example\r\n"
ORIGIN = "Origin: https://localhost\r\n"


def recipe(name: str) -> str:
    """The block of the page below this mark."""
    found = re.search(rf"^<!-- {name} -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def put_in(text: str, places: dict[str, str]) -> str:
    """The recipe with these texts replaced, each of which it has."""
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new)
    return text


class Place:
    """What the handlers of the server have seen."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()

    def router(self) -> Router:
        router = Router()

        @router.get("/")
        async def index(request: Request) -> Response:
            return Response.text(f"{request.client_host} {request.scheme} {request.host}")

        @router.websocket("/ws")
        async def echo(ws: WebSocket) -> None:
            assert ws.request is not None
            await ws.send(ws.request.client_host)
            async for message in ws:
                await ws.send(message)

        @router.sse("/events")
        async def events(stream: EventStream) -> None:
            try:
                await stream.send("first")
                await self.go_on.wait()
                await stream.send("second")
                await asyncio.Event().wait()
            finally:
                self.left.set()

        return router


@contextmanager
def proxied(name: str, folder: Path, upstream: int, certificates: Certificates) -> Iterator[int]:
    """One of the proxies before a port; its own port."""
    with held_port() as port, _proxied(name, folder, upstream, certificates, port):
        yield port


@contextmanager
def _proxied(name: str, folder: Path, upstream: int, certificates: Certificates, port: int) -> Iterator[None]:
    both = folder / "both.pem"
    both.write_bytes(certificates.certificate.read_bytes() + certificates.key.read_bytes())
    if name == "nginx":
        places = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8080": f"127.0.0.1:{upstream}",
            "/etc/ssl/example.com.pem": str(certificates.certificate),
            "/etc/ssl/example.com.key": str(certificates.key),
        }
        with nginx_with(folder, put_in(recipe(name), places), port):
            yield
        return
    if name == "caddy":
        tls = f"tls {certificates.certificate} {certificates.key}"
        places = {
            "example.com {": f"https://localhost:{port} {{\n    bind 127.0.0.1\n    {tls}",
            "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        }
        with caddy(folder, put_in(recipe(name), places), port):
            yield
        return
    places = {"bind :443": f"bind 127.0.0.1:{port}"}
    if name == "haproxy":
        places |= {"127.0.0.1:8080": f"127.0.0.1:{upstream}", "/etc/ssl/example.com.pem": str(both)}
    else:
        places |= {"127.0.0.1:8443": f"127.0.0.1:{upstream}"}
    with haproxy(folder, put_in(recipe(name), places), port):
        yield


@asynccontextmanager
async def client(port: int, certificates: Certificates) -> AsyncIterator[Raw]:
    """A client with TLS from 127.0.0.2."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=certificates.client(), server_hostname="localhost", local_addr=("127.0.0.2", 0)
    )
    raw = Raw(reader, writer)
    try:
        yield raw
    finally:
        await raw.close()


@pytest.mark.parametrize("name", ["nginx", "haproxy", "haproxy tcp", "caddy"])
async def test_the_recipe_works(name: str, certificates: Certificates, tmp_path: Path) -> None:
    place = Place()
    options: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"]}
    if name == "haproxy tcp":
        options |= {"proxy_protocol": True, "tls": (certificates.certificate, certificates.key)}
    async with serve(place.router(), **options) as server:
        with proxied(name, tmp_path, server.port, certificates) as port:
            await check_http(port, certificates)
            await check_websocket(port, certificates)
            await check_events(port, certificates, place)


async def check_http(port: int, certificates: Certificates) -> None:
    """The client, its scheme and its host, whatever it says itself."""
    async with client(port, certificates) as raw:
        for headers in ("", FORGED):
            answer = await raw.get("/", headers=headers)
            assert (answer.status, answer.body) == (200, b"127.0.0.2 https localhost")


async def check_websocket(port: int, certificates: Certificates) -> None:
    """The upgrade, messages both ways, the closing handshake; and the check of origins."""
    async with client(port, certificates) as raw:
        raw.send(HANDSHAKE % (b"/ws", b"Origin: https://evil.example\r\n"))
        assert (await raw.answer()).status == 403
    async with client(port, certificates) as raw:
        assert (await raw.upgrade(headers=ORIGIN + FORGED)).status == 101
        assert await raw.receive_frame() == (0x81, b"127.0.0.2")
        for size in (5, 100_000):
            raw.frame(0x82, b"x" * size)
            assert await raw.receive_frame() == (0x82, b"x" * size)
        raw.frame(0x88, b"\x0f\xa0")
        assert await raw.receive_close() == (4000, "")


async def check_events(port: int, certificates: Certificates, place: Place) -> None:
    """Each event comes when it is sent, and a reader that leaves is seen leaving."""
    async with client(port, certificates) as raw:
        raw.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await raw.head()
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        await raw.read_until(b"data: first\n\n")
        place.go_on.set()
        await raw.read_until(b"data: second\n\n")
        raw.writer.transport.abort()  # a FIN without a goodbye of TLS, as of a browser that is closed
    await asyncio.wait_for(place.left.wait(), DEADLINE)
