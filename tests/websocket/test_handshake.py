"""The opening handshake, both sides, and who may open one (RFC 6455 4, 10.2)."""

from __future__ import annotations

import base64
import importlib.util
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import HandshakeError, InvalidHeader, RemoteProtocolError
from elio.headers import Headers, check_header
from elio.url import URL
from elio.websocket.deflate import DeflateOptions, accept_offers
from elio.websocket.handshake import (
    Agreement,
    accept_key,
    accept_response,
    build_request,
    check_request,
    check_response,
    generate_key,
    host_allowed,
    is_same_origin,
    is_websocket_upgrade,
    origin_allowed,
    parse_origin,
    parse_subprotocols,
    select_subprotocol,
)
from support.house import ROOT

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Key and answer of the example in RFC 6455 1.3."""


def request_headers(**changes: str | None) -> Headers:
    """A good request with some headers changed or, with None, left out; ``_`` in a name stands for ``-``."""
    headers = Headers(
        {
            "Host": "server.example.com",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
        }
    )
    return changed(headers, changes)


def response_headers(**changes: str | None) -> Headers:
    """A good response with some headers changed or left out."""
    return changed(accept_response(KEY), changes)


def changed(headers: Headers, changes: dict[str, str | None]) -> Headers:
    for name, value in changes.items():
        if value is None:
            del headers[name.replace("_", "-")]
        else:
            headers[name.replace("_", "-")] = value
    return headers


def refused(headers: Headers, method: str = "GET", http_version: str = "1.1") -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        check_request(method, http_version, headers)
    return caught.value


# -- server: the request


def test_the_example_of_the_rfc_is_a_good_request() -> None:
    assert check_request("GET", "1.1", request_headers()) == KEY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "WebSocket"),
        ("Upgrade", "h2c, websocket"),
        ("Upgrade", ",websocket,"),
        ("Connection", "upgrade"),
        ("Connection", "keep-alive, Upgrade"),
        ("Connection", "Upgrade,keep-alive"),
        ("Content-Length", "0"),
    ],
)
def test_tokens_are_found_in_lists_and_in_any_case(name: str, value: str) -> None:
    assert check_request("GET", "1.1", request_headers(**{name: value})) == KEY


def test_connection_may_be_two_headers() -> None:
    headers = request_headers(Connection="keep-alive")
    headers.add("connection", "Upgrade")
    assert check_request("GET", "1.1", headers) == KEY


@pytest.mark.parametrize(
    "key",
    [
        "AQIDBAUGBwgJCgsMDQ4PEC==",  # of RFC 6455 4.1, with bits set that say nothing
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "/+/+/+/+/+/+/+/+/+/+/w==",
    ],
)
def test_keys_of_sixteen_bytes(key: str) -> None:
    assert check_request("GET", "1.1", request_headers(Sec_WebSocket_Key=key)) == key
    assert len(base64.b64decode(key, validate=True)) == 16


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "CONNECT", "get", "G\u00cbT", ""])
def test_only_get_opens_a_websocket(method: str) -> None:
    error = refused(request_headers(), method=method)
    assert error.status == 405
    assert error.headers == (("Allow", "GET"),)


@pytest.mark.parametrize("version", ["1.0", "0.9", "2", "", "1.10"])
def test_other_versions_of_http_are_refused(version: str) -> None:
    error = refused(request_headers(), http_version=version)
    assert error.status == 400
    assert f"HTTP/{version}" in str(error)


@pytest.mark.parametrize("value", [None, "", "websockets", "web socket", "h2c", "websocket/13", '"websocket"'])
def test_upgrade_without_the_token_websocket_is_refused(value: str | None) -> None:
    error = refused(request_headers(Upgrade=value))
    assert (error.status, error.headers) == (400, ())
    assert "Upgrade: websocket" in str(error)


@pytest.mark.parametrize("value", [None, "", "keep-alive", "notupgrade", "upgrade-insecure", "up grade", "close"])
def test_connection_without_the_token_upgrade_is_refused(value: str | None) -> None:
    error = refused(request_headers(Connection=value))
    assert (error.status, error.headers) == (400, ())
    assert "Connection: Upgrade" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Content-Length", "1"), ("Content-Length", "00"), ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "")],
)
def test_a_body_is_refused(name: str, value: str) -> None:
    error = refused(request_headers(**{name: value}))
    assert (error.status, str(error)) == (400, "opening handshake with a body")


@pytest.mark.parametrize("version", [None, "", "8", "12", "14", "013", "13, 8", "13.0", "-13"])
def test_other_versions_of_the_protocol_are_told_the_right_one(version: str | None) -> None:
    error = refused(request_headers(Sec_WebSocket_Version=version))
    assert error.status == 426
    answer = Headers(error.headers)
    assert answer["Sec-WebSocket-Version"] == "13"
    assert answer["Upgrade"] == "websocket"
    assert answer["Connection"] == "Upgrade"
    assert ("no version" if version is None else repr(version)) in str(error)


def test_a_version_that_comes_twice_is_refused() -> None:
    headers = request_headers()
    headers.add("Sec-WebSocket-Version", "13")
    assert refused(headers).status == 400


@pytest.mark.parametrize(
    "key",
    [
        "",
        "AAAA",
        KEY[:-1],
        KEY + "=",
        KEY[:-2],
        KEY[:-2] + "AA",
        "dGhlIHNhbXBsZSBub25jZQ= =",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25\u00e4ZQ==",
        base64.b64encode(bytes(15)).decode(),
        base64.b64encode(bytes(17)).decode(),
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    error = refused(request_headers(Sec_WebSocket_Key=key))
    assert error.status == 400
    assert repr(key) in str(error)


def test_just_one_key_is_allowed() -> None:
    assert str(refused(request_headers(Sec_WebSocket_Key=None))).startswith("0 headers")
    headers = request_headers()
    headers.add("Sec-WebSocket-Key", KEY)
    error = refused(headers)
    assert error.status == 400
    assert str(error).startswith("2 headers")


def test_who_wants_to_be_a_websocket_at_all() -> None:
    assert is_websocket_upgrade("GET", Headers({"upgrade": "WebSocket"}))
    assert is_websocket_upgrade("GET", request_headers())
    assert not is_websocket_upgrade("POST", request_headers())
    assert not is_websocket_upgrade("GET", Headers({"Upgrade": "h2c"}))
    assert not is_websocket_upgrade("GET", Headers())


header_names = st.sampled_from(
    ["Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Content-Length", "Sec-WebSocket-Protocol"]
)
latin = st.characters(max_codepoint=255, exclude_categories=["Cc"])
header_values = st.sampled_from(["websocket", "Upgrade", "13", KEY, ACCEPT, "a, b", '"']) | st.text(
    alphabet=latin, max_size=20
).map(lambda text: text.strip(" \t"))
header_lists = st.lists(st.tuples(header_names, header_values), max_size=8).map(Headers)


@given(st.sampled_from(["GET", "POST"]), st.sampled_from(["1.1", "1.0"]), header_lists)
def test_random_requests_raise_nothing_undocumented(method: str, http_version: str, headers: Headers) -> None:
    is_websocket_upgrade(method, headers)
    for check in (lambda: check_request(method, http_version, headers), lambda: parse_subprotocols(headers)):
        try:
            check()
        except RemoteProtocolError as error:
            for name, value in error.headers:
                check_header(name, value)
            assert error.status in (400, 405, 426)  # noqa: PT017


# -- server: the response


def test_the_answer_to_a_key() -> None:
    assert accept_key(KEY) == ACCEPT


def test_headers_of_the_response() -> None:
    assert accept_response(KEY).items() == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ]


def test_subprotocol_and_extensions_in_the_response() -> None:
    headers = accept_response(KEY, subprotocol="chat", extensions="permessage-deflate")
    assert headers.items()[3:] == [
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ]


@pytest.mark.parametrize("subprotocol", ["", "a b", "a,b", "a\r\nX: 1", "\u00e4", "a/b", '"a"'])
def test_a_subprotocol_that_is_not_a_token_is_never_sent(subprotocol: str) -> None:
    with pytest.raises(InvalidHeader, match="is not a token") as caught:
        accept_response(KEY, subprotocol=subprotocol)
    assert (caught.value.name, caught.value.value) == ("Sec-WebSocket-Protocol", subprotocol)


def test_extensions_that_would_break_the_wire_are_never_sent() -> None:
    with pytest.raises(InvalidHeader):
        accept_response(KEY, extensions="a\r\nb")


# -- server: subprotocols


def test_subprotocols_are_taken_from_every_header_in_order() -> None:
    assert parse_subprotocols(Headers()) == []
    headers = Headers([("Sec-WebSocket-Protocol", "chat, superchat"), ("sec-websocket-protocol", "json,,v1.x")])
    assert parse_subprotocols(headers) == ["chat", "superchat", "json", "v1.x"]


def test_subprotocols_differ_by_case() -> None:
    assert parse_subprotocols(Headers({"Sec-WebSocket-Protocol": "chat, Chat"})) == ["chat", "Chat"]


@pytest.mark.parametrize("value", ["a b", "a, b;c", '"a"', "a, \u00e4", "a/b", "a, (b)"])
def test_an_offered_subprotocol_that_is_not_a_token_is_a_bad_request(value: str) -> None:
    with pytest.raises(RemoteProtocolError, match="is not a token") as caught:
        parse_subprotocols(Headers({"Sec-WebSocket-Protocol": value}))
    assert caught.value.status == 400


def test_a_subprotocol_that_is_offered_twice_is_a_bad_request() -> None:
    headers = Headers([("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "a")])
    with pytest.raises(RemoteProtocolError, match="twice") as caught:
        parse_subprotocols(headers)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("offered", "supported", "selected"),
    [
        (["a", "b"], ["b", "a"], "a"),
        (["a", "b"], ["b"], "b"),
        (["a"], ["b"], None),
        ([], ["b"], None),
        (["a"], [], None),
        (["A"], ["a"], None),
    ],
)
def test_the_first_of_the_client_that_the_server_supports(
    offered: list[str], supported: list[str], selected: str | None
) -> None:
    assert select_subprotocol(offered, supported) == selected


# -- who may knock


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://example.com", ("http", "example.com", 80)),
        ("https://example.com", ("https", "example.com", 443)),
        ("HTTPS://Example.COM:8443", ("https", "example.com", 8443)),
        ("http://[::1]:8080", ("http", "::1", 8080)),
        ("http://[0:0:0:0:0:0:0:1]", ("http", "::1", 80)),
        ("http://127.0.0.1", ("http", "127.0.0.1", 80)),
        ("http://b\u00fccher.example", ("http", "xn--bcher-kva.example", 80)),
        ("chrome-extension://abcdef", ("chrome-extension", "abcdef", 0)),
        ("capacitor://localhost", ("capacitor", "localhost", 0)),
    ],
)
def test_origins(text: str, origin: tuple[str, str, int]) -> None:
    assert parse_origin(text) == origin


NO_ORIGINS = [
    "",
    "null",
    "*",
    "example.com",
    "//example.com",
    "http://",
    "http:example.com",
    "http://example.com/",
    "http://example.com/path",
    "http://example.com?query",
    "http://example.com#fragment",
    "http://user@example.com",
    "http://example.com:0",
    "http://example.com:65536",
    "http://example.com:x",
    "http://exa mple.com",
    "http://example.com http://example.org",
    "http://example.com, http://example.org",
    " http://example.com",
    "http://example.com\n",
    "http://[::1",
    "http://::1",
    "http://127.1",
    "http://*.example.com",
    "1http://example.com",
]


@pytest.mark.parametrize("text", NO_ORIGINS)
def test_what_is_not_an_origin(text: str) -> None:
    assert parse_origin(text) is None
    assert not is_same_origin(text, "example.com", "http")
    assert not origin_allowed(text, host="example.com", scheme="http", allowed=None)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://example.com", "example.com", "http"),
        ("http://example.com", "EXAMPLE.com:80", "ws"),
        ("http://example.com:80", "example.com", "http"),
        ("https://example.com", "example.com:443", "wss"),
        ("https://example.com:8443", "example.com:8443", "https"),
        ("http://localhost:8080", "localhost:8080", "http"),
        ("http://[::1]:8080", "[0::1]:8080", "http"),
    ],
)
def test_the_same_origin(origin: str, host: str, scheme: str) -> None:
    assert is_same_origin(origin, host, scheme)
    assert origin_allowed(origin, host=host, scheme=scheme, allowed=None)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://example.com", "example.com", "https"),
        ("https://example.com", "example.com", "http"),
        ("http://example.com", "example.com:8080", "http"),
        ("http://example.com:8080", "example.com", "http"),
        ("http://example.com.evil.example", "example.com", "http"),
        ("http://evil-example.com", "example.com", "http"),
        ("http://sub.example.com", "example.com", "http"),
        ("http://example.com", "sub.example.com", "http"),
        ("http://example.co", "example.com", "http"),
        ("http://localhost:8080", "127.0.0.1:8080", "http"),
        ("http://example.com", "", "http"),
        ("http://example.com", "user@example.com", "http"),
        ("http://example.com", "example.com/", "http"),
        ("null", "null", "http"),
        ("null", "", ""),
    ],
)
def test_another_origin(origin: str, host: str, scheme: str) -> None:
    assert not is_same_origin(origin, host, scheme)
    assert not origin_allowed(origin, host=host, scheme=scheme, allowed=None)


@pytest.mark.parametrize("allowed", [None, [], ["https://example.com"], ["*"]])
def test_what_is_not_a_page_needs_no_origin(allowed: Sequence[str] | None) -> None:
    assert origin_allowed(None, host="example.com", scheme="http", allowed=allowed)


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("https://app.example", ["https://app.example"], True),
        ("https://app.example", ["https://other.example", "HTTPS://App.Example:443"], True),
        ("https://app.example:8443", ["https://app.example:8443"], True),
        ("https://app.example:8443", ["https://app.example"], False),
        ("http://app.example", ["https://app.example"], False),
        ("https://app.example.evil", ["https://app.example"], False),
        ("https://sub.app.example", ["https://app.example"], False),
        ("http://own.example", ["https://app.example"], False),
        ("http://own.example", [], False),
        ("https://app.example", ["app.example", "https://app.example/"], False),
        ("https://anything.example", ["*"], True),
        ("null", ["*"], True),
        ("null", ["null"], True),
        ("null", ["https://app.example"], False),
        ("file://", ["file://"], True),
        ("", ["https://app.example"], False),
        ("rubbish", ["nonsense"], False),
        ("capacitor://localhost", ["capacitor://localhost"], True),
        ("ionic://localhost", ["capacitor://localhost"], False),
    ],
)
def test_listed_origins_and_no_others(origin: str, allowed: list[str], expected: bool) -> None:
    assert origin_allowed(origin, host="own.example", scheme="http", allowed=allowed) is expected


def test_a_string_of_origins_or_hosts_is_one_of_them_and_not_its_parts() -> None:
    def allows(origin: str) -> bool:
        return origin_allowed(origin, host="x", scheme="http", allowed="https://app.example")

    assert allows("https://app.example")
    assert not allows("https://app.exam")
    assert not allows("app")
    assert host_allowed("sub.example.com", "*.example.com")
    assert not host_allowed("evil.example", "*.example.com")
    assert not host_allowed("example", "example.com")


@given(st.text() | st.sampled_from(NO_ORIGINS), st.text(), st.sampled_from(["http", "wss", "", "x"]))
def test_random_origins_and_hosts_raise_nothing(origin: str, host: str, scheme: str) -> None:
    origin_allowed(origin, host=host, scheme=scheme, allowed=None)
    origin_allowed(origin, host=host, scheme=scheme, allowed=[host])
    host_allowed(host, None)
    host_allowed(host, [origin])


LOOPBACK = [
    "localhost",
    "LOCALHOST:8080",
    "a.localhost",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.1.2.3:9",
    "[::1]",
    "[0::1]:9",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_names_of_the_machine_to_itself(host: str) -> None:
    assert host_allowed(host, None)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":80",
        "example.com",
        "localhost.example.com",
        "notlocalhost",
        "localhost.",
        "127.0.0.1.example.com",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "[::1",
        "::1",
        "localhost:99999",
        "evil@localhost",
        "localhost, example.com",
        "localhost/",
        "localhost\x00",
    ],
)
def test_other_names_may_be_rebound(host: str | None) -> None:
    assert not host_allowed(host, None)


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("example.com", ["example.com"], True),
        ("Example.COM:8080", ["other.example", "EXAMPLE.com"], True),
        ("example.com:8080", ["example.com:9090"], True),
        ("sub.example.com", ["example.com"], False),
        ("sub.example.com", ["*.example.com"], True),
        ("a.b.example.com:1", ["*.Example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("evilexample.com", ["*.example.com"], False),
        ("example.com.evil.example", ["example.com", "*.example.com"], False),
        ("[::1]:80", ["::1"], True),
        ("[::1]:80", ["[0:0::1]"], True),
        ("[::1]:80", ["::2"], False),
        ("10.0.0.1", ["10.0.0.1"], True),
        ("localhost", ["example.com"], False),
        ("localhost", [], False),
        ("anything.example", ["*"], True),
        ("not a host", ["*"], True),
        (None, ["*"], True),
        (None, ["example.com"], False),
        ("not a host", ["not a host"], False),
    ],
)
def test_listed_hosts_and_no_others(host: str | None, allowed: list[str], expected: bool) -> None:
    assert host_allowed(host, allowed) is expected


# -- client: the request


def test_a_key_is_sixteen_fresh_bytes() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}


def test_the_least_request() -> None:
    target, headers = build_request(URL.parse("ws://server.example.com"), key=KEY)
    assert target == "/"
    assert headers.items() == [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]


def test_a_request_with_everything() -> None:
    target, headers = build_request(
        URL.parse("wss://user:secret@[::1]:8443/chat?room=1"),
        key=KEY,
        subprotocols=["chat", "json"],
        deflate=DeflateOptions(server_max_window_bits=15),
        origin="https://app.example",
        headers={"User-Agent": "test", "Cookie": "a=b"},
    )
    assert target == "/chat?room=1"
    assert headers.items() == [
        ("Host", "[::1]:8443"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "https://app.example"),
        ("Sec-WebSocket-Protocol", "chat, json"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=12"),
        ("User-Agent", "test"),
        ("Cookie", "a=b"),
    ]


def test_a_host_of_the_callers_takes_the_place_of_the_urls() -> None:
    extra = Headers({"host": "other.example", "Origin": "https://app.example"})
    _, headers = build_request(URL.parse("ws://server.example.com"), key=KEY, headers=extra)
    assert headers.get_all("Host") == ["other.example"]
    assert headers["Origin"] == "https://app.example"
    assert "host" in extra


@pytest.mark.parametrize(
    "name",
    [
        "Upgrade",
        "CONNECTION",
        "content-length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Anything",
    ],
)
def test_headers_that_the_handshake_sets_are_not_the_callers(name: str) -> None:
    with pytest.raises(InvalidHeader, match="is set by the handshake") as caught:
        build_request(URL.parse("ws://h"), key=KEY, headers={name: "1"})
    assert (caught.value.name, caught.value.value) == (name.lower(), "1")


@pytest.mark.parametrize("header", [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("X-A", "\x00"), ("X-A", "\u20ac")])
def test_headers_that_would_break_the_wire_are_never_sent(header: tuple[str, str]) -> None:
    with pytest.raises(InvalidHeader):
        build_request(URL.parse("ws://h"), key=KEY, headers=[header])


def test_one_host_and_one_origin() -> None:
    with pytest.raises(InvalidHeader, match="more than one header host"):
        build_request(URL.parse("ws://h"), key=KEY, headers=[("Host", "a"), ("Host", "b")])
    with pytest.raises(InvalidHeader, match="header origin is set"):
        build_request(URL.parse("ws://h"), key=KEY, origin="https://a", headers={"Origin": "https://b"})
    with pytest.raises(InvalidHeader):
        build_request(URL.parse("ws://h"), key=KEY, origin="https://a\n")


@pytest.mark.parametrize("subprotocols", [["a b"], [""], ["a", "b,c"], ["a", "b", "a"]])
def test_bad_subprotocols_are_never_sent(subprotocols: list[str]) -> None:
    with pytest.raises(InvalidHeader, match="subprotocol"):
        build_request(URL.parse("ws://h"), key=KEY, subprotocols=subprotocols)


# -- client: the response


def failed(headers: Headers, status: int = 101, subprotocols: Sequence[str] = ()) -> str:
    with pytest.raises(HandshakeError) as caught:
        check_response(status, headers, key=KEY, subprotocols=subprotocols, deflate=DeflateOptions())
    assert caught.value.status == status
    assert caught.value.headers == tuple(headers.items())
    return str(caught.value)


def test_the_example_of_the_rfc_is_a_good_response() -> None:
    assert check_response(101, response_headers(), key=KEY) == Agreement(None, None)


@pytest.mark.parametrize(
    ("name", "value"), [("Upgrade", "WebSocket"), ("Connection", "upgrade"), ("Connection", "keep-alive, Upgrade")]
)
def test_tokens_of_the_response_in_any_case(name: str, value: str) -> None:
    assert check_response(101, response_headers(**{name: value}), key=KEY)


@pytest.mark.parametrize("status", [100, 200, 204, 301, 307, 401, 403, 426, 500, 503])
def test_any_other_status_fails(status: int) -> None:
    assert (
        failed(Headers({"Location": "/x"}), status=status) == f"the server answered with status {status} instead of 101"
    )


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, "nothing"),
        ("", "nothing"),
        ("h2c", "h2c"),
        ("websocket, h2c", "websocket, h2c"),
        ("websockets", "websockets"),
    ],
)
def test_another_upgrade_fails(value: str | None, seen: str) -> None:
    assert failed(response_headers(Upgrade=value)) == f"the server upgrades to {seen} instead of websocket"


@pytest.mark.parametrize("value", [None, "", "close", "notupgrade"])
def test_another_connection_fails(value: str | None) -> None:
    assert failed(response_headers(Connection=value)) == "the server answered without Connection: Upgrade"


@pytest.mark.parametrize("value", ["", KEY, ACCEPT.lower(), ACCEPT + "=", ACCEPT[:-1], accept_key("A" * 22 + "==")])
def test_another_accept_fails(value: str) -> None:
    assert repr(value) in failed(response_headers(Sec_WebSocket_Accept=value))


def test_accept_must_come_once() -> None:
    assert "with 0 headers Sec-WebSocket-Accept" in failed(response_headers(Sec_WebSocket_Accept=None))
    headers = response_headers()
    headers.add("Sec-WebSocket-Accept", ACCEPT)
    assert "with 2 headers Sec-WebSocket-Accept" in failed(headers)


def test_one_of_the_offered_subprotocols_may_be_chosen() -> None:
    offered = ["chat", "json"]
    chosen = check_response(101, response_headers(Sec_WebSocket_Protocol="json"), key=KEY, subprotocols=offered)
    assert chosen.subprotocol == "json"
    assert check_response(101, response_headers(), key=KEY, subprotocols=offered).subprotocol is None


@pytest.mark.parametrize(("value", "offered"), [("chat", []), ("Chat", ["chat"]), ("a, b", ["a", "b"]), ("", ["a"])])
def test_a_subprotocol_that_was_not_offered_fails(value: str, offered: list[str]) -> None:
    assert "which was not offered" in failed(response_headers(Sec_WebSocket_Protocol=value), subprotocols=offered)


def test_two_subprotocols_fail() -> None:
    headers = response_headers(Sec_WebSocket_Protocol="a")
    headers.add("Sec-WebSocket-Protocol", "a")
    assert failed(headers, subprotocols=["a"]) == "the server chose more than one subprotocol"


@pytest.mark.parametrize("value", ["foo", "permessage-deflate; foo", ";", "permessage-deflate, foo"])
def test_extensions_that_do_not_fit_the_offer_fail(value: str) -> None:
    assert failed(response_headers(Sec_WebSocket_Extensions=value))


def test_compression_that_was_not_offered_fails() -> None:
    headers = response_headers(Sec_WebSocket_Extensions="permessage-deflate")
    with pytest.raises(HandshakeError, match="not offered: permessage-deflate") as caught:
        check_response(101, headers, key=KEY)
    assert caught.value.status == 101


@given(header_lists, st.sampled_from([101, 101, 101, 200]), st.sampled_from([None, DeflateOptions()]))
def test_random_responses_raise_nothing_undocumented(
    headers: Headers, status: int, deflate: DeflateOptions | None
) -> None:
    headers.extend(response_headers())
    try:
        check_response(status, headers, key=KEY, subprotocols=["a"], deflate=deflate)
    except HandshakeError as error:
        assert error.status == status  # noqa: PT017


# -- both sides


def test_client_and_server_understand_each_other() -> None:
    options = DeflateOptions()
    key = generate_key()
    _, request = build_request(
        URL.parse("ws://localhost:8080/ws"),
        key=key,
        subprotocols=["v2.chat", "v1.chat"],
        deflate=options,
        origin="http://localhost:8080",
    )
    assert is_websocket_upgrade("GET", request)
    assert check_request("GET", "1.1", request) == key
    assert origin_allowed(request.get("Origin"), host=request["Host"], scheme="ws", allowed=None)
    assert host_allowed(request["Host"], None)
    accepted = accept_offers(request.get_all("Sec-WebSocket-Extensions"), options)
    assert accepted is not None
    subprotocol = select_subprotocol(parse_subprotocols(request), ["v1.chat"])
    response = accept_response(key, subprotocol=subprotocol, extensions=accepted[0])
    agreement = check_response(101, response, key=key, subprotocols=["v2.chat", "v1.chat"], deflate=options)
    assert agreement.subprotocol == "v1.chat"
    assert agreement.deflate is not None
    assert agreement.deflate.decompress(accepted[1].compress(b"Hello"), last=True, limit=5) == b"Hello"


def test_a_python_without_that_module_hashes_with_hashlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_sha1", None)
    source = ROOT / "src" / "elio" / "websocket" / "handshake.py"
    spec = importlib.util.spec_from_file_location("elio.websocket.handshake", source)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.accept_key(KEY) == ACCEPT
