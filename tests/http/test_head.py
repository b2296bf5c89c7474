from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elio.errors import LimitExceeded, RemoteProtocolError
from elio.headers import Headers
from elio.http.head import (
    bad_request,
    check_head_size,
    check_request_line,
    check_status_line,
    parse_request_head,
    parse_response_head,
)
from elio.http.message import RequestHead, ResponseHead
from elio.limits import Limits

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def head(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> RequestHead:
    return parse_request_head(raw(*lines, line=line, host=host))


def raw(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def refusal(data: bytes) -> int:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request_head(data)
    assert str(caught.value)
    return caught.value.status


def verdict(parse: Callable[[bytes], object], data: bytes) -> int:
    """0, or the status of the refusal."""
    try:
        parse(data)
    except RemoteProtocolError as error:
        return error.status
    return 0


def refused_by_h11(data: bytes) -> bool:
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(data)
    try:
        return not isinstance(peer.next_event(), h11.Request)
    except h11.RemoteProtocolError:
        return True


# -- what is understood


def test_a_plain_request() -> None:
    assert parse_request_head(b"GET /a?b HTTP/1.1\r\nHost: a:80\r\nX-Y:  z \r\n\r\n") == RequestHead(
        "GET", "/a?b", "1.1", Headers([("Host", "a:80"), ("X-Y", "z")])
    )


def test_http_1_0_needs_no_host_and_keeps_the_connection_only_if_asked() -> None:
    assert parse_request_head(b"GET / HTTP/1.0\r\n\r\n") == RequestHead("GET", "/", "1.0", Headers(), keep_alive=False)
    assert parse_request_head(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive
    assert not parse_request_head(b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive


def test_values_are_latin_1() -> None:
    assert head(b"X: K\xe4se\t\xff").headers["x"] == "Käse\tÿ"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_methods_of_the_registry(method: str) -> None:
    assert head(line=f"{method} / HTTP/1.1".encode()).method == method


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([], True),
        ([b"Connection: close"], False),
        ([b"connection: CLOSE"], False),
        ([b"Connection: foo,  Close ,bar"], False),
        ([b"Connection: foo", b"Connection: close"], False),
        ([b"Connection: closed"], True),
        ([b"Connection: notclose"], True),
        ([b"X-Connection: close"], True),
        ([b"Connection: keep-alive"], True),
    ],
)
def test_close_is_a_token_of_connection(lines: list[bytes], kept: bool) -> None:
    assert head(*lines).keep_alive is kept


@pytest.mark.parametrize(
    ("lines", "upgrade"),
    [
        ([b"Upgrade: websocket", b"Connection: Upgrade"], ("websocket",)),
        ([b"connection: keep-alive, upgrade", b"upgrade: h2c"], ("h2c",)),
        ([b"connection: upgrade", b"upgrade: h2c, ", b"Upgrade: WebSocket"], ("h2c", "websocket")),
        ([b"Upgrade: websocket", b"Connection: keep-alive", b"Connection: upgrade"], ("websocket",)),
        ([b"Upgrade: websocket"], ()),
        ([b"Connection: Upgrade"], ()),
        ([b"Upgrade: websocket", b"Connection: notupgrade"], ()),
        ([b"Upgrade: websocket", b"Connection: upgraded"], ()),
        ([b"X-Upgrade: websocket", b"Connection: Upgrade"], ()),
    ],
)
def test_an_upgrade_needs_the_header_and_the_token(lines: list[bytes], upgrade: tuple[str, ...]) -> None:
    assert head(*lines).upgrade == upgrade


def test_an_upgrade_from_http_1_0_is_ignored() -> None:
    assert not head(b"Upgrade: websocket", b"Connection: Upgrade", line=b"GET / HTTP/1.0").upgrade


@pytest.mark.parametrize("value", [b"5", b"005", b" 5 ", b"\t5"])
def test_content_length(value: bytes) -> None:
    got = head(b"Content-Length:" + value)
    assert got.content_length == 5
    assert got.has_body


def test_content_length_0_is_no_body() -> None:
    got = head(b"Content-Length: 0")
    assert got.content_length == 0
    assert not got.has_body


def test_chunked_is_a_body_of_unknown_length() -> None:
    got = head(b"Transfer-Encoding: Chunked")
    assert got.content_length is None
    assert got.has_body


def test_largest_content_length_that_is_counted() -> None:
    assert head(b"Content-Length: 999999999999999999").content_length == 10**18 - 1
    assert refusal(raw(b"Content-Length: 1000000000000000000")) == 413


def test_expect_continue_counts_only_before_a_body_in_http_1_1() -> None:
    length = b"Content-Length: 1"
    assert head(length, b"Expect: 100-Continue").expects_continue
    assert not head(b"Expect: 100-continue").expects_continue
    assert not head(length, b"Expect: 200-ok").expects_continue
    assert not head(length).expects_continue
    assert not head(length, b"Expect: 100-continue", line=b"POST / HTTP/1.0").expects_continue


@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"a.b-c_d~e:80",
        b"127.0.0.1:1",
        b"[::1]",
        b"[2001:db8::1]:443",
        b"[v1.a:b]",
        b"",
        b"a:",
        b"%41.b",
        b"xn--a",
    ],
)
def test_hosts(host: bytes) -> None:
    assert head(host=b"Host: " + host + b"\r\n").host == host.decode()


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/a//b",
        b"//a",
        b"/?",
        b'/a?"<>|^`{}\\',
        b"/%00",
        b"http://a",
        b"HTTPS://a:1/b?c",
        b"http://a?b",
        b"http://[::1]/",
    ],
)
def test_targets(target: bytes) -> None:
    assert head(line=b"GET " + target + b" HTTP/1.1").target == target.decode()


def test_asterisk_form_is_for_options() -> None:
    assert head(line=b"OPTIONS * HTTP/1.1").target == "*"
    assert refusal(raw(line=b"GET * HTTP/1.1")) == 400


# -- what is refused

SMUGGLED = [
    [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Content-Length: 5", b"Content-Length: 5"],
    [b"Content-Length: 5", b"content-length: 6"],
    [b"Content-Length: 5, 5"],
    [b"Content-Length: +5"],
    [b"Content-Length: -5"],
    [b"Content-Length: 5_0"],
    [b"Content-Length: 0x5"],
    [b"Content-Length: 5 0"],
    [b"Content-Length: 5."],
    [b"Content-Length: 5e1"],
    [b"Content-Length:"],
    [b"Content-Length: \xd9\xa5"],  # U+0665
    [b"Content-Length: \xb2"],  # "2" as a superscript in Latin-1
    [b"Content-Length: 18446744073709551616"],
    [b"Transfer-Encoding: gzip"],
    [b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding: xchunked"],
    [b"Transfer-Encoding: chunkedx"],
    [b"Transfer-Encoding: chunked, gzip"],
    [b"Transfer-Encoding: chunked, identity"],
    [b"Transfer-Encoding: chunked;q=1"],
    [b"Transfer-Encoding: chunked,"],
    [b'Transfer-Encoding: "chunked"'],
    [b"Transfer-Encoding: \x0bchunked"],
    [b"Transfer-Encoding: chunked\x0c"],
    [b"Transfer-Encoding:"],
    [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding : chunked"],
    [b"Transfer-Encoding\t: chunked"],
    [b"Transfer-Encoding:\r\n chunked"],
    [b"Transfer\xadEncoding: chunked", b"Content-Length\x00: 5"],
    [b"Host: b"],
    [b"HOST: a"],
    [b"X: a", b" b"],
    [b"X: a", b"\tb"],
    [b" X: a"],
    [b"X : a"],
    [b"X"],
    [b": a"],
    [b"X Y: a"],
    [b"X(Y): a"],
    [b"X\xe9: a"],
    [b"X: a\rb"],
    [b"X: a\nb"],
    [b"X: a\r"],
    [b"X: a\x00b"],
    [b"X: a\x0bb"],
    [b"X: a\x7fb"],
    [b"X: a\nContent-Length: 5"],
]


@pytest.mark.parametrize("lines", SMUGGLED, ids=repr)
@pytest.mark.parametrize("more", [(), (b"Upgrade: websocket", b"Connection: Upgrade")], ids=["plain", "upgrade"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_malformed_headers_are_400(lines: list[bytes], more: tuple[bytes, ...], method: bytes) -> None:
    assert refusal(raw(*lines, *more, line=method + b" / HTTP/1.1")) == 400
    assert refusal(raw(*more, *lines, line=method + b" / HTTP/1.1")) == 400


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"chunked, chunked", b"identity, chunked", b"x ,chunked"])
def test_codings_before_chunked_are_not_implemented(coding: bytes) -> None:
    assert refusal(raw(b"Transfer-Encoding: " + coding)) in (400, 501)


def test_an_unknown_transfer_coding_is_501() -> None:
    assert refusal(raw(b"Transfer-Encoding: gzip, chunked")) == 501
    assert refusal(raw(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked")) == 501


def test_http_1_0_has_no_transfer_codings() -> None:
    assert refusal(raw(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")) == 400


def test_http_1_1_needs_exactly_one_host() -> None:
    assert refusal(LINE + b"\r\n") == 400
    assert refusal(LINE + HOST + b"X: y\r\n" + HOST + b"\r\n") == 400
    assert refusal(b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n") == 400
    assert refusal(b"GET http://a/ HTTP/1.1\r\n\r\n") == 400


@pytest.mark.parametrize(
    "host",
    [b"a b", b"a/b", b"a@b", b"u:p@b", b"a?b", b"a#b", b"a\\b", b"a:b", b"a:1:2", b"a:123456", b"::1", b"[::1", b"[a]b",
     b"a%zz", b"a\xe9", b"a<b>", b'"a"', b"http://a", b"a, b", b"[::g]"],
)  # fmt: skip
def test_hosts_that_are_no_authority_are_400(host: bytes) -> None:
    assert refusal(LINE + b"Host: " + host + b"\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/3.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET /", 400),
        (b"GET", 400),
        (b"", 400),
        (b" ", 400),
        (b"GET / ", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET\t/\tHTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/1,1", 400),
        (b"GET / RTSP/1.0", 400),
        (b"SOURCE / ICE/1.0", 400),
        (b"G@T / HTTP/1.1", 400),
        (b"\nGET / HTTP/1.1", 400),
        (b"GE\x00T / HTTP/1.1", 400),
        (b"G\xcbT / HTTP/1.1", 400),
        (b"FOO / HTTP/1.1", 501),
        (b"get / HTTP/1.1", 501),
        (b"GETX / HTTP/1.1", 501),
        (b"CONNECT a:443 HTTP/1.1", 501),
        (b"CONNECT / HTTP/1.1", 501),
        (b"GET a HTTP/1.1", 400),
        (b"GET a/b HTTP/1.1", 400),
        (b"GET ?a HTTP/1.1", 400),
        (b"GET /#a HTTP/1.1", 400),
        (b"GET http://a/#b HTTP/1.1", 400),
        (b"GET /\xc3\xa9 HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\x0b HTTP/1.1", 400),
        (b"GET /\r HTTP/1.1", 400),
        (b"GET /\n HTTP/1.1", 400),
        (b"GET ** HTTP/1.1", 400),
        (b"GET ftp://a/ HTTP/1.1", 400),
        (b"GET http:/// HTTP/1.1", 400),
        (b"GET http:// HTTP/1.1", 400),
        (b"GET http://:80/ HTTP/1.1", 400),
        (b"GET http://u@a/ HTTP/1.1", 400),
        (b"GET http://a b/ HTTP/1.1", 400),
        (b"GET http:/a HTTP/1.1", 400),
        (b"GET javascript:a HTTP/1.1", 400),
    ],
)  # fmt: skip
def test_malformed_request_lines(line: bytes, status: int) -> None:
    assert refusal(raw(line=line)) == status


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_in_names_and_values(byte: int) -> None:
    token = byte in b"!#$%&'*+-.^_`|~0123456789" or bytes([byte]).isalpha()
    named = raw(b"X%bY:Z" % bytes([byte]))
    valued = raw(b"X: a%bb" % bytes([byte]))
    if token or byte == 0x3A:
        assert len(parse_request_head(named).headers) == 2
    else:
        assert refusal(named) == 400
    if byte == 0x09 or (byte >= 0x20 and byte != 0x7F):
        assert parse_request_head(valued).headers["x"] == f"a{chr(byte)}b"
    else:
        assert refusal(valued) == 400


def test_a_head_keeps_little_more_than_its_bytes() -> None:
    lines = [b"X-Header-%d: %b" % (number, b"a" * 20) for number in range(12)]
    parse_request_head(raw(*lines))
    tracemalloc.start()
    kept = [parse_request_head(raw(*lines)) for _ in range(100)]
    size = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    assert size < len(raw(*lines)) + 400


# -- limits

LIMITS = Limits(max_request_line_size=20, max_headers=3, max_headers_size=50)


def test_a_head_at_its_limits() -> None:
    check_head_size(20, 50, 3, LIMITS)


@pytest.mark.parametrize(("sizes", "status"), [((21, 0, 0), 414), ((20, 51, 0), 431), ((20, 50, 4), 431)])
def test_a_head_over_a_limit(sizes: tuple[int, int, int], status: int) -> None:
    with pytest.raises(LimitExceeded) as caught:
        check_head_size(*sizes, LIMITS)
    assert caught.value.status == status
    assert caught.value.size == caught.value.limit + 1


def test_bad_request() -> None:
    assert bad_request("a").status == 400
    assert bad_request("a", 505).status == 505


def test_what_the_peer_sent_is_shown_shortened_and_escaped() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_request_line(b"\x1b[31m" + b"a" * 9000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_request_line_taken_apart() -> None:
    assert check_request_line(b"GET /a HTTP/1.1") == (b"GET", b"/a", "1.1")


# -- responses


def test_a_plain_response() -> None:
    got = parse_response_head(b"HTTP/1.1 200 All right\r\nA: b\r\nContent-Length: 5\r\n\r\n")
    headers = Headers([("A", "b"), ("Content-Length", "5")])
    assert got == (ResponseHead(200, "All right", "1.1", headers, content_length=5), False)


@pytest.mark.parametrize("reason", [b"", b" ", b" \xe9", b" a b"])
def test_reason_phrases_are_anything(reason: bytes) -> None:
    assert parse_response_head(b"HTTP/1.1 404%b\r\n\r\n" % reason)[0].reason == reason[1:].decode("latin-1")


def test_chunked_responses() -> None:
    got, chunked = parse_response_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert chunked
    assert got.content_length is None
    assert not parse_response_head(b"HTTP/1.1 200 OK\r\n\r\n")[1]


def test_responses_that_switch_protocols() -> None:
    got, _ = parse_response_head(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert got.status == 101
    bare, _ = parse_response_head(b"HTTP/1.1 101 X\r\nA: b\r\n\r\n")
    assert (bare.status, bare.headers.items()) == (101, [("A", "b")])
    with pytest.raises(RemoteProtocolError):
        parse_response_head(b"HTTP/1.1 101 X\r\nA b\r\n\r\n")


def test_responses_keep_the_connection_as_requests_do() -> None:
    assert parse_response_head(b"HTTP/1.1 200 OK\r\n\r\n")[0].keep_alive
    assert not parse_response_head(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")[0].keep_alive
    assert not parse_response_head(b"HTTP/1.0 200 OK\r\n\r\n")[0].keep_alive
    assert parse_response_head(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n")[0].keep_alive


@pytest.mark.parametrize(
    "line",
    [b"", b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK",
     b"HTTP/1.1  200", b"HTTP/1.1 +20 OK",
     b"ICY 200 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 O\x00K", b" HTTP/1.1 200 OK", b"HTTP/1.1"],
)  # fmt: skip
def test_malformed_status_lines(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_status_line(line)
    assert caught.value.status == 0


@pytest.mark.parametrize("lines", [lines for lines in SMUGGLED if not lines[0].lower().startswith(b"host")], ids=repr)
def test_malformed_headers_of_responses(lines: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_response_head(raw(*lines, line=b"HTTP/1.1 200 OK"))


# -- against the field


VALID = [
    raw(b"Content-Length: 5", b"X-Y: z , a"),
    raw(b"Transfer-Encoding: chunked", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"),
    raw(line=b"GET http://a:1/b?c HTTP/1.1"),
    raw(host=b"Connection: keep-alive\r\n", line=b"HEAD / HTTP/1.0"),
]
ODD_BYTES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"\x0b",
    b"\x7f",
    b"\xa0",
    b"\xe9",
    b"+",
    b"_",
    b"5",
    b"a",
    b"/",
]


@given(st.sampled_from(VALID), st.data())
@settings(max_examples=500, deadline=None)
def test_what_h11_refuses_is_refused(valid: bytes, draw: st.DataObject) -> None:
    data = bytearray(valid)
    for _ in range(draw.draw(st.integers(0, 2))):
        start = draw.draw(st.integers(0, len(valid) - 4))
        data[start : start + draw.draw(st.integers(0, 2))] = draw.draw(st.sampled_from(ODD_BYTES))
    if data.find(b"\r\n\r\n") == len(data) - 4 and refused_by_h11(bytes(data)):
        refusal(bytes(data))


@given(st.lists(st.sampled_from([line for lines in SMUGGLED for line in lines] + [b"A: b", b"Expect: x"]), max_size=4))
def test_nothing_is_taken_that_httptools_refuses(lines: list[bytes]) -> None:
    data = raw(*lines)
    status = verdict(parse_request_head, data)
    assert status in (0, 400, 413, 501)
    if status == 0:
        httptools.HttpRequestParser(object()).feed_data(data)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_random_bytes_raise_nothing_else(line: bytes, block: bytes) -> None:
    for data in (line + b"\r\n\r\n", LINE + HOST + block + b"\r\n\r\n", line + b"\r\n" + block + b"\r\n\r\n"):
        assert verdict(parse_request_head, data) in (0, 400, 413, 501, 505)
        assert verdict(parse_response_head, data) in (0, 400, 413, 501)
