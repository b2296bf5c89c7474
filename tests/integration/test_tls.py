"""TLS as clients meet it: versions, certificates, what is no TLS at all, and a server's own context."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import connect as dial

from elio import ConfigurationError, Limits, Request, Response, Router, Server, WebSocket
from support.processes import run
from support.raw import DEADLINE, connect, serve
from support.site import Certificates, Site, open_site

LARGE = bytes(range(256)) * 20_000


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text(f"{request.scheme} {request.client_host}\n")

    @router.get("/large")
    async def large(request: Request) -> Response:
        return Response.bytes(LARGE)

    @router.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return router


@pytest.fixture
async def server(certificates: Certificates) -> AsyncIterator[Server]:
    limits = Limits(tls_handshake_timeout=0.3, close_timeout=1.0)
    tls = (certificates.certificate, certificates.key)
    async with serve(make_router(), limits=limits, tls=tls) as running:
        yield running


@pytest.fixture
async def secure(certificates: Certificates) -> AsyncIterator[Site]:
    async with open_site(certificates) as site:
        yield site


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_present_versions_are_spoken(
    server: Server, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = certificates.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with connect(server, tls=context) as raw:
        facts = raw.writer.get_extra_info("ssl_object")
        assert facts.version() == version.name.replace("_", ".")
        assert facts.selected_alpn_protocol() == "http/1.1"
        assert facts.compression() is None
        assert (await raw.get("/")).body == b"https 127.0.0.1\n"


async def test_old_versions_are_refused(curl: str, secure: Site) -> None:
    for version, status in (("1.1", 35), ("1.2", 0)):
        options = ["--tls-max", version, "--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0"]
        assert (await run(*secure.curl, *options, secure.http)).status == status


@pytest.mark.usefixtures("curl")
async def test_a_client_that_does_not_trust_the_authority_is_no_trouble(
    secure: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    finished = await run("curl", "--silent", "--show-error", "--noproxy", "*", secure.http)
    assert finished.status == 60
    assert (await run(*secure.curl, secure.http)).output == b"hello\n"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_plain_client_on_a_tls_port_is_closed_and_no_trouble(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01", b"\x00" * 100):
        async with connect(server) as raw:
            raw.send(data)
            raw.send_eof()
            assert b"HTTP" not in await raw.read_all()
    assert server.connections == 0
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_handshake_that_does_not_end_is_cut_off(server: Server) -> None:
    async with connect(server) as raw:
        assert await raw.read_all() == b""


async def test_a_large_response_arrives_whole(server: Server, certificates: Certificates) -> None:
    async with connect(server, tls=certificates.client()) as raw:
        for _ in range(3):
            assert (await raw.get("/large")).body == LARGE


async def test_an_answer_that_closes_ends_with_an_announced_end(server: Server, certificates: Certificates) -> None:
    async with connect(server, tls=certificates.client()) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(DEADLINE):
            # A stream cut without close_notify would raise here.
            assert (await raw.reader.read()).endswith(b"https 127.0.0.1\n")


async def test_websockets_close_in_order(server: Server, certificates: Certificates) -> None:
    async with dial(f"wss://localhost:{server.port}/ws", ssl=certificates.client(), proxy=None) as ws:
        for message in ("text", b"bytes", "x" * 500_000):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.close(4000, "enough")
        assert ws.protocol.close_rcvd is not None
        assert ws.protocol.close_rcvd.code == 4000


async def test_a_context_of_ones_own_may_ask_for_certificates_of_clients(certificates: Certificates) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with serve(make_router(), tls=context) as server:
        known = certificates.client()
        authority.issue_cert("someone@example.com").configure_cert(known)
        async with connect(server, tls=known) as raw:
            assert (await raw.get("/")).status == 200
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # in TLS 1.3 the client learns it from its first read
            async with connect(server, tls=certificates.client()) as raw:
                raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert await raw.reader.read() == b""


def test_files_that_cannot_be_used_are_one_sentence(certificates: Certificates, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError, match=r"the TLS certificate '.*missing.pem' does not exist"):
        Server(Router(), tls=(missing, certificates.key))
    with pytest.raises(ConfigurationError, match=r"the TLS private key '.*missing.pem' does not exist"):
        Server(Router(), tls=(certificates.certificate, missing))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Server(Router(), tls=(certificates.certificate, certificates.certificate))
    another = tmp_path / "another.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(another)
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*KEY_VALUES_MISMATCH"):
        Server(Router(), tls=(certificates.certificate, another))
