"""Whose word about clients is believed, and what of it."""

from __future__ import annotations

import pytest

from elio import ConfigurationError, Headers
from elio.server.entry.proxies import Origin, TrustedProxies, counted_address, host_of

PEER = "10.0.0.1:4000"


def origin(*lines: tuple[str, str], peer: str = PEER, trusted: tuple[str, ...] = ("10.0.0.0/8",)) -> Origin:
    """Where a request with these lines comes from."""
    names = {name.lower() for name, _ in lines}
    headers = ["forwarded"] if "forwarded" in names else ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
    return TrustedProxies(trusted, headers).origin(Headers(lines), peer)


def x(value: str) -> tuple[str, str]:
    return ("X-Forwarded-For", value)


def test_nobody_else_is_believed() -> None:
    assert origin(x("192.0.2.7"), ("X-Forwarded-Proto", "https"), peer="192.0.2.1:1") == ("192.0.2.1:1", "", "")
    assert origin(x("192.0.2.7"), peer="") == ("", "", "")
    assert origin(("Forwarded", "for=192.0.2.7"), peer="[2001:db8::1]:1") == ("[2001:db8::1]:1", "", "")


def test_without_a_word_the_peer_is_the_client() -> None:
    assert origin() == (PEER, "", "")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.7", "192.0.2.7:0"),
        ("192.0.2.7:5000", "192.0.2.7:5000"),
        ("2001:db8::7", "[2001:db8::7]:0"),
        ("[2001:db8::7]", "[2001:db8::7]:0"),
        ("[2001:DB8:0::7]:5000", "[2001:db8::7]:5000"),
        ("::ffff:192.0.2.7", "192.0.2.7:0"),
        ("192.0.2.66, 192.0.2.7", "192.0.2.7:0"),
        ("192.0.2.66, 192.0.2.7, 10.0.0.2, 10.9.9.9", "192.0.2.7:0"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3:0"),
        ("192.0.2.66, unknown, 10.0.0.2", "10.0.0.2:0"),
        ("192.0.2.66, , 10.0.0.2", "10.0.0.2:0"),
        ("", PEER),
        ("unknown", PEER),
        ("192.0.2.256", PEER),
        ("192.0.2.7:65536", PEER),
        ("192.0.2.7:x", PEER),
        ("a b", PEER),
        ("٤.٤.٤.٤", PEER),
        ("192.0.2.7%eth0", PEER),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_proxy(value: str, client: str) -> None:
    line = ("X-Forwarded-For", value)
    headers = Headers.from_trusted([line])
    assert TrustedProxies(["10.0.0.0/8"]).origin(headers, PEER).client == client


def test_several_lines_are_one_list() -> None:
    assert origin(x("192.0.2.66"), x("192.0.2.7, 10.0.0.2"), x("10.0.0.3")).client == "192.0.2.7:0"


@pytest.mark.parametrize(
    ("told", "scheme"), [("https", "https"), ("HTTP", "http"), ("wss", "https"), ("ws", "http"), ("ftp", ""), ("", "")]
)
def test_the_scheme(told: str, scheme: str) -> None:
    assert origin(x("192.0.2.7"), ("X-Forwarded-Proto", told)).scheme == scheme
    assert origin(("X-Forwarded-Proto", told)).scheme == scheme


@pytest.mark.parametrize(
    ("told", "host"),
    [("example.com", "example.com"), ("example.com:8443", "example.com:8443"), ("[::1]:80", "[::1]:80"), ("a b", "")],
)
def test_the_host(told: str, host: str) -> None:
    assert origin(x("192.0.2.7"), ("X-Forwarded-Host", told)).host == host
    assert origin(("Forwarded", f'for=192.0.2.7;host="{told}"')).host == host


def test_as_many_schemes_as_clients_belong_to_each_other() -> None:
    lines = x("192.0.2.7, 10.0.0.2"), ("X-Forwarded-Proto", "https, http"), ("X-Forwarded-Host", "a.example, b")
    assert origin(*lines) == ("192.0.2.7:0", "https", "a.example")


def test_of_others_the_nearest_counts() -> None:
    lines = x("192.0.2.7"), ("X-Forwarded-Proto", "https, http"), ("X-Forwarded-Host", "evil.example, a.example")
    assert origin(*lines) == ("192.0.2.7:0", "http", "a.example")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.7;proto=https;host=a.example", ("192.0.2.7:0", "https", "a.example")),
        ('For="[2001:db8:cafe::17]:4711"', ("[2001:db8:cafe::17]:4711", "", "")),
        ('for="192.0.2.7:_hidden" ; by=10.0.0.2', ("192.0.2.7:0", "", "")),
        ('for="\\1\\92.0.2.7"', ("192.0.2.7:0", "", "")),
        ("for=192.0.2.66;proto=http, for=192.0.2.7;proto=https, for=10.0.0.2", ("192.0.2.7:0", "https", "")),
        ('for="192.0.2.66, 192.0.2.5", for=192.0.2.7', ("192.0.2.7:0", "", "")),
        ("for=unknown;proto=https", (PEER, "https", "")),
        ("for=_secret", (PEER, "", "")),
        ("for", (PEER, "", "")),
        (";;=,", (PEER, "", "")),
        ('for="', (PEER, "", "")),
    ],
)
def test_forwarded(value: str, expected: tuple[str, str, str]) -> None:
    assert origin(("Forwarded", value)) == expected


def test_a_header_that_the_proxies_do_not_set_is_the_clients() -> None:
    headers = Headers([("Forwarded", "for=192.0.2.66"), x("192.0.2.7"), ("X-Forwarded-Host", "evil.example")])
    assert TrustedProxies(["10.0.0.1"], ["X-Forwarded-For"]).origin(headers, PEER) == ("192.0.2.7:0", "", "")
    assert TrustedProxies(["10.0.0.1"], "Forwarded").origin(headers, PEER) == ("192.0.2.66:0", "", "")


def test_networks_addresses_and_unix_sockets() -> None:
    trusted = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "unix"])
    for peer in ("10.1.2.3:1", "[2001:db8::1]:1", "192.0.2.1:1", "[::ffff:10.0.0.1]:1", ""):
        assert trusted.trusts(peer)
    for peer in ("11.0.0.1:1", "[2001:db9::1]:1", "192.0.2.2:1", "[::1]:1", "nonsense"):
        assert not trusted.trusts(peer)
    assert not TrustedProxies(["10.0.0.1"]).trusts("")
    assert TrustedProxies("10.0.0.1").trusts("10.0.0.1:1")


@pytest.mark.parametrize("name", ["", "example.com", "10.0.0.1/8", "10.0.0.0/33", "*"])
def test_what_cannot_be_trusted_is_said(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address, no network and not 'unix'"):
        TrustedProxies([name])


@pytest.mark.parametrize("headers", [["x-real-ip"], ["forwarded", "x-forwarded-for"]])
def test_headers_that_are_not_understood_or_contradict_each_other_are_refused(headers: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="proxy headers"):
        TrustedProxies(["10.0.0.1"], headers)


def test_the_address_of_a_peer() -> None:
    assert [host_of(peer) for peer in ("192.0.2.1:80", "[2001:db8::1]:80", "")] == ["192.0.2.1", "2001:db8::1", ""]


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_what_an_address_counts_as(host: str, counted: str) -> None:
    assert counted_address(host) == counted
