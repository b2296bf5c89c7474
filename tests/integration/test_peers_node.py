"""Clients in JavaScript: the packages ``ws`` and ``eventsource``, and Node's own ``WebSocket``."""

from __future__ import annotations

import pytest

from support.peers import event_source, websocket
from support.processes import run
from support.raw import until
from support.site import End, Site

pytestmark = pytest.mark.peer

TEXT = 'He said "hi" <b>&</b> \\ é 🎉 \u2028 \x00'


async def test_text_and_bytes_come_back_compressed_as_offered(node: str, site: Site) -> None:
    steps = [["text", TEXT], ["binary", bytes(range(256)).hex()], ["text", ""], ["binary", ""], ["receive", 4]]
    saw = await websocket(node, site, "/compressed", *steps)
    assert saw.extensions.startswith("permessage-deflate")
    assert saw.messages == [TEXT, {"hex": bytes(range(256)).hex()}, "", {"hex": ""}]
    assert saw.close == (1005, "", True)


async def test_without_compression(node: str, site: Site) -> None:
    saw = await websocket(node, site, "/compressed", ["text", TEXT], ["receive", 1], perMessageDeflate=False)
    assert saw.extensions == ""
    assert saw.messages == [TEXT]


async def test_a_route_without_compression_declines_it(node: str, site: Site) -> None:
    saw = await websocket(node, site, "/plain", ["text", TEXT * 100], ["receive", 1])
    assert saw.extensions == ""
    assert saw.messages == [TEXT * 100]


async def test_windows_that_ws_offers(node: str, site: Site) -> None:
    for bits in (9, 12, 15):  # zlib of Node has no 8
        deflate = {"serverMaxWindowBits": bits, "clientMaxWindowBits": bits, "threshold": 0}
        text = TEXT * 1000
        steps = [["text", text], ["text", text], ["receive", 2]]
        saw = await websocket(node, site, f"/window/{bits}", *steps, perMessageDeflate=deflate)
        assert f"server_max_window_bits={bits}" in saw.extensions
        assert bits == 15 or f"client_max_window_bits={bits}" in saw.extensions
        assert saw.messages == [text, text]


async def test_fragments_of_both_sides(node: str, site: Site) -> None:
    parts = ["one ", "", "two é", " three"]
    saw = await websocket(node, site, "/fragments", ["fragments", parts], ["receive", 1])
    assert saw.messages == ["one two é three"]


async def test_pings_of_both_sides(node: str, site: Site) -> None:
    payload = bytes(range(125)).hex()
    saw = await websocket(node, site, "/pings", ["ping", payload], ["ping", ""], ["text", "and back"], ["receive", 1])
    assert saw.pongs == [payload, "", b"unasked".hex()]
    assert 0 < float(saw.messages[0]) < 5


async def test_the_first_subprotocol_of_the_client_that_the_route_speaks(node: str, site: Site) -> None:
    saw = await websocket(node, site, "/echo", protocols=["superchat", "chat", "json"])
    assert saw.protocol == "chat"


async def test_a_megabyte_comes_back(node: str, site: Site) -> None:
    text = "0123456789abcdef" * 4096
    steps = [["fragments", [text] * 16], ["receive", 1]]
    saw = await websocket(node, site, "/compressed", *steps)
    assert saw.messages == [text * 16]


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1000, "Done"), (3000, "é" * 61), (4999, "x" * 123)])
async def test_close_codes_reach_the_handler(node: str, site: Site, code: int, reason: str) -> None:
    saw = await websocket(node, site, "/ends", ["text", "hi"], ["receive", 1], ["close", code, reason], ["ended"])
    assert saw.close == (code, "", True)
    await until(lambda: site.ends)
    name = "ConnectionClosedOK" if code == 1000 else "ConnectionClosedError"
    assert site.ends == [End(code, reason, name)]


async def test_close_codes_of_the_handler_reach_the_peer(node: str, site: Site) -> None:
    saw = await websocket(node, site, "/close/4321?reason=that%20is%20all", ["ended"])
    assert saw.messages == ["goodbye"]
    assert saw.close == (4321, "that is all", True)
    await until(lambda: site.ends)
    assert site.ends == [End(4321, "that is all", "")]  # this package sends the reason back


async def test_a_message_over_the_limit_is_1009(node: str, site: Site) -> None:
    steps = [["binary", "00" * 1000], ["receive", 1], ["binary", "00" * 1001], ["ended"]]
    saw = await websocket(node, site, "/small", *steps, perMessageDeflate=False)
    assert len(saw.messages) == 1
    assert saw.close == (1009, "message of 1001 bytes, limit 1000", True)


async def test_a_refusal_has_status_headers_and_body(node: str, site: Site) -> None:
    saw = await websocket(node, site, "/refused")
    assert (saw.opened, saw.status, saw.body) == (False, 403, "not you, <b>sorry</b>")
    assert saw.headers["x-why"] == "because"
    assert saw.headers["content-type"] == "text/plain; charset=utf-8"


async def test_another_origin_is_refused_where_it_is_not_allowed(node: str, site: Site) -> None:
    assert (await websocket(node, site, "/echo", origin="https://example.com")).status == 403
    assert (await websocket(node, site, "/echo", origin=site.http)).opened
    assert (await websocket(node, site, "/from-afar", origin="https://example.com")).opened


async def test_the_websocket_that_node_has_itself(node: str, site: Site) -> None:
    where = (
        "typeof WebSocket === 'function' ? 'here' : process.allowedNodeEnvironmentFlags.has('--experimental-websocket')"
    )
    told = (await run(node, "-p", where)).output.decode().strip()
    if told == "false":
        pytest.skip("this Node has no WebSocket of its own")
    native = "here" if told == "here" else "behind a flag"
    steps = [["text", TEXT], ["binary", "00ff"], ["receive", 2], ["close", 4000, "Done"], ["ended"]]
    saw = await websocket(node, site, "/ends", *steps, native=native, protocols=[])
    assert saw.messages == [TEXT, {"hex": "00ff"}]
    assert saw.close[0] == 4000
    await until(lambda: site.ends)
    assert site.ends == [End(4000, "Done", "ConnectionClosedError")]


async def test_event_source_receives_reconnects_and_goes_on(node: str, site: Site) -> None:
    told = await event_source(node, site, "/events", 12, "count")
    assert told["events"] == [["count", f"line {number}\nsecond line", str(number)] for number in range(1, 13)]
    assert told["opened"] == 3


async def test_event_source_ends_with_a_refusal(node: str, site: Site) -> None:
    assert await event_source(node, site, "/no-more", 1) == {"events": [], "opened": 0, "errors": [503]}


async def test_event_source_that_leaves_ends_the_handler(node: str, site: Site) -> None:
    told = await event_source(node, site, "/endless", 1)
    assert told["events"] == [["message", "the only one", "é✓"]]
    await until(lambda: site.left)
