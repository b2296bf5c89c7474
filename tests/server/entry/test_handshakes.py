"""TLS handshakes that do not end, or are too many: counted, bounded, explained."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from elio import Limits, Request, Response, Router, Server
from support.certificates import Certificates, make
from support.engines import runner_of
from support.raw import connect, serve, until


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make(tmp_path)


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    return router


def serving(certificates: Certificates, limits: Limits, **options: Any) -> Any:
    return serve(make_router(), limits=limits, tls=(certificates.certificate, certificates.key), **options)


def handshaking(server: Server) -> int:
    assert server._context is not None
    return server._context.handshaking


def client_hello(certificates: Certificates) -> bytes:
    """What a client of TLS begins with."""
    outgoing = ssl.MemoryBIO()
    client = certificates.client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("said", ["nothing", "the head of a record", "half a ClientHello", "all but the end"])
def test_a_handshake_that_stalls_is_cut_off_and_explained(certificates: Certificates, said: str, loop: str) -> None:
    hello = client_hello(certificates)
    sizes = {"nothing": 0, "the head of a record": 3, "half a ClientHello": len(hello) // 2}

    async def stall() -> None:
        limits = Limits(tls_handshake_timeout=0.2)
        async with serving(certificates, limits) as server, connect(server) as raw:
            begun = time.monotonic()
            raw.send(hello[: sizes.get(said, len(hello))])
            answer = await raw.read_all()
            assert time.monotonic() - begun >= 0.15
            assert bool(answer) is (said == "all but the end")
            await until(lambda: not handshaking(server))
            assert server.counters.ends == {("tls", "handshake_timeout"): 1}
            assert server.counters.limits == {"tls_handshake_timeout": 1}
            assert server.counters.accepted == 0

    with runner_of(loop) as runner:
        runner.run(stall())


async def test_a_handshake_in_time_is_no_end(certificates: Certificates) -> None:
    limits = Limits(tls_handshake_timeout=20.0)
    async with serving(certificates, limits) as server, connect(server, tls=certificates.client) as raw:
        assert (await raw.get("/")).status == 200
        assert (server.counters.ends, handshaking(server), server.connections) == ({}, 0, 1)


async def test_half_open_handshakes_count_as_connections(certificates: Certificates) -> None:
    async with serving(certificates, Limits(max_connections=2)) as server:
        async with connect(server), connect(server):
            await until(lambda: handshaking(server) == 2)
            async with connect(server) as third:
                assert await third.read_all() == b""
            assert server.counters.limits == {"max_connections": 1}
            assert server.counters.ends == {("tls", "over_limit"): 1}
            assert server.counters.rejected == 1
        await until(lambda: not handshaking(server))
        async with connect(server, tls=certificates.client) as raw:
            assert (await raw.get("/")).status == 200


async def test_they_count_for_their_address(certificates: Certificates) -> None:
    options: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "proxy_protocol": True}
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"
    async with serving(certificates, Limits(max_connections_per_address=1), **options) as server:
        async with connect(server) as first, connect(server) as second:
            first.send(header)
            await until(lambda: handshaking(server) == 1)
            second.send(header)
            assert await second.read_all() == b""
            assert server.counters.limits == {"max_connections_per_address": 1}
        await until(lambda: not handshaking(server))
        assert server._context is not None
        assert repr(server._context.addresses) == "<Addresses 0 with 0 connections, at most 1 each>"


@pytest.mark.parametrize(("data", "word"), [(b"GET / HTTP/1.1\r\n", "transport_failed"), (b"", "peer_disconnected")])
async def test_one_that_fails_is_counted_with_its_cause(certificates: Certificates, data: bytes, word: str) -> None:
    async with serving(certificates, Limits()) as server:
        async with connect(server) as raw:
            raw.send(data)
            raw.send_eof()
            await raw.read_all()
        await until(lambda: server.counters.ends)
        assert server.counters.ends == {("tls", word): 1}
        assert handshaking(server) == 0
