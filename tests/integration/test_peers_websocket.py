"""The WebSocket clients of Python: ``websockets`` and ``aiohttp``."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close
from websockets.typing import Subprotocol

from support.raw import DEADLINE, until
from support.site import End, Site

pytestmark = pytest.mark.peer

TEXT = 'He said "hi" <b>&</b> \\ é 🎉 \u2028 \x00'
MESSAGES: list[str | bytes] = [
    TEXT,
    bytes(range(256)),
    "",
    b"",
    "é" * 62,
    "x" * 125,
    b"x" * 126,
    "é" * 32767 + "x",
    b"\x00" * 65536,
    random.Random(1).randbytes(300_000),
]


def dial(site: Site, path: str, **options: Any) -> connect:
    """Connect with ``websockets``."""
    bounds = {"open_timeout": DEADLINE, "close_timeout": DEADLINE, "max_size": None, "proxy": None}
    return connect(site.ws + path, ssl=site.ssl, **{**bounds, **options})


# -- websockets --------------------------------------------------------------------------------------------------------


async def exchange(ws: ClientConnection, messages: list[str | bytes]) -> None:
    for message in messages:
        await ws.send(message)
    for message in messages:
        assert await ws.recv() == message


@pytest.mark.parametrize("path", ["/echo", "/plain", "/compressed", "/forgetful"])
@pytest.mark.parametrize("compression", ["deflate", None])
async def test_every_kind_of_message_comes_back(site: Site, path: str, compression: str | None) -> None:
    async with dial(site, path, compression=compression) as ws:
        names = [extension.name for extension in ws.protocol.extensions]
        assert names == (["permessage-deflate"] if compression and path != "/plain" else [])
        await exchange(ws, MESSAGES)


async def test_every_window_on_both_sides(site: Site) -> None:
    similar = [json.dumps({"number": number, "text": TEXT * 20}) for number in range(20)]
    for server_bits in range(8, 16):
        client_bits = max(9, 23 - server_bits)  # zlib, which this client uses, sends with 9 at least
        factory = ClientPerMessageDeflateFactory(server_max_window_bits=server_bits, client_max_window_bits=client_bits)
        async with dial(site, f"/window/{client_bits}", extensions=[factory]) as ws:
            (deflate,) = ws.protocol.extensions
            assert deflate.remote_max_window_bits == server_bits  # type: ignore[attr-defined]
            assert deflate.local_max_window_bits == client_bits  # type: ignore[attr-defined]
            await exchange(ws, [*MESSAGES, *similar])


@pytest.mark.parametrize(("of_server", "of_client"), list(itertools.product([True, False], repeat=2)))
async def test_with_and_without_context_takeover(site: Site, of_server: bool, of_client: bool) -> None:
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=of_server, client_no_context_takeover=of_client, client_max_window_bits=True
    )
    async with dial(site, "/compressed", extensions=[factory]) as ws:
        (deflate,) = ws.protocol.extensions
        assert deflate.remote_no_context_takeover is of_server  # type: ignore[attr-defined]
        assert deflate.local_no_context_takeover is of_client  # type: ignore[attr-defined]
        await exchange(ws, MESSAGES * 2)


async def test_fragments_of_the_client_become_one_message(site: Site) -> None:
    async with dial(site, "/compressed") as ws:
        await ws.send(["é", "", TEXT, "x" * 70_000])
        assert await ws.recv() == "é" + TEXT + "x" * 70_000
        await ws.send([b"\x00", b"", bytes(range(256))])
        assert await ws.recv() == b"\x00" + bytes(range(256))


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_fragments_of_the_server_are_one_message(site: Site, compression: str | None) -> None:
    async with dial(site, "/fragments", compression=compression) as ws:
        for message in (TEXT, bytes(range(256)), "x" * 200_000):
            await ws.send(message)
            parts = [part async for part in ws.recv_streaming()]
            assert len(parts) >= 4
            assert type(message)().join(parts) == message  # type: ignore[arg-type]


async def test_pings_of_both_sides(site: Site) -> None:
    async with dial(site, "/pings") as ws:
        async with asyncio.timeout(DEADLINE):
            for payload in (b"", bytes(range(125))):
                assert await (await ws.ping(payload)) >= 0
        await ws.send("there and back")
        assert float(await ws.recv()) > 0


async def test_a_ping_between_two_fragments_is_answered(site: Site) -> None:
    answered = asyncio.Event()

    async with dial(site, "/echo") as ws:

        async def parts() -> Any:
            yield "one "
            await (await ws.ping())
            answered.set()
            yield "two"

        async with asyncio.timeout(DEADLINE):
            await ws.send(parts())
        assert answered.is_set()
        assert await ws.recv() == "one two"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["superchat", "chat", "json"], "chat"), (["json", "chat"], "json"), (["other"], None)]
)
async def test_the_first_subprotocol_of_the_client_that_the_route_speaks(
    site: Site, offered: list[str], chosen: str | None
) -> None:
    async with dial(site, "/echo", subprotocols=[Subprotocol(name) for name in offered]) as ws:
        assert ws.subprotocol == chosen


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1001, "off"), (1003, ""), (1007, ""), (1011, "é" * 61), (1014, ""), (3000, "x" * 123), (4999, "")],
)
async def test_close_codes_reach_the_handler(site: Site, code: int, reason: str) -> None:
    async with dial(site, "/ends") as ws:
        await ws.send("hi")
        assert await ws.recv() == "hi"
        await ws.close(code, reason)
        assert ws.protocol.close_rcvd is not None
        assert ws.protocol.close_rcvd.code == code
    await until(lambda: site.ends)
    name = "ConnectionClosedOK" if code in (1000, 1001) else "ConnectionClosedError"
    assert site.ends == [End(code, reason, name)]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
async def test_close_codes_of_the_handler_reach_the_peer(site: Site, code: int) -> None:
    async with dial(site, f"/close/{code}?reason=caf%C3%A9") as ws:
        assert await ws.recv() == "goodbye"
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd == Close(code, "café")
        assert caught.value.rcvd_then_sent
    await until(lambda: site.ends)
    assert site.ends == [End(code, "", "")] or site.ends == [End(code, "café", "")]


async def test_a_handler_that_returns_closes_with_1000(site: Site) -> None:
    async with dial(site, "/return") as ws:
        with pytest.raises(ConnectionClosedOK) as caught:
            await ws.recv()
        assert caught.value.rcvd == Close(1000, "")


async def test_a_handler_that_fails_closes_with_1011(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with dial(site, "/bug") as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd == Close(1011, "")
    assert [record.exc_info and str(record.exc_info[1]) for record in caplog.records] == ["a bug of the handler"]


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_message_over_the_limit_is_1009(site: Site, compression: str | None) -> None:
    async with dial(site, "/small", compression=compression) as ws:
        await ws.send(b"x" * 1000)
        assert await ws.recv() == b"x" * 1000
        await ws.send(b"x" * 1001)
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        assert caught.value.rcvd.reason.endswith("message of 1001 bytes, limit 1000")


async def test_messages_of_the_largest_size_come_back(site: Site) -> None:
    message = random.Random(2).randbytes(8 * 1024 * 1024)
    async with dial(site, "/plain") as ws:
        await exchange(ws, [message])


@pytest.mark.parametrize(
    ("path", "status", "body"), [("/refused", 403, b"not you, <b>sorry</b>"), ("/nowhere", 404, None)]
)
async def test_a_refusal_has_a_status_and_a_body(site: Site, path: str, status: int, body: bytes | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial(site, path)
    response = caught.value.response
    assert response.status_code == status
    assert body is None or response.body == body


async def test_an_http_error_before_the_handshake_is_its_status(site: Site) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial(site, "/unauthorized")
    assert caught.value.response.status_code == 401
    assert caught.value.response.headers["WWW-Authenticate"] == "Bearer"
    assert caught.value.response.body == b"who are you?"


@pytest.mark.parametrize(
    "origin", ["https://example.com", "http://localhost:1", "null", "http://localhost.example.com"]
)
async def test_another_origin_is_refused(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial(site, "/echo", origin=origin)
    assert caught.value.response.status_code == 403
    assert b"origin" in (caught.value.response.body or b"")


async def test_the_own_origin_and_those_of_the_route_are_welcome(site: Site) -> None:
    async with dial(site, "/echo", origin=site.http) as ws:
        await exchange(ws, ["hi"])
    async with dial(site, "/from-afar", origin="https://example.com") as ws:
        await exchange(ws, ["hi"])


async def test_the_handler_sees_the_request(site: Site) -> None:
    headers = {"X-Test": "yes", "Cookie": "a=1; b=2"}
    async with dial(site, "/request?a=%C3%A9+b", additional_headers=headers) as ws:
        told = json.loads(await ws.recv())
    scheme = "http" if site.ssl is None else "https"
    expected = {"scheme": scheme, "query": "é b", "cookies": {"a": "1", "b": "2"}, "x-test": "yes", "path": "/request"}
    assert told == expected


async def test_many_clients_at_once(site: Site) -> None:
    async def talk(number: int) -> None:
        async with dial(site, "/echo") as ws:
            await exchange(ws, [f"{number} {index}" for index in range(50)])

    await asyncio.gather(*(talk(number) for number in range(20)))


# -- aiohttp -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0, *range(9, 16)])
async def test_aiohttp_gets_every_kind_of_message_back(site: Site, bits: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{site.ws}/window/{bits or 15}", compress=bits, ssl=site.ssl or True, max_msg_size=0) as ws,
    ):
        assert ws.compress == bits
        for message in MESSAGES:
            if isinstance(message, str):
                await ws.send_str(message)
            else:
                await ws.send_bytes(message)
        for message in MESSAGES:
            received = await ws.receive(timeout=DEADLINE)
            assert received.type is (WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY)
            assert received.data == message


async def test_aiohttp_negotiates_pings_and_closes(site: Site) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            site.ws + "/ends", protocols=["chat", "json"], ssl=site.ssl or True, autoping=False, heartbeat=None
        ) as ws,
    ):
        await ws.ping(b"are you there?")
        pong = await ws.receive(timeout=DEADLINE)
        assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"are you there?")
        await ws.close(code=4000, message="é".encode())
        assert ws.close_code == 4000
    await until(lambda: site.ends)
    assert site.ends == [End(4000, "é", "ConnectionClosedError")]


async def test_aiohttp_is_refused_and_closed(site: Site) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(site.ws + "/refused", ssl=site.ssl or True)
        assert caught.value.status == 403
        async with session.ws_connect(site.ws + "/close/4001?reason=enough", ssl=site.ssl or True) as ws:
            assert (await ws.receive(timeout=DEADLINE)).data == "goodbye"
            closed = await ws.receive(timeout=DEADLINE)
            assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 4001, "enough")
        async with session.ws_connect(site.ws + "/echo", protocols=["x", "json"], ssl=site.ssl or True) as ws:
            assert ws.protocol == "json"
