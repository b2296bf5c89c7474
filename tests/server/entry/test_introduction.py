"""Connections that begin with a header of the PROXY protocol, plain and with TLS, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from elio import ConfigurationError, EventStream, Limits, Request, Response, Router, Server, WebSocket
from support.certificates import make
from support.frames import frame
from support.raw import DEADLINE, HANDSHAKE, Raw, connect, serve, until

LINE = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"
BINARY = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x13\x88\x00\x50"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text(f"{request.scheme} {request.client} {request.host}")

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        assert ws.request is not None
        async for message in ws:
            await ws.send(f"{message!s} of {ws.request.client}")

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send(stream.request.client_host)

    return router


def serving(**options: Any) -> Any:
    options = {"trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": True, **options}
    return serve(make_router(), **options)


@pytest.mark.parametrize("header", [LINE, BINARY])
async def test_the_client_is_who_the_header_says(header: bytes) -> None:
    async with serving() as server, connect(server) as raw:
        raw.send(header + REQUEST + REQUEST)
        for _ in range(2):
            assert (await raw.answer()).body == b"http 192.0.2.7:5000 localhost"
        assert (await raw.get("/events")).body == b"data: 192.0.2.7\n\n"


async def test_a_header_may_come_in_pieces() -> None:
    async with serving() as server, connect(server) as raw:
        for piece in (BINARY[:3], BINARY[3:20], BINARY[20:] + REQUEST):
            raw.send(piece)
            await raw.writer.drain()
            await asyncio.sleep(0)
        assert (await raw.answer()).body == b"http 192.0.2.7:5000 localhost"


async def test_a_check_of_the_proxy_itself_is_its_own() -> None:
    async with serving() as server, connect(server) as raw:
        raw.send(LOCAL + REQUEST)
        scheme, client, _ = (await raw.answer()).body.split()
        assert (scheme, client.rpartition(b":")[0]) == (b"http", b"127.0.0.1")


async def test_websockets_work_behind_it() -> None:
    async with serving() as server, connect(server) as raw:
        raw.send(LINE + HANDSHAKE % (b"/ws", b"") + frame(0x81, b"hi"))
        assert (await raw.answer()).status == 101
        assert await raw.receive_frame() == (0x81, b"hi of 192.0.2.7:5000")
        assert server.connections == 1


async def test_tls_begins_behind_it(tmp_path: Path) -> None:
    files = make(tmp_path)
    async with serving(tls=(files.certificate, files.key)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(LINE)
        await writer.start_tls(files.client, server_hostname="localhost")
        raw = Raw(reader, writer)
        assert (await raw.get("/")).body == b"https 192.0.2.7:5000 localhost"
        await raw.close()


async def test_an_answer_to_what_is_no_request_is_logged_with_the_client(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.access")
    async with serving() as server, connect(server) as raw:
        raw.send(LINE + b"nonsense\r\n\r\n")
        assert (await raw.answer()).status == 400
    assert caplog.messages[0].startswith("192.0.2.7:5000 '-' 400")


@pytest.mark.parametrize("data", [REQUEST, b"\x16\x03\x01", BINARY[:-1]])
async def test_what_is_no_header_is_cut_off(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.server")
    async with serving() as server, connect(server) as raw:
        raw.send(data)
        raw.send_eof()
        assert await raw.read_all() == b""
        await until(lambda: server.connections == 0)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_others_than_the_proxies_are_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elio.server")
    async with serving(trusted_proxies=["192.0.2.1"]) as server, connect(server) as raw:
        raw.send(LINE + REQUEST)
        assert await raw.read_all() == b""
        assert server.connections == 0
    assert "it is not one of the trusted proxies" in caplog.text


async def test_a_header_that_does_not_come_is_not_waited_for() -> None:
    async with serving(limits=Limits(headers_timeout=0.2)) as server, connect(server) as raw:
        raw.send(b"PROXY ")
        assert await raw.read_all() == b""


async def test_an_end_of_the_server_does_not_wait_for_headers() -> None:
    async with serving() as server, connect(server) as raw:
        raw.send(b"PROXY ")
        await until(lambda: server.connections == 1)
        async with asyncio.timeout(DEADLINE):
            await server.close(grace=DEADLINE)
        assert await raw.read_all() == b""


async def test_it_works_over_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with Server(make_router(), uds=path, trusted_proxies=["unix"], proxy_protocol=True):
        raw = Raw(*await asyncio.open_unix_connection(path))
        raw.send(LINE + REQUEST)
        assert (await raw.answer()).body == b"http 192.0.2.7:5000 localhost"
        await raw.close()


def test_headers_of_anybody_are_not_believed() -> None:
    with pytest.raises(ConfigurationError, match="proxy_protocol needs trusted_proxies"):
        Server(Router(), proxy_protocol=True)


# -- headers of HTTP ---------------------------------------------------------------------------------------------------


async def test_what_a_trusted_proxy_says_is_what_handlers_checks_and_the_log_see(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "elio.access")
    said = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
    options = {"trusted_proxies": ["127.0.0.1"], "allowed_hosts": ["a.example"]}
    async with serve(make_router(), **options) as server, connect(server) as raw:
        assert (await raw.get("/")).status == 421
        assert (await raw.get("/", headers=said)).body == b"https 192.0.2.7:0 a.example"
        assert (await raw.upgrade(headers=said + "Origin: http://localhost\r\n")).status == 403
        assert (await raw.upgrade(headers=said + "Origin: https://a.example\r\n")).status == 101
    assert [message.split()[0] for message in caplog.messages][1:] == ["192.0.2.7:0"] * 3


async def test_others_are_not_believed() -> None:
    said = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
    for options in ({}, {"trusted_proxies": ["192.0.2.1"]}):
        async with serve(make_router(), **options) as server, connect(server) as raw:
            scheme, client, host = (await raw.get("/", headers=said)).body.split()
            assert (scheme, client.partition(b":")[0], host) == (b"http", b"127.0.0.1", b"localhost")


async def test_behind_a_header_of_the_proxy_the_client_is_not_believed() -> None:
    async with serving() as server, connect(server) as raw:
        raw.send(LINE + b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n")
        assert (await raw.answer()).body == b"http 192.0.2.7:5000 localhost"
