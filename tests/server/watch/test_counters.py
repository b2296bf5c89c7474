"""The counts of a server: what is counted where."""

from __future__ import annotations

import asyncio

import pytest

from elio import Limits, Request, Response, Router, Server, WebSocket
from elio.causes import Closed, PeerReset
from elio.server.watch.counters import Counters
from support.raw import HANDSHAKE, connect, serve, until

router = Router()


@router.get("/")
async def index(request: Request) -> Response:
    return Response.text("hello")


@router.websocket("/ws")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@router.websocket("/no")
async def no(ws: WebSocket) -> None:
    await ws.reject(403)


def test_counts_by_name() -> None:
    counters = Counters()
    counters.count_end("http", Closed())
    counters.count_end("http", Closed())
    counters.count_end("sse", PeerReset())
    counters.count_limit("max_headers")
    counters.count_handshake("101")
    assert counters.ends == {("http", "closed"): 2, ("sse", "peer_reset"): 1}
    assert counters.limits == {"max_headers": 1}
    assert counters.handshakes == {"101": 1}
    assert repr(counters) == (
        "<Counters accepted=0 rejected=0 ends={'http closed': 2, 'sse peer_reset': 1} limits={'max_headers': 1}>"
    )


async def test_handshakes_count_by_their_result() -> None:
    async with serve(router) as server:
        for target, headers in (("/ws", ""), ("/no", ""), ("/ws", "Origin: https://elsewhere.example\r\n")):
            async with connect(server) as raw:
                await raw.upgrade(target, headers=headers)
        assert server.counters.handshakes == {"101": 1, "403": 2}
        assert server.counters.accepted == 3


async def test_what_is_not_there_is_a_handshake_in_vain() -> None:
    async with serve(router) as server, connect(server) as raw:
        assert (await raw.upgrade("/nowhere")).status == 404
        assert server.counters.handshakes == {"404": 1}


async def test_a_client_that_leaves_before_the_answer_has_abandoned_its_handshake() -> None:
    opening = Router()
    begun = asyncio.Event()

    @opening.websocket("/ws", commit_delay=None)
    async def quiet(ws: WebSocket) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serve(opening) as server:
        async with connect(server) as raw:
            raw.send(HANDSHAKE % (b"/ws", b""))
            await begun.wait()
            raw.reset()
        await until(lambda: server.counters.handshakes)
        assert server.counters.handshakes == {"abandoned": 1}
        assert server.counters.ends == {("http", "peer_reset"): 1}


async def test_one_too_many_is_rejected() -> None:
    async with serve(router, limits=Limits(max_connections=1)) as server, connect(server) as first:
        await first.get("/")
        async with connect(server) as second:
            assert (await second.answer()).status == 503
        await until(lambda: server.connections == 1)
        counters = server.counters
        assert (counters.accepted, counters.rejected) == (2, 1)
        assert counters.limits == {"max_connections": 1}
        assert counters.ends == {("http", "over_limit"): 1}


@pytest.mark.parametrize(("head", "payload", "bound"), [(0x82, bytes(11), "max_message_size")])
async def test_bounds_count_by_name(head: int, payload: bytes, bound: str) -> None:
    async with serve(router, limits=Limits(max_message_size=10)) as server, connect(server) as raw:
        await raw.upgrade("/ws")
        raw.frame(head, payload)
        await raw.receive_close()
        raw.send_eof()
        await until(lambda: server.connections == 0)
        assert server.counters.limits == {bound: 1}


async def test_counts_are_there_before_the_start_and_after_the_end() -> None:
    server = Server(router, port=0)
    counters = server.counters
    assert counters.accepted == 0
    async with server, connect(server) as raw:
        await raw.get("/")
        await server.close()
    assert server.counters is counters
    assert (counters.accepted, counters.ends) == (1, {("http", "drain"): 1})
