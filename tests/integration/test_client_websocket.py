"""Our WebSocket client with servers of other make, plainly and over TLS, and with what stands in between."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import websockets.asyncio.server
from aiohttp import web

import elio
from elio import ConnectionClosedError, DeflateOptions, HandshakeError, Limits, WebSocket
from support.house import TESTS
from support.processes import Program
from support.raw import DEADLINE
from support.site import Certificates

pytestmark = pytest.mark.peer

MESSAGES: list[str | bytes] = [
    'He said "hi" <b>&</b> \\ é 🎉 \u2028 \x00',
    bytes(range(256)),
    "",
    b"",
    "x" * 125,
    b"x" * 126,
    "é" * 32767 + "x",
    b"\x00" * 65536,
    random.Random(1).randbytes(300_000),
]
LIMITS = Limits(max_message_size=8 * 1024 * 1024, open_timeout=DEADLINE)


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> Certificates | None:
    return certificates if request.param == "tls" else None


def server_context(tls: Certificates | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    return context


@asynccontextmanager
async def of_websockets(tls: Certificates | None) -> AsyncIterator[int]:
    async def handle(ws: websockets.asyncio.server.ServerConnection) -> None:
        target = "" if ws.request is None else ws.request.path
        if target.startswith("/close"):
            await ws.close(4321, "that is all")
        elif target.startswith("/ping"):
            await (await ws.ping(b"are you there?"))
            await ws.send(b"are you there?")
        else:
            async for message in ws:
                await ws.send(message)

    def refuse(ws: websockets.asyncio.server.ServerConnection, request: Any) -> Any:
        if request.path != "/refuse":
            return None
        answer = ws.respond(403, "not you")
        answer.headers["X-Why"] = "because"
        return answer

    serving = websockets.asyncio.server.serve(
        handle,
        "127.0.0.1",
        0,
        ssl=server_context(tls),
        max_size=None,
        process_request=refuse,
        subprotocols=[websockets.Subprotocol("chat")],
    )
    async with serving as server:
        yield next(iter(server.sockets)).getsockname()[1]


@asynccontextmanager
async def of_aiohttp(tls: Certificates | None) -> AsyncIterator[int]:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/refuse":
            return web.Response(status=403, text="not you", headers={"X-Why": "because"})
        ws = web.WebSocketResponse(max_msg_size=0, autoping=request.path != "/ping", protocols=["chat"])
        await ws.prepare(request)
        if request.path == "/close":
            await ws.close(code=4321, message=b"that is all")
        elif request.path == "/ping":
            await ws.ping(b"are you there?")
            await ws.send_bytes((await ws.receive()).data)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/{anything:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(tls))
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


PEERS = {"websockets": of_websockets, "aiohttp": of_aiohttp}


@pytest.fixture(params=["websockets", "aiohttp", "node"])
async def peer(request: pytest.FixtureRequest, tls: Certificates | None) -> AsyncIterator[str]:
    """The URL of a server of that make."""
    scheme = "ws" if tls is None else "wss"
    if request.param == "node":
        files = [] if tls is None else [str(tls.certificate), str(tls.key)]
        script = str(TESTS / "peers" / "websocket_server.mjs")
        with Program(request.getfixturevalue("node"), script, *files) as program:
            yield f"{scheme}://127.0.0.1:{program.port()}"
        return
    async with PEERS[request.param](tls) as port:
        yield f"{scheme}://127.0.0.1:{port}"


def dial(url: str, tls: Certificates | None, **options: Any) -> Any:
    options.setdefault("subprotocols", ["chat"])  # websockets insists on one where it was told of any
    return elio.connect(url, tls=None if tls is None else tls.client(), limits=LIMITS, **options)


async def exchange(ws: WebSocket) -> None:
    for message in MESSAGES:
        await ws.send(message)
    for message in MESSAGES:
        assert await ws.receive() == message


@pytest.mark.parametrize(
    "compression",
    [
        False,
        True,
        DeflateOptions(threshold=0, server_max_window_bits=15, client_max_window_bits=15),
        DeflateOptions(threshold=0, server_no_context_takeover=True, client_no_context_takeover=True),
    ],
    ids=["without", "default", "largest", "forgetful"],
)
async def test_every_kind_of_message_comes_back(
    peer: str, tls: Certificates | None, compression: DeflateOptions | bool
) -> None:
    async with dial(f"{peer}/", tls, compression=compression) as ws:
        await exchange(ws)
    assert ws.close_code == 1000


async def test_subprotocols(peer: str, tls: Certificates | None) -> None:
    async with dial(f"{peer}/", tls, subprotocols=["json", "chat"]) as ws:
        assert ws.subprotocol in ("chat", "json")
        await exchange(ws)


async def test_fragments_and_pings_of_both_sides(peer: str, tls: Certificates | None) -> None:
    async def parts() -> AsyncIterator[str]:
        for part in ("one ", "", "two é", " three"):
            yield part

    async with dial(f"{peer}/", tls) as ws:
        await ws.send_fragments(parts())
        assert await ws.receive() == "one two é three"
        assert 0 < await ws.ping() < DEADLINE
    async with dial(f"{peer}/ping", tls) as ws:
        assert await ws.receive() == b"are you there?"


async def test_close_codes_of_the_server(peer: str, tls: Certificates | None) -> None:
    async with dial(f"{peer}/close?code=4321&reason=that%20is%20all", tls) as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.receive()
    assert (caught.value.code, caught.value.reason, caught.value.by_peer) == (4321, "that is all", True)


async def test_a_refusal(peer: str, tls: Certificates | None) -> None:
    with pytest.raises(HandshakeError) as caught:
        await dial(f"{peer}/refuse", tls)
    assert (caught.value.status, caught.value.body) == (403, b"not you")
    assert dict(caught.value.headers)["X-Why"] == "because"


async def test_many_at_once(peer: str, tls: Certificates | None) -> None:
    async def one(number: int) -> None:
        async with dial(f"{peer}/", tls) as ws:
            for round_trip in range(10):
                await ws.send(f"{number} {round_trip}")
                assert await ws.receive() == f"{number} {round_trip}"

    await asyncio.gather(*(one(number) for number in range(50)))
