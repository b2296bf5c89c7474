"""Which proxy, and the tunnel of an HTTP one."""

from __future__ import annotations

import asyncio
import socket

import pytest

from elio.errors import ConfigurationError, ConnectError, HandshakeError
from elio.net.dial.proxy import Proxy, needs_address, open_tunnel, proxy_from_environment
from elio.url import URL
from support.raw import Raw
from support.scripts import scripted

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def chosen(url: str) -> str | None:
    proxy = proxy_from_environment(URL.parse(url))
    return None if proxy is None else str(proxy)


def test_a_url_is_taken_apart() -> None:
    assert Proxy.parse("http://proxy") == Proxy("http", "proxy", 80)
    assert Proxy.parse("SOCKS5h://[::1]:9050/") == Proxy("socks5h", "::1", 9050)
    assert Proxy.parse("socks4://example.com") == Proxy("socks4", "example.com", 1080)
    assert Proxy.parse("http://me%40home:p%3Aw@proxy:3128") == Proxy("http", "proxy", 3128, "me@home", "p:w")


def test_the_password_is_not_shown() -> None:
    proxy = Proxy.parse("http://me:secret@proxy:3128")
    assert str(proxy) == "http proxy proxy:3128"
    assert "secret" not in repr(proxy)


@pytest.mark.parametrize(
    "url", ["", "proxy:3128", "http://", "http://a:secret@b@c", "http://secret/path", "http://a b"]
)
def test_what_is_no_url_of_a_proxy_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Proxy.parse(url)
    assert "secret" not in str(caught.value)


def test_other_schemes_and_addresses_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'https' of a proxy is none of http, socks4"):
        Proxy.parse("https://proxy")
    with pytest.raises(ConfigurationError, match="port '99999'"):
        Proxy.parse("http://proxy:99999")


def test_basic_authentication_is_for_http() -> None:
    assert Proxy.parse("http://me:secret@proxy").authorization == "Basic bWU6c2VjcmV0"
    assert Proxy.parse("http://proxy").authorization is None
    assert Proxy.parse("socks5://me:secret@proxy").authorization is None


def test_who_needs_an_address() -> None:
    schemes = ("http", "socks4", "socks4a", "socks5", "socks5h")
    assert [needs_address(Proxy(scheme, "p", 1)) for scheme in schemes] == [False, True, False, True, False]


def test_the_environment_names_proxies(environment: pytest.MonkeyPatch) -> None:
    assert chosen("ws://example.com/") is None
    environment.setenv("HTTP_PROXY", "http://plain:1")
    environment.setenv("HTTPS_PROXY", "secure:2")
    assert chosen("ws://example.com/") == chosen("http://example.com/") == "http proxy plain:1"
    assert chosen("wss://example.com/") == chosen("https://example.com/") == "http proxy secure:2"


def test_all_proxy_is_for_what_has_none_of_its_own(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5h://any:3")
    environment.setenv("HTTPS_PROXY", "http://secure:2")
    assert chosen("ws://example.com/") == "socks5h proxy any:3"
    assert chosen("wss://example.com/") == "http proxy secure:2"


def test_no_proxy_and_loopback_go_directly(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://plain:1")
    environment.setenv("NO_PROXY", "example.com, .internal, other.net:8080")
    assert chosen("ws://example.com/") is None
    assert chosen("ws://a.internal/") is None
    assert chosen("ws://other.net:8080/") is None
    assert chosen("ws://other.net:8081/") == "http proxy plain:1"
    for host in ("localhost", "app.localhost", "127.0.0.1", "127.8.8.8", "[::1]"):
        assert chosen(f"ws://{host}:8080/") is None
    assert chosen("ws+unix:///run/app.sock:/") is None
    environment.setenv("NO_PROXY", "*")
    assert chosen("ws://example.org/") is None


def test_a_cgi_program_does_not_believe_its_client(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://evil:1")
    environment.setenv("REQUEST_METHOD", "GET")
    assert chosen("http://example.com/") is None


def test_a_bad_variable_is_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "ftp://proxy")
    with pytest.raises(ConfigurationError, match="'ftp'"):
        chosen("ws://example.com/")


async def connect(answer: bytes, *, url: str = "http://proxy", host: str = "example.com") -> tuple[bytes, bytes]:
    """What a proxy is sent, and what comes through the tunnel after that answer of it."""
    asked = b""

    async def peer(raw: Raw) -> None:
        nonlocal asked
        asked = await raw.read_until(b"\r\n\r\n")
        for byte in answer:
            raw.send(bytes([byte]))
            await raw.writer.drain()
        if await raw.read_all() == b"ping":
            raw.send(b"pong")
        raw.send_eof()

    async with scripted(peer) as sock:
        try:
            await open_tunnel(sock, Proxy.parse(url), host, 443)
            sock.send(b"ping")
        finally:
            sock.shutdown(socket.SHUT_WR)
        return asked, await asyncio.get_running_loop().sock_recv(sock, 100)


async def test_a_tunnel_is_asked_for_by_connect() -> None:
    asked, got = await connect(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
    assert asked == b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
    assert got == b"pong"


async def test_a_tunnel_with_a_user_to_an_ipv6_address() -> None:
    asked, _ = await connect(b"HTTP/1.0 200 OK\r\n\r\n", url="http://me:secret@proxy", host="::1")
    assert asked == (
        b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"
    )


async def test_a_refusal_has_status_and_headers() -> None:
    with pytest.raises(HandshakeError, match=r"status 407 instead of a tunnel to example.com:443") as caught:
        await connect(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n")
    assert (caught.value.status, caught.value.headers) == (407, (("Proxy-Authenticate", "Basic"),))


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b"x" * 10000])
async def test_a_proxy_that_is_none(answer: bytes) -> None:
    with pytest.raises(ConnectError, match="something else than HTTP"):
        await connect(answer)


async def test_a_proxy_that_hangs_up() -> None:
    async def peer(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200")
        raw.send_eof()

    async with scripted(peer) as sock:
        with pytest.raises(ConnectError, match="the http proxy proxy:80 closed the connection"):
            await open_tunnel(sock, Proxy.parse("http://proxy"), "example.com", 80)


async def test_bytes_that_nobody_asked_for() -> None:
    async def peer(raw: Raw) -> None:
        await raw.read_until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\n\r\nearly")

    async with scripted(peer) as sock:
        with pytest.raises(ConnectError, match="5 bytes before"):
            await open_tunnel(sock, Proxy.parse("http://proxy"), "example.com", 80)
