"""Our clients through what stands in between: nginx before the server, tinyproxy and microsocks before the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import elio
from elio import ConnectError, ConnectionClosed, HandshakeError, Limits, WebSocket
from elio.client.http import open_response
from elio.net.dial import Route
from elio.url import URL
from support.between import microsocks, nginx, tinyproxy
from support.raw import DEADLINE, until
from support.servers import held_port
from support.site import Certificates, End, Site, open_site

pytestmark = pytest.mark.peer

USER = ("me", "secret")


@pytest.fixture(params=["http", "socks5", "socks5h"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a proxy with a user."""
    scheme = request.param
    with tinyproxy(tmp_path, USER) if scheme == "http" else microsocks(USER) as port:
        yield f"{scheme}://{{}}127.0.0.1:{port}"


async def echoes(ws: WebSocket) -> None:
    for message in ("text", b"bytes", "x" * 100_000, b"\x00" * 300_000):
        await ws.send(message)
        assert await ws.receive() == message


async def test_through_a_proxy_plainly_and_over_tls(proxy: str, site: Site) -> None:
    url = site.ws.replace("127.0.0.1", "localhost")
    async with elio.connect(f"{url}/echo", tls=site.ssl, proxy=proxy.format("me:secret@")) as ws:
        await echoes(ws)
    async with elio.connect(f"{site.ws}/ends", tls=site.ssl, proxy=proxy.format("me:secret@")) as ws:
        await ws.close(4000, "bye")
    await until(lambda: site.ends == [End(4000, "bye", "ConnectionClosedError")])


async def test_a_proxy_that_does_not_know_the_user(proxy: str, site: Site) -> None:
    for user in ("", "me:wrong@"):
        with pytest.raises((ConnectError, HandshakeError)) as caught:
            await elio.connect(f"{site.ws}/echo", tls=site.ssl, proxy=proxy.format(user))
        if proxy.startswith("http"):
            assert isinstance(caught.value, HandshakeError)
            assert caught.value.status in (401, 407)
        assert "secret" not in str(caught.value)


async def test_a_server_that_the_proxy_cannot_reach(proxy: str) -> None:
    with held_port() as port, pytest.raises((ConnectError, HandshakeError), match="proxy"):
        await elio.connect(f"ws://127.0.0.1:{port}/", proxy=proxy.format("me:secret@"))


async def test_a_plain_request_through_each_proxy(proxy: str) -> None:
    async with open_site(None) as site:
        route = Route(proxy=proxy.format("me:secret@"))
        url = URL.parse(f"{site.http}/")
        response = await open_response("GET", url, (), route=route, limits=Limits(), timeout=DEADLINE, max_redirects=0)
        assert response.status in (200, 404)
        await response.close()


async def test_nginx_before_the_server(certificates: Certificates, tmp_path: Path) -> None:
    async with open_site(None) as site:
        with nginx(tmp_path, site.server.port, certificates) as (plain, tls):
            for url, context in (
                (f"ws://127.0.0.1:{plain}", None),
                (f"wss://localhost:{tls}", certificates.client()),
            ):
                async with elio.connect(f"{url}/compressed", tls=context) as ws:
                    assert ws.response_headers is not None
                    assert "permessage-deflate" in ws.response_headers["sec-websocket-extensions"]
                    await echoes(ws)
                async with elio.connect(f"{url}/close/4321?reason=that%20is%20all", tls=context) as ws:
                    assert await ws.receive() == "goodbye"
                    with pytest.raises(ConnectionClosed) as caught:
                        await ws.receive()
                    assert (caught.value.code, caught.value.reason) == (4321, "that is all")
                with pytest.raises(HandshakeError) as refused:
                    await elio.connect(f"{url}/refused", tls=context)
                assert (refused.value.status, refused.value.body) == (403, b"not you, <b>sorry</b>")


async def test_nginx_whose_server_is_gone(certificates: Certificates, tmp_path: Path) -> None:
    with held_port() as port, nginx(tmp_path, port, certificates) as (plain, _):
        with pytest.raises(HandshakeError) as caught:
            await elio.connect(f"ws://127.0.0.1:{plain}/")
        assert caught.value.status == 502
        assert b"nginx" in caught.value.body
