"""SOCKS byte by byte, both directions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from elio.errors import ConfigurationError, ConnectError
from elio.net.dial.pipe import Pipe
from elio.net.dial.socks import open_socks4, open_socks5, resolves_names
from support.raw import Raw
from support.scripts import scripted

Talk = list[tuple[bytes, bytes]]


async def run(talk: Talk, client: Callable[[Pipe], Awaitable[None]]) -> bytes:
    """Let a client talk to a proxy that expects and answers; returns what the proxy sent beyond."""

    async def proxy(raw: Raw) -> None:
        for expected, answer in talk:
            assert await raw.read(len(expected)) == expected
            raw.send(answer)
        raw.send(b"!")

    async with scripted(proxy) as sock:
        pipe = Pipe(sock, "proxy")
        await client(pipe)
        return await pipe.receive_some()


def socks4(host: str, user: str = "") -> Callable[[Pipe], Awaitable[None]]:
    return lambda pipe: open_socks4(pipe, host, 443, user)


def socks5(host: str, username: str | None = None, password: str = "") -> Callable[[Pipe], Awaitable[None]]:
    return partial(open_socks5, host=host, port=443, username=username, password=password)


OK4 = b"\0\x5a\0\0\0\0\0\0"
OK5 = b"\5\0\0\1\x7f\0\0\1\x1f\x90"


def test_who_resolves_names() -> None:
    assert [resolves_names(scheme) for scheme in ("socks4", "socks4a", "socks5", "socks5h")] == [0, 1, 0, 1]


async def test_socks4_takes_an_address() -> None:
    assert await run([(b"\4\1\1\xbb\x01\x02\x03\x04\0", OK4)], socks4("1.2.3.4")) == b"!"


async def test_socks4a_takes_a_name_and_a_user() -> None:
    asked = b"\4\1\1\xbb\0\0\0\1me\0example.com\0"
    assert await run([(asked, OK4)], socks4("example.com", "me")) == b"!"


async def test_socks4_refuses() -> None:
    asked = b"\4\1\1\xbb\x01\x02\x03\x04\0"
    for code, reason in ((91, "rejected or failed"), (92, "identd"), (200, "code 200")):
        with pytest.raises(ConnectError, match=rf"1\.2\.3\.4 port 443: .*{reason}"):
            await run([(asked, bytes((0, code)) + bytes(6))], socks4("1.2.3.4"))
    with pytest.raises(ConnectError, match="something else than SOCKS 4"):
        await run([(asked, b"HTTP/1.1")], socks4("1.2.3.4"))


async def test_socks4_cannot_do_ipv6_or_odd_users() -> None:
    with pytest.raises(ConnectError, match="IPv4 addresses only, not to ::1"):
        await run([], socks4("::1"))
    with pytest.raises(ConfigurationError, match="NUL"):
        await run([], socks4("1.2.3.4", "a\0b"))


@pytest.mark.parametrize(
    ("host", "destination"),
    [
        ("1.2.3.4", b"\1\1\2\3\4"),
        ("example.com", b"\3\x0bexample.com"),
        ("::1", b"\4" + bytes(15) + b"\1"),
    ],
)
async def test_socks5_takes_addresses_and_names(host: str, destination: bytes) -> None:
    talk = [(b"\5\1\0", b"\5\0"), (b"\5\1\0" + destination + b"\1\xbb", OK5)]
    assert await run(talk, socks5(host)) == b"!"


async def test_socks5_skips_the_bound_address_of_each_kind() -> None:
    for bound in (b"\1" + bytes(6), b"\3\x03abc\0\0", b"\4" + bytes(18)):
        talk = [(b"\5\1\0", b"\5\0"), (b"\5\1\0\1\1\2\3\4\1\xbb", b"\5\0\0" + bound)]
        assert await run(talk, socks5("1.2.3.4")) == b"!"


async def test_socks5_authenticates_if_asked() -> None:
    last = (b"\5\1\0\1\1\2\3\4\1\xbb", OK5)
    asked = (b"\1\2me\x06secret", b"\1\0")
    assert await run([(b"\5\2\0\2", b"\5\2"), asked, last], socks5("1.2.3.4", "me", "secret")) == b"!"
    assert await run([(b"\5\2\0\2", b"\5\0"), last], socks5("1.2.3.4", "me", "secret")) == b"!"


async def test_socks5_does_not_accept_the_user() -> None:
    with pytest.raises(ConnectError, match="does not accept user 'me'"):
        await run([(b"\5\2\0\2", b"\5\2"), (b"\1\2me\1x", b"\1\1")], socks5("1.2.3.4", "me", "x"))
    with pytest.raises(ConnectError, match="asks for a user and a password"):
        await run([(b"\5\1\0", b"\5\xff")], socks5("1.2.3.4"))
    with pytest.raises(ConnectError, match="asks for another authentication"):
        await run([(b"\5\2\0\2", b"\5\1")], socks5("1.2.3.4", "me", "x"))
    with pytest.raises(ConfigurationError, match="255 bytes"):
        await run([(b"\5\2\0\2", b"\5\2")], socks5("1.2.3.4", "m" * 256, "x"))


async def test_socks5_refuses() -> None:
    for code, reason in ((1, "general failure"), (5, "connection refused"), (99, "code 99")):
        talk = [(b"\5\1\0", b"\5\0"), (b"\5\1\0\1\1\2\3\4\1\xbb", bytes((5, code, 0, 1)))]
        with pytest.raises(ConnectError, match=reason):
            await run(talk, socks5("1.2.3.4"))


async def test_socks5_that_is_something_else() -> None:
    with pytest.raises(ConnectError, match="version 72 of SOCKS"):
        await run([(b"\5\1\0", b"HTTP/1.1 400")], socks5("1.2.3.4"))
    with pytest.raises(ConnectError, match="version 0 of SOCKS"):
        await run([(b"\5\1\0", b"\5\0"), (b"\5\1\0\1\1\2\3\4\1\xbb", bytes(4))], socks5("1.2.3.4"))
    with pytest.raises(ConnectError, match="address type 9"):
        await run([(b"\5\1\0", b"\5\0"), (b"\5\1\0\1\1\2\3\4\1\xbb", b"\5\0\0\x09")], socks5("1.2.3.4"))
