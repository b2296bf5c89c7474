from __future__ import annotations

import array
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import InvalidHeader, LocalProtocolError
from elio.headers import Headers
from elio.http.response import ResponseWriter, encode_headers

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def write(writer: ResponseWriter, status: int = 200, headers: Any = (), **options: Any) -> bytes:
    settings: dict[str, Any] = {
        "body_size": 0, "head_only": False, "keep_alive": True, "old_client": False, "date": "", **options
    }  # fmt: skip
    writer.write_head(status, headers if isinstance(headers, Headers) else Headers(headers), **settings)
    return writer.data_to_send()


def head(status: int = 200, headers: Any = (), **options: Any) -> bytes:
    return write(ResponseWriter(), status, headers, **options)


def refused(status: int = 200, headers: Any = (), **options: Any) -> LocalProtocolError:
    writer = ResponseWriter()
    with pytest.raises(LocalProtocolError) as caught:
        write(writer, status, headers, **options)
    assert not writer.begun
    assert writer.data_to_send() == b""
    return caught.value


# -- heads


def test_a_small_response_is_one_object() -> None:
    writer = ResponseWriter()
    writer.write_head(
        200, Headers({"A": "b"}), body_size=5, head_only=False, keep_alive=True, old_client=False, date=DATE
    )
    writer.write_body(b"hello")
    writer.write_end()
    assert writer.data_to_send() == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert writer.data_to_send() == b""
    assert writer.begun
    assert writer.complete
    assert writer.keep_alive


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (HTTPStatus.NOT_FOUND, b"HTTP/1.1 404 Not Found\r\n"),
        (599, b"HTTP/1.1 599 \r\n"),
        (418, b"HTTP/1.1 418 I'm a Teapot\r\n"),
    ],
)
def test_status_lines(status: int, line: bytes) -> None:
    assert head(status).startswith(line)
    assert head(status).startswith(line)


@pytest.mark.parametrize("status", [-1, 0, 99, 600, 1000])
def test_a_status_is_100_to_599(status: int) -> None:
    refused(status)


@pytest.mark.parametrize("name", ["date", "Date", "DATE"])
def test_what_is_there_is_not_added(name: str) -> None:
    assert head(headers={name: "x", "content-length": "5"}, body_size=5, date=DATE) == (
        f"HTTP/1.1 200 OK\r\n{name}: x\r\ncontent-length: 5\r\n\r\n".encode()
    )


def test_a_date_is_checked_too() -> None:
    assert isinstance(refused(date="x\r\nA: b"), InvalidHeader)


def test_a_token_of_connection_is_not_taken_for_a_header() -> None:
    assert b"\r\nDate: x\r\n" in head(headers={"Connection": "date, content-length"}, date="x")
    assert b"\r\nContent-Length: 0\r\n" in head(headers={"Connection": "date, content-length"})


# -- how the body is delimited (RFC 9112 6.3)


def test_a_known_size_is_announced() -> None:
    assert head(body_size=5) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert head(body_size=0) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert head(headers={"Content-Length": "5"}, body_size=None) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def test_an_unknown_size_is_chunked() -> None:
    writer = ResponseWriter()
    assert write(writer, body_size=None) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write_body(b"hello")
    writer.write_body(b"")
    writer.write_body(b"x" * 26)
    assert writer.data_to_send() == b"5\r\nhello\r\n1a\r\n" + b"x" * 26 + b"\r\n"
    writer.write_end()
    assert writer.data_to_send() == b"0\r\n\r\n"
    assert writer.keep_alive


def test_chunked_may_be_said_by_the_headers() -> None:
    got = head(headers={"transfer-encoding": "Chunked"}, body_size=None)
    assert got == b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"


def test_an_unknown_size_to_an_http_1_0_client_ends_with_the_connection() -> None:
    writer = ResponseWriter()
    got = write(writer, body_size=None, old_client=True)
    assert got == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    writer.write_body(b"hello")
    writer.write_end()
    assert writer.data_to_send() == b"hello"
    assert not writer.keep_alive


@pytest.mark.parametrize("status", [204, 304])
def test_these_have_no_body_and_no_length(status: int) -> None:
    for size in (0, None):
        writer = ResponseWriter()
        assert write(writer, status, body_size=size).endswith(b"\r\n\r\n")
        assert b"Content-Length" not in head(status, body_size=size)
        assert b"Transfer-Encoding" not in head(status, body_size=size)
        writer.write_body(b"never sent")
        writer.write_end()
        assert writer.data_to_send() == b""
        assert writer.keep_alive


def test_304_may_say_what_the_length_would_be() -> None:
    assert b"Content-Length: 5\r\n" in head(304, {"Content-Length": "5"})
    head(304, body_size=5)


def test_204_may_not() -> None:
    refused(204, {"Content-Length": "0"})
    refused(204, body_size=5)


def test_the_answer_to_head_announces_and_sends_nothing() -> None:
    writer = ResponseWriter()
    assert write(writer, body_size=5, head_only=True) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    writer.write_body(b"hello, world")
    writer.write_end()
    assert writer.data_to_send() == b""
    assert head(body_size=None, head_only=True) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert b"Content-Length: 5\r\n" in head(headers={"Content-Length": "5"}, body_size=0, head_only=True)


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"Content-Length": "5"}, 4),
        ({"Content-Length": "+5"}, 5),
        ({"Content-Length": "٥"}, 5),
        ({"Content-Length": ""}, 0),
        ({"Content-Length": "5, 5"}, 5),
        ({"Content-Length": "1" * 5000}, None),
        ([("Content-Length", "5"), ("content-length", "5")], 5),
        ({"Transfer-Encoding": "gzip"}, None),
        ({"Transfer-Encoding": "chunked"}, 5),
        ({"Transfer-Encoding": "chunked", "Content-Length": "5"}, None),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], None),
        ({}, -1),
    ],
)
def test_framing_that_contradicts_itself_is_refused(headers: Any, size: int | None) -> None:
    refused(
        headers=Headers.from_trusted(list(headers.items()) if isinstance(headers, dict) else headers), body_size=size
    )


def test_chunked_is_never_sent_to_an_http_1_0_client() -> None:
    refused(headers={"Transfer-Encoding": "chunked"}, body_size=None, old_client=True)


# -- whether the connection is kept


@pytest.mark.parametrize(
    ("keep_alive", "old_client", "given", "added"),
    [
        (True, False, None, b""),
        (False, False, None, b"Connection: close\r\n"),
        (True, True, None, b"Connection: keep-alive\r\n"),
        (False, True, None, b"Connection: close\r\n"),
        (True, False, "close", b""),
        (True, True, "Close", b""),
        (False, False, "close", b""),
        (True, True, "Keep-Alive", b""),
        (False, False, "Upgrade", b"Connection: close\r\n"),
        (True, False, "Upgrade", b""),
        (False, False, "closed", b"Connection: close\r\n"),
    ],
)
def test_connection(keep_alive: bool, old_client: bool, given: str | None, added: bytes) -> None:
    writer = ResponseWriter()
    headers = {} if given is None else {"Connection": given}
    lines = b"" if given is None else f"Connection: {given}\r\n".encode()
    got = write(writer, headers=headers, keep_alive=keep_alive, old_client=old_client)
    assert got == b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 0\r\n" + added + b"\r\n"
    assert writer.keep_alive is (keep_alive and given not in ("close", "Close"))


SWITCH = {"Upgrade": "websocket", "Connection": "Upgrade"}


def switch(headers: Any, date: str = "") -> bytes:
    writer = ResponseWriter()
    writer.write_switch(Headers(headers), date)
    assert writer.begun
    assert writer.complete
    return writer.data_to_send()


def test_switching_protocols_adds_a_date_and_nothing_else() -> None:
    lines = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    assert switch(SWITCH) == lines + b"\r\n"
    assert switch(SWITCH, DATE) == lines + b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    assert switch({**SWITCH, "Date": "then"}, DATE) == lines + b"Date: then\r\n\r\n"


def test_switching_protocols_is_one_token_of_connection() -> None:
    headers = {"Upgrade": "websocket", "Connection": "keep-alive, upgrade"}
    assert switch(headers).endswith(b"Connection: keep-alive, upgrade\r\n\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "websocket"},
        {"Connection": "Upgrade"},
        {"Upgrade": "websocket", "Connection": "upgraded"},
        {**SWITCH, "content-length": "0"},
        {**SWITCH, "Transfer-Encoding": "chunked"},
    ],
)
def test_switching_protocols_needs_its_headers_and_has_no_body(headers: dict[str, str]) -> None:
    writer = ResponseWriter()
    with pytest.raises(LocalProtocolError, match="101 Switching Protocols"):
        writer.write_switch(Headers(headers), "")
    assert not writer.begun
    assert writer.data_to_send() == b""


# -- bodies


def test_more_than_announced_is_refused() -> None:
    writer = ResponseWriter()
    write(writer, body_size=5)
    writer.write_body(b"abc")
    with pytest.raises(LocalProtocolError, match="2 are left"):
        writer.write_body(b"def")
    writer.write_body(b"de")
    writer.write_end()
    assert writer.data_to_send() == b"abcde"


def test_less_than_announced_is_refused() -> None:
    writer = ResponseWriter()
    write(writer, body_size=5)
    writer.write_body(b"abc")
    with pytest.raises(LocalProtocolError, match="2 bytes are missing"):
        writer.write_end()
    assert not writer.complete


def test_nothing_is_sent_outside_a_response() -> None:
    writer = ResponseWriter()
    acts: list[Callable[[], None]] = [lambda: writer.write_body(b"a"), writer.write_end]
    for act in acts:
        with pytest.raises(LocalProtocolError):
            act()
    write(writer)
    writer.write_end()
    for act in acts:
        with pytest.raises(LocalProtocolError):
            act()
    writer.reset()
    assert not writer.begun
    assert not writer.complete
    assert write(writer) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("size", [None, 4])
def test_bodies_are_any_bytes(size: int | None) -> None:
    for data in (bytearray(b"abcd"), memoryview(b"abcd"), memoryview(array.array("H", [0x6261, 0x6463]))):
        writer = ResponseWriter()
        write(writer, body_size=size)
        writer.write_body(data)
        writer.write_end()
        assert b"abcd" in writer.data_to_send()


def test_what_was_given_may_change_afterwards() -> None:
    writer = ResponseWriter()
    write(writer, body_size=4)
    data = bytearray(b"abcd")
    writer.write_body(data)
    data[:] = b"xxxx"
    assert writer.data_to_send() == b"abcd"


# -- interim responses


def test_interim_responses() -> None:
    writer = ResponseWriter()
    writer.write_informational(100, None)
    writer.write_informational(103, Headers({"Link": "</a>"}))
    assert writer.data_to_send() == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert not writer.begun


@pytest.mark.parametrize("status", [99, 101, 200])
def test_only_1xx_but_101_are_interim(status: int) -> None:
    writer = ResponseWriter()
    with pytest.raises(LocalProtocolError):
        writer.write_informational(status, None)
    assert writer.data_to_send() == b""


def test_no_interim_response_after_the_head() -> None:
    writer = ResponseWriter()
    write(writer)
    with pytest.raises(LocalProtocolError):
        writer.write_informational(100, None)


# -- nothing breaks the wire


@pytest.mark.parametrize(
    "pair",
    [("A", "b\r\nC: d"), ("A", "b\nC: d"), ("A", "b\r"), ("A", "b\0"), ("A\r\nB", "c"), ("A\0", "b"), ("A", "\u20ac"),
     ("\u20ac", "b")],
)  # fmt: skip
def test_headers_that_no_check_has_seen_are_refused(pair: tuple[str, str]) -> None:
    headers = Headers.from_trusted([("X", "y"), pair])
    assert isinstance(refused(headers=headers), InvalidHeader)
    with pytest.raises(InvalidHeader):
        encode_headers(headers)
    with pytest.raises(InvalidHeader):
        ResponseWriter().write_informational(103, headers)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=8)), max_size=3))
def test_whatever_is_written_has_as_many_lines_as_headers(pairs: list[tuple[str, str]]) -> None:
    try:
        got = head(headers=Headers.from_trusted(pairs), body_size=0)
    except LocalProtocolError:
        return
    lines = got.split(b"\r\n")
    assert got.count(b"\r") == got.count(b"\n") == len(lines) - 1
    assert 3 + len(pairs) <= len(lines) <= 5 + len(pairs)


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("old_client", [False, True])
def test_h11_reads_what_is_written(size: int | None, old_client: bool) -> None:
    writer = ResponseWriter()
    data = write(writer, headers={"A": "b"}, body_size=size, old_client=old_client, date=DATE)
    writer.write_body(b"he")
    writer.write_body(b"llo")
    writer.write_end()
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data + writer.data_to_send())
    if not writer.keep_alive:
        peer.receive_data(b"")
    response = peer.next_event()
    assert isinstance(response, h11.Response)
    assert (b"a", b"b") in response.headers
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == b"hello"
