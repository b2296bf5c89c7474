from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elio.errors import InvalidHeader, LocalProtocolError, RemoteProtocolError
from elio.headers import Headers
from elio.http.client1 import ClientConnection, ClientEvent
from elio.http.http1 import ServerConnection
from elio.http.message import END_OF_BODY, EndOfBody, RequestHead, ResponseHead
from elio.limits import Limits
from support.frames import ways

HOST = Headers({"Host": "a"})
SWITCH = Headers({"Host": "a", "Upgrade": "websocket", "Connection": "Upgrade"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


def connection(
    method: str = "GET", headers: Headers = HOST, *, max_body_size: int | None = 1000, limits: Limits | None = None
) -> ClientConnection:
    """One that waits for a response."""
    subject = ClientConnection(limits or Limits(), max_body_size=max_body_size)
    subject.send_request(method, "/", headers)
    subject.data_to_send()
    return subject


def receive(subject: ClientConnection, pieces: Iterable[bytes]) -> list[ClientEvent]:
    """The events, body data in one piece."""
    result: list[ClientEvent] = []
    for event in [event for piece in pieces for event in subject.receive_data(piece)]:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        else:
            result.append(event)
    return result


def head_and_rest(events: list[ClientEvent]) -> tuple[ResponseHead, list[ClientEvent]]:
    assert isinstance(events[0], ResponseHead)
    return events[0], events[1:]


def refused(subject: ClientConnection, *request: Any) -> LocalProtocolError:
    with pytest.raises(LocalProtocolError) as caught:
        subject.send_request(*request)
    assert subject.data_to_send() == b""
    return caught.value


# -- requests


def test_a_request_goes_out_as_a_whole() -> None:
    subject = ClientConnection(Limits(), max_body_size=None)
    assert subject.keep_alive
    subject.send_request("GET", "/a?b", Headers({"Host": "a:1", "X": "y"}))
    assert subject.data_to_send() == b"GET /a?b HTTP/1.1\r\nHost: a:1\r\nX: y\r\n\r\n"
    assert subject.data_to_send() == b""
    assert not subject.keep_alive


@pytest.mark.parametrize(
    ("method", "headers", "body", "line"),
    [
        ("POST", {}, b"hello", b"Content-Length: 5\r\n"),
        ("GET", {}, b"hello", b"Content-Length: 5\r\n"),
        ("POST", {}, b"", b"Content-Length: 0\r\n"),
        ("DELETE", {}, b"", b""),
        ("PUT", {"content-length": "5"}, b"hello", b"content-length: 5\r\n"),
    ],
)
def test_the_body_is_announced(method: str, headers: dict[str, str], body: bytes, line: bytes) -> None:
    subject = ClientConnection(Limits(), max_body_size=None)
    subject.send_request(method, "/", Headers({"Host": "a", **headers}), body)
    assert subject.data_to_send() == method.encode() + b" / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n" + body


@pytest.mark.parametrize("method", ["", "GET /", "G\r\nET", "GÉT", "CONNECT"])
def test_methods_that_are_refused(method: str) -> None:
    refused(ClientConnection(Limits(), max_body_size=None), method, "/", HOST)


@pytest.mark.parametrize("target", ["", "/ HTTP/1.1\r\nX: y\r\n", "/a b", "/\n", "/\0", "/é", "/\x7f"])
def test_targets_that_are_refused(target: str) -> None:
    refused(ClientConnection(Limits(), max_body_size=None), "GET", target, HOST)


@pytest.mark.parametrize(
    "headers",
    [
        Headers(),
        Headers([("Host", "a"), ("host", "b")]),
        Headers({"Host": "a", "Transfer-Encoding": "chunked"}),
        Headers({"Host": "a", "Content-Length": "4"}),
        Headers.from_trusted([("Host", "a\r\nX: y")]),
    ],
)
def test_headers_that_are_refused(headers: Headers) -> None:
    subject = ClientConnection(Limits(), max_body_size=None)
    assert isinstance(refused(subject, "GET", "/", headers, b"hello"), InvalidHeader)
    assert subject.keep_alive


def test_one_request_at_a_time() -> None:
    refused(connection(), "GET", "/", HOST)


# -- responses


@pytest.mark.parametrize("data", [OK, CHUNKED])
def test_a_response_with_a_body(data: bytes) -> None:
    for pieces in ways(data, seed=1):
        subject = connection()
        head, rest = head_and_rest(receive(subject, pieces))
        assert (head.status, head.reason) == (200, "OK")
        assert rest == [b"hello", END_OF_BODY]
        assert subject.keep_alive
        subject.send_request("GET", "/", HOST)
        assert len(receive(subject, pieces)) == 3


def test_a_body_up_to_the_close() -> None:
    for pieces in ways(UNTIL_CLOSE, seed=2):
        subject = connection()
        _, rest = head_and_rest(receive(subject, pieces))
        assert rest == [b"hello"]
        assert subject.receive_eof() == [END_OF_BODY]
        assert subject.receive_eof() == []
        assert not subject.keep_alive
        assert subject.receive_data(b"more") == []


def test_trailers() -> None:
    events = connection().receive_data(CHUNKED[:-2] + b"X: y\r\n\r\n")
    assert events[-1] == EndOfBody(Headers({"X": "y"}))


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("line", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_these_have_no_body(status: int, line: bytes) -> None:
    subject = connection()
    _, rest = head_and_rest(subject.receive_data(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, line)))
    assert rest == [END_OF_BODY]
    assert subject.keep_alive


@pytest.mark.parametrize("line", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_the_answer_to_head_has_no_body(line: bytes) -> None:
    subject = connection("HEAD")
    _, rest = head_and_rest(subject.receive_data(b"HTTP/1.1 200 OK\r\n%b\r\n" % line))
    assert rest == [END_OF_BODY]
    assert subject.keep_alive


def test_an_empty_body() -> None:
    _, rest = head_and_rest(connection().receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    assert rest == [END_OF_BODY]


@pytest.mark.parametrize(
    ("data", "sent", "kept"),
    [
        (OK, None, True),
        (OK, "close", False),
        (OK.replace(b"Content", b"Connection: close\r\nContent"), None, False),
        (OK.replace(b"1.1", b"1.0"), None, False),
        (OK.replace(b"1.1", b"1.0").replace(b"Content", b"Connection: keep-alive\r\nContent"), None, True),
        (OK + b"more", None, False),
    ],
)
def test_whether_the_connection_is_kept(data: bytes, sent: str | None, kept: bool) -> None:
    subject = connection(headers=Headers({"Host": "a", "Connection": sent}) if sent else HOST)
    assert subject.receive_data(data)[-1] == END_OF_BODY
    assert subject.keep_alive is kept


def test_interim_responses_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for pieces in ways(interim + OK, seed=3):
        head, rest = head_and_rest(receive(connection(), pieces))
        assert head.status == 200
        assert rest == [b"hello", END_OF_BODY]


def test_interim_responses_are_counted_for_each_request() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    subject = connection()
    for _ in range(3):
        assert len(subject.receive_data(interim * 32 + OK)) == 3
        subject.send_request("GET", "/", HOST)
    (error,) = subject.receive_data(interim * 33)
    assert isinstance(error, RemoteProtocolError)


# -- upgrades


def test_what_is_behind_101_belongs_to_the_other_protocol() -> None:
    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    for pieces in ways(data + b"\x81\x05hello\r\n\r\n", seed=4):
        subject = connection(headers=SWITCH)
        (head,) = subject_events = receive(subject, pieces)
        assert isinstance(head, ResponseHead)
        assert head.status == 101
        assert head.headers["upgrade"] == "websocket"
        assert len(subject_events) == 1
        assert subject.receive_data(b"more") == []
        assert subject.receive_eof() == []
        assert subject.take_rest() == b"\x81\x05hello\r\n\r\nmore"
        assert subject.take_rest() == b""
        assert not subject.keep_alive


def test_101_that_was_not_asked_for() -> None:
    (error,) = connection().receive_data(b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\n")
    assert isinstance(error, RemoteProtocolError)


def test_an_upgrade_may_be_refused() -> None:
    subject = connection(headers=SWITCH)
    head, rest = head_and_rest(subject.receive_data(OK.replace(b"200 OK", b"403 No")))
    assert head.status == 403
    assert rest == [b"hello", END_OF_BODY]
    with pytest.raises(LocalProtocolError):
        subject.take_rest()


# -- violations and limits


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"garbage\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 9000,
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 40000,
        b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
    ],
)
def test_violations_of_the_head(data: bytes) -> None:
    for pieces in ways(data, seed=5):
        subject = connection()
        (error,) = receive(subject, pieces)
        assert isinstance(error, RemoteProtocolError)
        assert subject.receive_data(OK) == []
        assert subject.receive_eof() == []
        assert not subject.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        CHUNKED[:-5] + b"X\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3E8\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1001,
    ],
)
def test_violations_of_the_body(data: bytes) -> None:
    for pieces in ways(data, seed=6):
        events = receive(connection(), pieces)
        assert isinstance(events[0], ResponseHead)
        assert isinstance(events[-1], RemoteProtocolError)
        assert len(events) <= 3


def test_a_body_at_its_limit() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000
    assert connection().receive_data(data)[-1] == END_OF_BODY


def test_an_event_stream_has_no_end() -> None:
    subject = connection(max_body_size=None)
    subject.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        assert subject.receive_data(b"3\r\n:\n\n\r\n" * 100) == [b":\n\n" * 100]


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 2", OK[:-1], CHUNKED[:-1]])
def test_the_end_of_the_connection_in_the_middle_of_a_response(data: bytes) -> None:
    subject = connection()
    subject.receive_data(data)
    (error,) = subject.receive_eof()
    assert isinstance(error, RemoteProtocolError)
    assert error.status == 0


def test_the_end_of_the_connection_between_responses() -> None:
    subject = connection()
    subject.receive_data(OK)
    assert subject.receive_eof() == []
    assert not subject.keep_alive


def test_what_was_not_asked_for_is_dropped() -> None:
    subject = ClientConnection(Limits(), max_body_size=None)
    assert subject.receive_data(b"") == []
    assert subject.keep_alive
    assert subject.receive_data(OK) == []
    assert not subject.keep_alive
    assert subject.receive_eof() == []


# -- all together


@pytest.mark.parametrize("size", [None, 5])
def test_client_and_server_back_to_back(size: int | None) -> None:
    client, server = ClientConnection(Limits(), max_body_size=100), ServerConnection(Limits())
    for _ in range(3):
        client.send_request("POST", "/a", HOST, b"question")
        head, body, end = server.receive_data(client.data_to_send())
        assert isinstance(head, RequestHead)
        assert (body, end) == (b"question", END_OF_BODY)
        server.send_informational(103, Headers({"Link": "</a>"}))
        server.send_response(200, Headers({"X": "y"}), body_size=size)
        server.send_body(b"hello")
        server.end_body()
        response, rest = head_and_rest(client.receive_data(server.data_to_send()))
        assert response.headers["x"] == "y"
        assert rest == [b"hello", END_OF_BODY]
        assert client.keep_alive
        assert server.start_next() == []


def h11_body(data: bytes) -> bytes | None:
    """The body as h11 understands it; ``None`` if it refuses it or waits for more."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data)
    body = b""
    try:
        while not isinstance(event := peer.next_event(), type):
            if isinstance(event, h11.EndOfMessage):
                return body
            body += bytes(event.data) if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError:
        pass
    return None


PARTS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 304 X\r\n", OK, CHUNKED, b"\r\n", b"\n",
         b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 3\r\n\r\n", b"A: b\r\n", b"abc", b"\0"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_what_is_taken_means_the_same_to_h11(data: bytes) -> None:
    events = receive(connection(), [data])
    if END_OF_BODY in events:
        body = b"".join(event for event in events if isinstance(event, bytes))
        assert h11_body(data) == body


@given(st.lists(st.binary(max_size=60) | st.sampled_from(PARTS), max_size=5), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_and_cuts_do_not_matter(parts: list[bytes], seed: int) -> None:
    results = []
    for pieces in ways(b"".join(parts), seed):
        subject = connection()
        events = receive(subject, pieces) + subject.receive_eof()
        results.append([None if isinstance(event, RemoteProtocolError) else event for event in events])
    assert all(events == results[0] for events in results)
