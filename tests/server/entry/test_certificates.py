"""Certificates that change while the server runs, several of them, and those of clients; with real handshakes."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from elio import Request, Response, Router, Server, TLSConfig, WebSocket
from elio.net.runtime import Runtime
from elio.net.tls_stream import TlsRuntime
from elio.server.entry.certificates import Certificates
from support.clock import FakeLoop
from support.raw import DEADLINE, connect, serve, until

Pair = tuple[Path, Path]


class Issuer:
    """An authority with files in a folder, and a client's context that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.count = 0

    def pair(self, name: str, *hosts: str) -> Pair:
        """Files of a certificate; writing the same name again replaces them, as programs that renew them do."""
        self.count += 1
        issued = self.authority.issue_cert(*hosts, common_name=f"number {self.count}")
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for path, data in zip(paths, (chain, issued.private_key_pem.bytes()), strict=True):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(data)
            os.replace(fresh, path)
        return paths

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        certificate = request.client_certificate
        return Response.json(certificate and certificate["subjectAltName"])

    @router.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return router


def number(facts: Any) -> str:
    """The common name that a server has shown."""
    names = dict(pair for group in facts.getpeercert()["subject"] for pair in group)
    return str(names["commonName"])


async def shown(server: Server, client: ssl.SSLContext, name: str = "localhost") -> str:
    """What a new connection finds."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client, server_hostname=name)
    try:
        return number(writer.get_extra_info("ssl_object"))
    finally:
        writer.close()
        await writer.wait_closed()


# -- renewal -----------------------------------------------------------------------------------------------------------


class Place:
    """Certificates on a clock that the test moves."""

    def __init__(self, config: TLSConfig) -> None:
        self.loop: Any = FakeLoop()
        runtime = Runtime(self.loop, None)  # type: ignore[arg-type]
        self.certificates = Certificates(config)
        self.first = self.certificates.context
        self.shared = TlsRuntime(self.loop, self.first, 1.0)
        self.certificates.watch(runtime.timer, self.shared)

    @property
    def is_new(self) -> bool:
        return self.shared.context is not self.first


async def test_files_that_have_changed_are_read_once_they_have_settled(issuer: Issuer) -> None:
    place = Place(TLSConfig(*issuer.pair("a", "localhost"), reload_interval=5.0))
    place.loop.advance(20.0)
    assert not place.is_new
    issuer.pair("a", "localhost")
    place.loop.advance(5.1)
    assert not place.is_new
    place.loop.advance(5.1)
    assert place.is_new
    second = place.shared.context
    place.loop.advance(20.0)
    assert place.shared.context is second


async def test_a_change_before_the_first_look_is_seen(issuer: Issuer) -> None:
    config = TLSConfig(*issuer.pair("a", "localhost"))
    certificates = Certificates(config)
    issuer.pair("a", "localhost")
    loop: Any = FakeLoop()
    shared = TlsRuntime(loop, certificates.context, 1.0)
    certificates.watch(Runtime(loop, None).timer, shared)  # type: ignore[arg-type]
    loop.advance(11.0)
    assert shared.context is not None
    assert shared.context is certificates.context


async def test_a_pair_that_cannot_be_used_is_told_once_and_the_old_one_stays(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "elio.server")
    certificate, key = issuer.pair("a", "localhost")
    place = Place(TLSConfig(certificate, key))
    key.write_text("nonsense")
    place.loop.advance(60.0)
    key.unlink()
    place.loop.advance(60.0)
    assert not place.is_new
    levels = [(record.levelno, record.getMessage()[:32]) for record in caplog.records]
    assert levels == [(logging.ERROR, "the old TLS certificate stays: t")] * 2
    issuer.pair("a", "localhost")
    place.loop.advance(11.0)
    assert place.is_new
    assert caplog.messages[-1].endswith("a.pem' was read anew")


async def test_it_may_be_told_not_to_look(issuer: Issuer) -> None:
    place = Place(TLSConfig(*issuer.pair("a", "localhost"), reload_interval=None))
    issuer.pair("a", "localhost")
    place.loop.advance(1000.0)
    assert not place.is_new
    assert place.certificates.reload()
    assert place.is_new


async def test_open_connections_stay_and_new_ones_get_the_new_certificate(issuer: Issuer) -> None:
    config = TLSConfig(*issuer.pair("a", "localhost"), reload_interval=0.05)
    async with serve(make_router(), tls=config) as server, connect(server, tls=issuer.client()) as raw:
        assert (await raw.upgrade()).status == 101
        assert number(raw.writer.get_extra_info("ssl_object")) == "number 1"
        issuer.pair("a", "localhost")
        async with asyncio.timeout(DEADLINE):
            while await shown(server, issuer.client()) != "number 2":
                pass
        raw.frame(0x81, b"still here")
        assert await raw.receive_frame() == (0x81, b"still here")


async def test_a_program_may_ask_for_it(issuer: Issuer) -> None:
    config = TLSConfig(*issuer.pair("a", "localhost"), reload_interval=None)
    async with serve(make_router(), tls=config) as server:
        issuer.pair("a", "localhost")
        assert await shown(server, issuer.client()) == "number 1"
        assert server.reload_certificates()
        assert await shown(server, issuer.client()) == "number 2"


async def test_of_a_ready_context_and_without_tls_nothing_can_be_read(issuer: Issuer) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*issuer.pair("a", "localhost"))
    async with serve(make_router(), tls=context) as server:
        assert not server.reload_certificates()
        assert await shown(server, issuer.client()) == "number 1"
    assert not Server(make_router()).reload_certificates()


# -- several names -----------------------------------------------------------------------------------------------------


async def test_each_name_has_its_certificate(issuer: Issuer) -> None:
    config = TLSConfig(
        *issuer.pair("default", "localhost", "other.example", "a.b.example.com"),
        names={"Example.org": issuer.pair("one", "example.org"), "*.example.com": issuer.pair("all", "*.example.com")},
    )
    async with serve(make_router(), tls=config, allowed_hosts=["*"]) as server:
        names = ["localhost", "other.example", "example.org", "EXAMPLE.ORG", "a.example.com", "a.b.example.com"]
        found = [await shown(server, issuer.client(), name) for name in names]
        nameless = issuer.client()
        nameless.check_hostname = False
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=nameless, server_hostname="")
        assert number(writer.get_extra_info("ssl_object")) == "number 1"
        writer.close()
        await writer.wait_closed()
    assert found == [f"number {count}" for count in (1, 1, 2, 2, 3, 1)]


async def test_the_certificate_of_a_name_is_renewed_too(issuer: Issuer) -> None:
    names = {"example.org": issuer.pair("one", "example.org")}
    config = TLSConfig(*issuer.pair("default", "localhost"), names=names)
    async with serve(make_router(), tls=config) as server:
        issuer.pair("one", "example.org")
        assert server.reload_certificates()
        assert await shown(server, issuer.client(), "example.org") == "number 3"


# -- those of clients --------------------------------------------------------------------------------------------------


@pytest.fixture
def people(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "people.pem")
    return authority


Options = Callable[..., TLSConfig]


@pytest.fixture
def options(issuer: Issuer, people: trustme.CA, tmp_path: Path) -> Options:
    def make(*, required: bool, **more: Any) -> TLSConfig:
        return TLSConfig(
            *issuer.pair("a", "localhost"),
            client_ca=tmp_path / "people.pem",
            require_client_certificate=required,
            **more,
        )

    return make


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_certificate_of_a_client_is_known_to_handlers(
    issuer: Issuer, people: trustme.CA, options: Options, version: ssl.TLSVersion, required: bool
) -> None:
    client = issuer.client()
    client.maximum_version = version
    people.issue_cert("ada@example.com").configure_cert(client)
    async with serve(make_router(), tls=options(required=required)) as server, connect(server, tls=client) as raw:
        assert (await raw.get("/")).body == b'[["email","ada@example.com"]]'


async def test_clients_without_one_may_come_where_it_is_not_required(issuer: Issuer, options: Options) -> None:
    config = options(required=False)
    async with serve(make_router(), tls=config) as server, connect(server, tls=issuer.client()) as raw:
        assert (await raw.get("/")).body == b"null"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("who", ["nobody", "stranger"])
async def test_others_are_refused_in_the_handshake(
    issuer: Issuer, options: Options, who: str, version: ssl.TLSVersion
) -> None:
    client = issuer.client()
    client.maximum_version = version
    if who == "stranger":
        trustme.CA().issue_cert("ada@example.com").configure_cert(client)
    config = options(required=True, names={"localhost": issuer.pair("b", "localhost")})
    async with serve(make_router(), tls=config) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):  # noqa: PT012 (in TLS 1.3 the first read tells)
            reader, _ = await asyncio.open_connection("127.0.0.1", server.port, ssl=client, server_hostname="localhost")
            if not await reader.read():
                raise ConnectionResetError
        await until(lambda: server.connections == 0)
