"""Streams to servers, however they are reached."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from elio.errors import ConfigurationError, ConnectError
from elio.net.dial import Route, open_stream
from elio.url import URL
from support import certificates
from support.engines import HAS_REACTOR
from support.raw import DEADLINE, Raw
from support.scripts import listening


class Receiver:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.data = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, stream: Any) -> None:
        self.stream = stream

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


async def echo(raw: Raw) -> None:
    raw.send((await raw.read_until(b"\n")).upper())
    raw.send_eof() if raw.writer.can_write_eof() else None


async def talk(url: str, route: Route) -> Receiver:
    """Say hello on a new stream, and wait for its end."""
    receiver = Receiver()
    stream = await open_stream(URL.parse(url), receiver, route)
    assert receiver.stream is stream
    stream.write(b"hello\n")
    async with asyncio.timeout(DEADLINE):
        await receiver.lost
    return receiver


async def test_plain_over_tcp() -> None:
    async with listening(echo) as port:
        receiver = await talk(f"ws://127.0.0.1:{port}/", Route())
        assert receiver.data == b"HELLO\n"
        kinds = {"SocketStream"} if HAS_REACTOR else {"_SelectorSocketTransport", "TCPTransport"}
        assert type(receiver.stream).__name__ in kinds


async def test_without_a_reactor_the_transports_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_REACTOR", "0")
    async with listening(echo) as port:
        receiver = await talk(f"ws://localhost:{port}/", Route())
        assert receiver.data == b"HELLO\n"
        assert type(receiver.stream).__name__ in ("_SelectorSocketTransport", "TCPTransport")


async def test_over_a_unix_socket_in_the_url_or_in_the_route(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        await echo(raw)
        await raw.close()

    server = await asyncio.start_unix_server(serve, path)
    assert (await talk(f"ws+unix://{path}:/ws", Route())).data == b"HELLO\n"
    assert (await talk("ws://example.com/", Route(uds=path))).data == b"HELLO\n"
    server.close()


async def test_over_a_socket_at_hand() -> None:
    async with listening(echo) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        assert (await talk("ws://example.com/", Route(sock=sock))).data == b"HELLO\n"
        assert sock.fileno() == -1


async def test_tls_checks_the_certificate(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        await echo(raw)
        await raw.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    for host, route in (
        ("localhost", Route(tls=files.client)),
        ("127.0.0.1", Route(tls=files.client)),
        ("127.0.0.1", Route(tls=files.client, server_hostname="localhost")),
    ):
        receiver = await talk(f"wss://{host}:{port}/", route)
        assert receiver.data == b"HELLO\n"
        assert receiver.stream.get_extra_info("ssl_object") is not None
    for host, route in (
        ("localhost", Route()),
        ("127.0.0.1", Route(tls=files.client, server_hostname="127.0.0.2")),
        ("localhost", Route(tls=files.client, server_hostname="example.com")),
    ):
        with pytest.raises(ConnectError, match=r"certificate of .* is not trusted") as caught:
            await talk(f"wss://{host}:{port}/", route)
        assert caught.value.is_certificate
    server.close()


async def test_tls_with_what_does_not_speak_it() -> None:
    async def plain(raw: Raw) -> None:
        await raw.read(1)
        raw.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        raw.send_eof()

    async with listening(plain) as port:
        with pytest.raises(ConnectError, match=r"cannot connect to 127\.0\.0\.1:\d+: ") as caught:
            await talk(f"wss://127.0.0.1:{port}/", Route())
        assert not caught.value.is_certificate
        assert caught.value.__cause__ is not None


async def test_nobody_there(kept_port: int) -> None:
    with pytest.raises(ConnectError, match=rf"cannot connect to 127\.0\.0\.1:{kept_port}: .*refused"):
        await talk(f"ws://127.0.0.1:{kept_port}/", Route())
    with pytest.raises(ConnectError, match=r"cannot connect to nobody\.invalid"):
        await talk("ws://nobody.invalid/", Route())
    with pytest.raises(ConnectError, match=r"cannot connect to /nowhere: No such file"):
        await talk("ws+unix:///nowhere:/", Route())


async def test_through_a_proxy_with_and_without_names() -> None:
    asked: list[bytes] = []

    async def proxy(raw: Raw) -> None:
        greeting = await raw.read(3)
        if greeting == b"\5\1\0":
            raw.send(b"\5\0")
            asked.append(await raw.read(19 if not asked else 10))
            raw.send(b"\5\0\0\1" + bytes(6))
        else:
            asked.append(greeting + await raw.read_until(b"\r\n\r\n"))
            raw.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await echo(raw)

    async with listening(proxy) as port:
        by_name = await talk("ws://example.com./", Route(proxy=f"socks5h://127.0.0.1:{port}"))
        by_address = await talk("ws://localhost:81/", Route(proxy=f"socks5://127.0.0.1:{port}"))
        connect = await talk("ws://example.com:82/", Route(proxy=f"http://127.0.0.1:{port}"))
        whole = Route(proxy=f"http://127.0.0.1:{port}")
        assert str(whole.forwarder(URL.parse("http://example.com/"))) == f"http proxy 127.0.0.1:{port}"
    assert by_name.data == by_address.data == connect.data == b"HELLO\n"
    assert asked[0].startswith(b"\5\1\0\3\x0cexample.com.")
    assert asked[1] == b"\5\1\0\1\x7f\0\0\1\0\x51"
    assert asked[2].startswith(b"CONNECT example.com:82 HTTP/1.1\r\n")


async def test_which_requests_a_proxy_takes_whole() -> None:
    http = Route(proxy="http://proxy")
    for url in ("https://a/", "ws://a/", "wss://a/", "http+unix:///a:/"):
        assert http.forwarder(URL.parse(url)) is None
    assert Route(proxy="socks5://proxy").forwarder(URL.parse("http://a/")) is None
    assert Route(proxy=None).forwarder(URL.parse("http://a/")) is None
    assert Route(proxy="http://proxy", uds="/a").forwarder(URL.parse("http://a/")) is None


def test_a_proxy_that_cannot_be_used_is_refused_early() -> None:
    with pytest.raises(ConfigurationError, match="'ftp'"):
        Route(proxy="ftp://proxy")
