"""Connections of one address: counted, bounded, given back; who is not counted."""

from __future__ import annotations

from typing import Any

import pytest

from elio import EventStream, Limits, Request, Response, Router, Server, WebSocket
from elio.server.entry.addresses import Addresses
from elio.server.entry.proxies import TrustedProxies
from support.raw import HANDSHAKE, Raw, connect, serve, until

TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}
INTRODUCED = {**TRUSTED, "proxy_protocol": True}
PROXY = b"PROXY TCP4 %b 192.0.2.1 5000 80\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def index(request: Request) -> Response:
        return Response.text("hello")

    @router.websocket("/ws")
    async def ws(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    @router.sse("/events")
    async def events(stream: EventStream) -> None:
        await stream.send("first")
        await stream.wait_closed()

    return router


def serving(allowed: int | None, **options: Any) -> Any:
    return serve(make_router(), limits=Limits(max_connections_per_address=allowed), **options)


def forwarded(address: str) -> str:
    return f"X-Forwarded-For: {address}\r\n"


def counted(server: Server) -> str:
    assert server._context is not None
    return repr(server._context.addresses)


# -- counting ----------------------------------------------------------------------------------------------------------


def test_each_address_counts_for_itself() -> None:
    addresses = Addresses(2, None)
    assert [addresses.enter(f"192.0.2.1:{port}") for port in (1, 2, 3)] == [1, 2, 3]
    assert addresses.enter("192.0.2.2:1") == 1
    addresses.leave("192.0.2.1:2")
    assert addresses.enter("192.0.2.1:4") == 3


def test_an_address_without_connections_takes_no_memory() -> None:
    addresses = Addresses(2, None)
    addresses.enter("192.0.2.1:1")
    assert repr(addresses) == "<Addresses 1 with 1 connections, at most 2 each>"
    addresses.leave("192.0.2.1:1")
    addresses.leave("192.0.2.1:1")
    assert repr(addresses) == "<Addresses 0 with 0 connections, at most 2 each>"


def test_a_network_of_ipv6_is_one_address() -> None:
    addresses = Addresses(2, None)
    assert [addresses.enter(f"[2001:db8:0:1::{host}]:1") for host in (1, 2)] == [1, 2]
    assert addresses.enter("[2001:db8:0:2::1]:1") == 1
    assert [addresses.enter(client) for client in ("[::ffff:192.0.2.1]:1", "192.0.2.1:2")] == [1, 2]


@pytest.mark.parametrize("client", ["", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "10.1.2.3:1"])
def test_who_stands_for_others_is_not_counted(client: str) -> None:
    addresses = Addresses(2, TrustedProxies(["10.0.0.0/8"]))
    assert [addresses.enter(client) for _ in range(3)] == [0, 0, 0]
    addresses.leave(client)


def test_without_a_bound_nothing_is_counted() -> None:
    assert Addresses(None, None).enter("192.0.2.1:1") == 0


# -- connections that are introduced: the address is known at their beginning ------------------------------------------


async def introduced(raw: Raw, address: bytes, data: bytes = REQUEST) -> int:
    raw.send(PROXY % address + data)
    return (await raw.head()).status


async def test_as_many_as_allowed_are_served_and_one_more_is_not() -> None:
    async with serving(2, **INTRODUCED) as server, connect(server) as first, connect(server) as second:
        assert [await introduced(raw, b"192.0.2.7") for raw in (first, second)] == [200, 200]
        async with connect(server) as third:
            third.send(PROXY % b"192.0.2.7" + REQUEST)
            answer = await third.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert answer.body == b"503 Service Unavailable: too many connections of your address\n"
            assert await third.read_all() == b""
        async with connect(server) as other:
            assert await introduced(other, b"192.0.2.8") == 200
        await until(lambda: server.counters.limits)
        assert server.counters.limits == {"max_connections_per_address": 1}
        assert server.counters.rejected == 1


async def test_who_leaves_makes_room() -> None:
    async with serving(1, **INTRODUCED) as server:
        for data in (REQUEST, HANDSHAKE % (b"/ws", b""), HANDSHAKE % (b"/none", b""), REQUEST):
            async with connect(server) as raw:
                assert await introduced(raw, b"192.0.2.7", data) in (101, 200, 404)
            await until(lambda: not server.connections)
            assert counted(server) == "<Addresses 0 with 0 connections, at most 1 each>"


async def test_a_websocket_counts_as_long_as_it_is_open() -> None:
    async with serving(1, **INTRODUCED) as server, connect(server) as first:
        assert await introduced(first, b"192.0.2.7", HANDSHAKE % (b"/ws", b"")) == 101
        async with connect(server) as second:
            assert await introduced(second, b"192.0.2.7") == 503


async def test_many_that_are_refused_are_cut_off_without_an_answer() -> None:
    async with serving(1, **INTRODUCED) as server, connect(server) as first:
        assert await introduced(first, b"192.0.2.7") == 200
        context = server._context
        assert context is not None
        for port in range(300):
            context.addresses.enter(f"192.0.2.7:{port}")
        async with connect(server) as raw:
            raw.send(PROXY % b"192.0.2.7" + REQUEST)
            assert await raw.read_all() == b""


# -- requests of a proxy: the address is known with each of them -------------------------------------------------------


async def test_behind_a_proxy_the_client_is_counted() -> None:
    async with serving(1, **TRUSTED) as server, connect(server) as first, connect(server) as second:
        assert (await first.upgrade(headers=forwarded("192.0.2.7"))).status == 101
        answer = await second.get("/", headers=forwarded("192.0.2.7"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        # The connection is the proxy's, and others use it, too.
        assert (await second.get("/", headers=forwarded("192.0.2.8"))).status == 200
        assert (await second.get("/")).status == 200
        assert (server.counters.rejected, server.counters.limits) == (1, {"max_connections_per_address": 1})
        first.reset()
        await until(lambda: server.connections == 1)
        assert (await second.get("/", headers=forwarded("192.0.2.7"))).status == 200
        assert counted(server) == "<Addresses 0 with 0 connections, at most 1 each>"


async def test_an_event_stream_counts_as_long_as_it_is_open() -> None:
    async with serving(1, **TRUSTED) as server, connect(server) as second:
        async with connect(server) as first:
            first.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % forwarded("192.0.2.7").encode())
            assert (await first.head()).status == 200
            assert (await second.get("/", headers=forwarded("192.0.2.7"))).status == 503
        await until(lambda: server.connections == 1)
        assert (await second.get("/", headers=forwarded("192.0.2.7"))).status == 200


async def test_without_a_bound_an_address_may_have_all() -> None:
    async with serving(None, **TRUSTED) as server, connect(server) as first, connect(server) as second:
        assert (await first.upgrade(headers=forwarded("192.0.2.7"))).status == 101
        assert (await second.upgrade(headers=forwarded("192.0.2.7"))).status == 101
