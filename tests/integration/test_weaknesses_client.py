"""What is weak in the C++ library's WebSocket client and is not here.

That an extension which was not offered is refused, and that messages before a violation are delivered, is shown in
``test_hostile_server_websocket.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

import elio
from elio import ConnectionClosed, HandshakeError, Limits, Request, Response, Router, WebSocket
from elio.websocket.handshake import accept_key
from support.raw import DEADLINE, Raw, serve, until
from support.scripts import listening


class Room:
    """A router with an echo, and what its handlers saw."""

    def __init__(self) -> None:
        self.router = Router()
        self.requests: list[Request] = []
        self.ends: list[tuple[int | None, str | None]] = []
        self.router.websocket("/ws", origins=["*"])(self.echo)
        self.router.get("/old")(self.old)

    async def echo(self, ws: WebSocket) -> None:
        if ws.request is not None:
            self.requests.append(ws.request)
        try:
            async for message in ws:
                await ws.send(message)
        finally:
            self.ends.append((ws.close_code, ws.close_reason))

    async def old(self, request: Request) -> Response:
        return Response.redirect("/ws", status=301)


@pytest.fixture
async def room() -> AsyncIterator[tuple[Room, str]]:
    made = Room()
    async with serve(made.router) as server:
        yield made, f"ws://127.0.0.1:{server.port}"


async def test_the_closing_handshake_is_waited_for_and_tcp_left_to_the_server() -> None:
    order: list[str] = []

    async def script(raw: Raw) -> None:
        head = (await raw.read_until(b"\r\n\r\n")).decode()
        key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
        raw.send(
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        assert await raw.receive_close() == (3000, "done")
        assert not raw.reader.at_eof()
        raw.send(b"\x81\x04late\x88\x06\x0b\xb8done")
        order.append("answered")
        raw.send_eof()
        assert await raw.read_all() == b""

    async with listening(script) as port:
        ws = await elio.connect(f"ws://127.0.0.1:{port}/")
        await ws.close(3000, "done")
        order.append("closed")
        assert await ws.receive() == "late"
    assert order == ["answered", "closed"]
    assert (ws.close_code, ws.close_reason) == (3000, "done")


async def test_the_cause_of_a_lost_connection_is_seen(room: tuple[Room, str]) -> None:
    _, url = room
    ws = await elio.connect(f"{url}/ws", limits=Limits(max_message_size=5))
    await ws.send("123456")
    with pytest.raises(ConnectionClosed, match="message of 6 bytes, limit 5") as caught:
        await ws.receive()
    assert (caught.value.code, caught.value.by_peer) == (1006, False)
    await ws.wait_closed()


async def test_pings_go_out_by_themselves_and_their_time_is_known(room: tuple[Room, str]) -> None:
    _, url = room
    async with elio.connect(f"{url}/ws", ping_interval=0.05) as ws:
        await until(lambda: ws.latency is not None)
        assert ws.is_open


async def test_a_server_that_is_gone_without_a_word_is_noticed() -> None:
    async def script(raw: Raw) -> None:
        head = (await raw.read_until(b"\r\n\r\n")).decode()
        key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
        raw.send(
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        await raw.read_all()

    async with listening(script) as port:
        began = time.monotonic()
        ws = await elio.connect(f"ws://127.0.0.1:{port}/", ping_interval=0.1, ping_timeout=0.1)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(DEADLINE):
                await ws.receive()
        assert time.monotonic() - began < DEADLINE
        await ws.wait_closed()


async def test_redirects_headers_users_and_codes_are_no_matter(room: tuple[Room, str]) -> None:
    made, url = room
    async with elio.connect(f"{url}/old", headers={"X-Mine": "1"}, auth="token") as ws:
        await ws.send("hi")
        assert await ws.receive() == "hi"
        await ws.close(4321, "é")
    await until(lambda: made.ends == [(4321, "é")])
    assert made.requests[0].headers["x-mine"] == "1"
    assert made.requests[0].headers["authorization"] == "Bearer token"


async def test_a_user_in_the_url_is_sent_and_schemes_have_no_case(room: tuple[Room, str]) -> None:
    made, url = room
    async with elio.connect(url.replace("ws://", "WS://me:p%40ss@") + "/ws"):
        pass
    assert made.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="


async def test_a_refusal_is_no_mere_false(room: tuple[Room, str]) -> None:
    _, url = room
    with pytest.raises(HandshakeError) as caught:
        await elio.connect(f"{url}/nothing")
    assert caught.value.status == 404
    assert caught.value.body == b"404 Not Found\n"


async def test_a_receive_may_be_cancelled_and_nothing_is_lost(room: tuple[Room, str]) -> None:
    _, url = room
    async with elio.connect(f"{url}/ws") as ws:
        for number in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await ws.receive()
            await ws.send(str(number))
            assert await ws.receive() == str(number)
