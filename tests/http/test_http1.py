from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elio.errors import LocalProtocolError, RemoteProtocolError
from elio.headers import Headers
from elio.http.http1 import Event, ServerConnection
from elio.http.message import END_OF_BODY, EndOfBody, RequestHead
from elio.limits import Limits
from support.frames import ways

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD_EVENT = RequestHead("GET", "/a", "1.1", Headers({"Host": "a"}))
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE_BODY = UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 27\r\n\r\n")
SMUGGLED = b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n"
SWITCH = Headers({"Upgrade": "websocket", "Connection": "Upgrade"})


def connection(**limits: int) -> ServerConnection:
    return ServerConnection(replace(Limits(), **limits))


def receive(subject: ServerConnection, pieces: Iterable[bytes]) -> list[Event]:
    return [event for piece in pieces for event in subject.receive_data(piece)]


def joined(events: list[Event]) -> list[Event]:
    """The events, body data in one piece."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        else:
            result.append(event)
    return result


def answer(subject: ServerConnection, body: bytes = b"ok", **options: bool) -> bytes:
    subject.send_response(200, Headers(), body_size=len(body), **options)  # type: ignore[arg-type]
    subject.send_body(body)
    subject.end_body()
    return subject.data_to_send()


def violation(events: list[Event]) -> int:
    """The status of the violation, which is the last event and the only one of its kind."""
    assert not any(isinstance(event, RemoteProtocolError) for event in events[:-1])
    assert isinstance(events[-1], RemoteProtocolError)
    return events[-1].status


# -- requests


def test_a_request_without_a_body() -> None:
    for pieces in ways(GET, seed=1):
        assert receive(connection(), pieces) == [HEAD_EVENT, END_OF_BODY]


@pytest.mark.parametrize("data", [POST, CHUNKED])
def test_a_request_with_a_body(data: bytes) -> None:
    for pieces in ways(data, seed=2):
        head, body, end = joined(receive(connection(), pieces))
        assert isinstance(head, RequestHead)
        assert head.has_body
        assert (body, end) == (b"hello", END_OF_BODY)


def test_a_body_of_length_0_is_none() -> None:
    events = connection().receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert events[1:] == [END_OF_BODY]


def test_trailers_come_with_the_end() -> None:
    events = connection().receive_data(CHUNKED[:-2] + b"X: y\r\n\r\n")
    assert events[-1] == EndOfBody(Headers({"X": "y"}))


def test_questions_on_the_way() -> None:
    subject = connection()
    assert not subject.head_started
    assert subject.keep_alive
    subject.receive_data(POST[:5])
    assert subject.head_started
    subject.receive_data(POST[5:-2])
    assert not subject.head_started
    assert not subject.request_complete
    assert subject.receive_data(b"") == []
    assert subject.receive_data(b"lo") == [b"lo", END_OF_BODY]
    assert subject.request_complete
    assert not subject.response_begun
    subject.send_response(200, Headers(), body_size=0)
    assert subject.response_begun
    assert not subject.response_complete
    assert not subject.can_start_next
    subject.end_body()
    assert subject.response_complete
    assert subject.can_start_next


# -- one request at a time


def test_what_follows_a_request_stays_raw() -> None:
    for first in (GET, POST, CHUNKED):
        subject = connection()
        events = subject.receive_data(first + GET + b"garbage")
        assert events[-1] == END_OF_BODY
        assert subject.more
        assert subject.waiting_size == len(GET) + 7
        assert subject.receive_data(b"more") == []
        assert subject.waiting_size == len(GET) + 11


@pytest.mark.parametrize("seed", range(5))
def test_pipelined_requests_come_one_by_one(seed: int) -> None:
    for pieces in ways(POST + GET + CHUNKED + GET, seed=seed):
        subject = connection()
        events = receive(subject, pieces)
        heads = []
        for _ in range(4):
            heads += [(event.method, event.target) for event in events if isinstance(event, RequestHead)]
            assert events[-1] == END_OF_BODY
            assert answer(subject) == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            events = subject.start_next()
        assert heads == [("POST", "/"), ("GET", "/a"), ("POST", "/"), ("GET", "/a")]
        assert events == []
        assert not subject.more


def test_a_pipelined_request_may_come_in_parts() -> None:
    subject = connection()
    subject.receive_data(GET + GET[:10])
    answer(subject)
    assert subject.start_next() == []
    assert subject.head_started
    assert subject.receive_data(GET[10:]) == [HEAD_EVENT, END_OF_BODY]


def test_start_next_needs_a_complete_request_and_response() -> None:
    subject = connection()
    with pytest.raises(LocalProtocolError):
        subject.start_next()
    subject.receive_data(GET)
    with pytest.raises(LocalProtocolError):
        subject.start_next()
    answer(subject, close=True)
    with pytest.raises(LocalProtocolError):
        subject.start_next()


@pytest.mark.parametrize(
    "data",
    [GET.replace(b"Host", b"Connection: close\r\nHost"), b"GET / HTTP/1.0\r\n\r\n"],
)
def test_nothing_is_kept_behind_the_last_request(data: bytes) -> None:
    subject = connection()
    subject.receive_data(data)
    assert not subject.keep_alive
    assert subject.receive_data(GET * 100) == []
    assert subject.waiting_size == 0
    assert b"Connection: close\r\n" in answer(subject)
    assert not subject.keep_alive


def test_http_1_0_keep_alive() -> None:
    subject = connection()
    subject.receive_data(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer(subject) == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
    assert subject.start_next() == []
    subject.receive_data(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    subject.send_response(200, Headers(), body_size=None)
    assert b"Connection: close\r\n" in subject.data_to_send()
    assert not subject.keep_alive


# -- violations


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /\r\n", 400),
        (b"garbage\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", 400),
    ],
)
def test_nothing_is_read_after_a_violation(data: bytes, status: int) -> None:
    for pieces in ways(data + GET, seed=status):
        subject = connection()
        assert violation(receive(subject, [*pieces, GET])) == status
        assert subject.receive_eof() == []
        assert not subject.more
        assert not subject.head_started
        assert not subject.keep_alive
        subject.send_response(status, Headers(), body_size=0)
        assert b"\r\nConnection: close\r\n" in subject.data_to_send()


def test_what_came_before_a_violation_is_delivered() -> None:
    head, body, error = connection().receive_data(CHUNKED[:-5] + b"X\r\n")
    assert isinstance(head, RequestHead)
    assert body == b"hello"
    assert isinstance(error, RemoteProtocolError)


def test_a_violation_in_a_pipelined_request_comes_in_its_turn() -> None:
    subject = connection()
    assert subject.receive_data(GET + b"garbage\r\n") == [HEAD_EVENT, END_OF_BODY]
    answer(subject)
    assert violation(subject.start_next()) == 400


def test_the_end_of_the_connection_in_the_middle_of_a_request() -> None:
    for data in (GET[:5], POST[:-1], CHUNKED[:-1]):
        subject = connection()
        subject.receive_data(data)
        assert violation(subject.receive_eof()) == 400
        assert subject.receive_eof() == []
        assert subject.receive_data(GET) == []


def test_the_end_of_the_connection_between_requests() -> None:
    subject = connection()
    assert subject.receive_eof() == []
    subject = connection()
    subject.receive_data(GET + GET + GET[:9])
    assert subject.receive_eof() == []
    answer(subject)
    assert subject.start_next() == [HEAD_EVENT, END_OF_BODY]
    answer(subject)
    assert violation(subject.start_next()) == 400


# -- limits


def test_the_announced_size_of_a_body() -> None:
    assert len(connection(max_body_size=5).receive_data(POST)) == 3
    assert violation(connection(max_body_size=4).receive_data(POST[:-5])) == 413
    assert len(ServerConnection(Limits(max_body_size=None)).receive_data(POST)) == 3


def test_the_counted_size_of_a_body() -> None:
    assert connection(max_body_size=5).receive_data(CHUNKED)[-1] == END_OF_BODY
    assert violation(connection(max_body_size=4).receive_data(CHUNKED)) == 413


def test_limits_of_the_head_hold_for_every_request_of_a_connection() -> None:
    long = b"GET /" + b"a" * 20 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    subject = connection(max_request_line_size=20)
    subject.receive_data(GET + long)
    answer(subject)
    assert violation(subject.start_next()) == 414


def test_headers_and_trailers_together() -> None:
    data = CHUNKED[:-2] + b"X: y\r\n\r\n"
    assert connection(max_headers=3).receive_data(data)[-1] == EndOfBody(Headers({"X": "y"}))
    assert violation(connection(max_headers=2).receive_data(data)) == 431
    size = len(b"Host: a\r\nTransfer-Encoding: chunked\r\nX: y\r\n")
    assert connection(max_headers_size=size).receive_data(data)[-1] == EndOfBody(Headers({"X": "y"}))
    assert violation(connection(max_headers_size=size - 1).receive_data(data)) == 431


def test_an_extension_without_end() -> None:
    subject = connection()
    subject.receive_data(CHUNKED[:-15] + b"5;")
    events: list[Event] = []
    for _ in range(17):
        events += subject.receive_data(b"a" * 1024)
    assert violation(events) == 413


# -- Expect: 100-continue


EXPECT = POST.replace(b"Host", b"Expect: 100-continue\r\nHost")[:-5]


def test_a_client_that_waits_is_told_to_go_on() -> None:
    subject = connection()
    subject.receive_data(EXPECT)
    assert subject.expects_continue
    subject.send_informational(103, Headers({"Link": "</a>"}))
    assert subject.expects_continue
    subject.send_informational(100)
    assert not subject.expects_continue
    assert subject.data_to_send().endswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert subject.receive_data(b"hello") == [b"hello", END_OF_BODY]
    answer(subject)
    assert subject.can_start_next


def test_a_client_that_does_not_wait_after_all() -> None:
    subject = connection()
    subject.receive_data(EXPECT + b"h")
    assert not subject.expects_continue


def test_a_final_response_to_a_client_that_waits_closes() -> None:
    subject = connection()
    subject.receive_data(EXPECT)
    assert b"Connection: close\r\n" in answer(subject)
    assert not subject.keep_alive


def test_interim_responses_are_not_for_http_1_0_and_need_a_request() -> None:
    subject = connection()
    with pytest.raises(LocalProtocolError):
        subject.send_informational(100)
    subject.receive_data(b"GET / HTTP/1.0\r\n\r\n")
    subject.send_informational(103)
    assert subject.data_to_send() == b""


# -- a response before the end of the request


def test_little_of_a_body_is_read_for_the_sake_of_the_next_request() -> None:
    subject = connection(body_buffer_size=2)
    subject.receive_data(POST[:-2])
    assert b"Connection" not in answer(subject)
    assert not subject.can_start_next
    assert subject.receive_data(b"lo" + GET) == [b"lo", END_OF_BODY]
    assert subject.start_next() == [HEAD_EVENT, END_OF_BODY]


@pytest.mark.parametrize("data", [POST[:-3], CHUNKED[:-2]])
def test_much_of_a_body_is_not(data: bytes) -> None:
    subject = connection(body_buffer_size=2)
    subject.receive_data(data)
    assert b"Connection: close\r\n" in answer(subject)
    assert not subject.keep_alive


def test_the_body_can_be_read_while_the_response_is_sent() -> None:
    subject = connection()
    subject.receive_data(CHUNKED[:-15])
    subject.send_response(200, Headers(), body_size=None)
    for event in subject.receive_data(CHUNKED[-15:]):
        if isinstance(event, bytes):
            subject.send_body(event)
    subject.end_body()
    assert subject.data_to_send().endswith(b"5\r\nhello\r\n0\r\n\r\n")


# -- upgrades


def test_what_is_behind_an_upgrade_belongs_to_the_other_protocol() -> None:
    frames = b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n"
    for pieces in ways(UPGRADE + frames, seed=3):
        subject = connection()
        (head,) = receive(subject, pieces)
        assert isinstance(head, RequestHead)
        assert head.upgrade
        assert subject.waiting_size == len(frames)
        subject.send_response(101, SWITCH, body_size=0)
        assert subject.data_to_send() == b"HTTP/1.1 101 Switching Protocols\r\n" + SWITCH.encode() + b"\r\n"
        assert subject.receive_data(b"more") == []
        assert subject.take_rest() == frames + b"more"
        assert subject.take_rest() == b""
        assert subject.receive_eof() == []


def test_one_switch_answers_one_request() -> None:
    subject = connection()
    subject.receive_data(UPGRADE)
    subject.send_switch(SWITCH, "")
    assert subject.data_to_send() == b"HTTP/1.1 101 Switching Protocols\r\n" + SWITCH.encode() + b"\r\n"
    with pytest.raises(LocalProtocolError, match="second"):
        subject.send_switch(SWITCH, "")
    assert subject.data_to_send() == b""


@pytest.mark.parametrize(("request_", "problem"), [(GET, "does not ask"), (UPGRADE_BODY, "with a body")])
def test_a_switch_that_was_not_asked_for_is_not_sent(request_: bytes, problem: str) -> None:
    subject = connection()
    subject.receive_data(request_)
    with pytest.raises(LocalProtocolError, match=problem):
        subject.send_switch(SWITCH, "")
    assert subject.data_to_send() == b""


def test_a_declined_upgrade_is_an_ordinary_request() -> None:
    for pieces in ways(UPGRADE + GET, seed=4):
        subject = connection()
        assert len(receive(subject, pieces)) == 1
        assert subject.decline_upgrade() == [END_OF_BODY]
        answer(subject)
        assert subject.start_next() == [HEAD_EVENT, END_OF_BODY]


def test_the_body_of_a_declined_upgrade_is_never_the_next_request() -> None:
    assert len(SMUGGLED) == 28
    body = SMUGGLED[:-1]
    for pieces in ways(UPGRADE_BODY + body + GET, seed=5):
        subject = connection()
        assert len(receive(subject, pieces)) == 1
        assert subject.decline_upgrade() == [body, END_OF_BODY]
        answer(subject)
        assert subject.start_next() == [HEAD_EVENT, END_OF_BODY]


def test_the_body_of_a_refused_upgrade_is_never_the_next_request() -> None:
    subject = connection()
    subject.receive_data(UPGRADE_BODY + SMUGGLED)
    assert b"Connection: close\r\n" in answer(subject)
    assert not subject.can_start_next
    with pytest.raises(LocalProtocolError):
        subject.start_next()


def test_a_refused_upgrade_without_a_body_keeps_the_connection() -> None:
    subject = connection()
    subject.receive_data(UPGRADE + GET)
    assert b"Connection" not in answer(subject)
    assert subject.start_next() == [HEAD_EVENT, END_OF_BODY]


def test_a_declined_upgrade_goes_on_with_its_body() -> None:
    subject = connection()
    subject.receive_data(UPGRADE_BODY)
    assert subject.decline_upgrade() == []
    assert subject.receive_data(b"x" * 27) == [b"x" * 27, END_OF_BODY]


def test_a_violation_in_the_body_of_a_declined_upgrade() -> None:
    data = UPGRADE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    subject = connection()
    assert len(subject.receive_data(data + b"garbage\r\n")) == 1
    assert violation(subject.decline_upgrade()) == 400


def test_the_end_of_the_connection_in_the_body_of_a_declined_upgrade() -> None:
    subject = connection()
    subject.receive_data(UPGRADE_BODY + b"x")
    assert subject.receive_eof() == []
    head, error = subject.decline_upgrade()
    assert head == b"x"
    assert isinstance(error, RemoteProtocolError)


def test_upgrades_need_their_request() -> None:
    subject = connection()
    acts: list[Callable[[], object]] = [
        subject.take_rest,
        subject.decline_upgrade,
        lambda: subject.send_response(101, SWITCH, body_size=0),
    ]
    for data in (b"", GET):
        subject.receive_data(data)
        for act in acts:
            with pytest.raises(LocalProtocolError):
                act()
    assert subject.data_to_send() == b""


@pytest.mark.parametrize(
    ("headers", "size"),
    [(Headers(), 0), (Headers({"Upgrade": "a"}), 0), (Headers({"Upgrade": "a", "Connection": "b"}), 0), (SWITCH, 1)],
)
def test_101_needs_its_headers_and_has_no_body(headers: Headers, size: int) -> None:
    subject = connection()
    subject.receive_data(UPGRADE)
    with pytest.raises(LocalProtocolError):
        subject.send_response(101, headers, body_size=size)
    subject.send_response(101, SWITCH, body_size=0)


def test_101_is_refused_while_a_body_is_to_come() -> None:
    subject = connection()
    subject.receive_data(UPGRADE_BODY)
    with pytest.raises(LocalProtocolError):
        subject.send_response(101, SWITCH, body_size=0)


def test_upgrade_with_close_does_not_lose_what_follows() -> None:
    subject = connection()
    subject.receive_data(UPGRADE.replace(b": Upgrade", b": Upgrade, close"))
    subject.receive_data(b"\x81\x80")
    subject.send_response(101, SWITCH, body_size=0)
    subject.receive_data(b"\0\0\0\0")
    assert subject.take_rest() == b"\x81\x80\0\0\0\0"


# -- responses


def test_the_answer_to_head_has_no_body() -> None:
    subject = connection()
    subject.receive_data(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer(subject, b"hello") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert subject.can_start_next


def test_head_only_is_the_callers_choice_too() -> None:
    subject = connection()
    subject.receive_data(GET)
    assert answer(subject, b"hello", head_only=True) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def test_one_response_to_one_request() -> None:
    subject = connection()
    subject.receive_data(GET)
    with pytest.raises(LocalProtocolError):
        subject.send_response(100, Headers(), body_size=0)
    answer(subject)
    with pytest.raises(LocalProtocolError):
        subject.send_response(200, Headers(), body_size=0)


def test_a_response_without_a_request_closes() -> None:
    subject = connection()
    subject.receive_data(GET[:9])
    subject.send_response(408, Headers(), body_size=0, date="x")
    assert subject.data_to_send() == (
        b"HTTP/1.1 408 Request Timeout\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert not subject.keep_alive


# -- all together


def h11_requests(data: bytes) -> list[tuple[str, str, bytes]] | None:
    """The requests as h11 understands them; ``None`` if it refuses any."""
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=10**6)
    peer.receive_data(data)
    requests: list[tuple[str, str, bytes]] = []
    try:
        while not isinstance(event := peer.next_event(), type):
            if isinstance(event, h11.Request):
                requests.append((event.method.decode(), event.target.decode(), b""))
            elif isinstance(event, h11.Data):
                requests[-1] = (*requests[-1][:2], requests[-1][2] + bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                peer.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                peer.send(h11.EndOfMessage())
                if peer.our_state is not h11.DONE:
                    break
                peer.start_next_cycle()
    except h11.RemoteProtocolError:
        return None
    return requests


def our_requests(pieces: list[bytes]) -> tuple[list[tuple[str, str, bytes]], int]:
    """The requests, and the status of the violation that ended them or 0."""
    subject = connection()
    events = receive(subject, pieces)
    requests: list[tuple[str, str, bytes]] = []
    while True:
        for event in events:
            if isinstance(event, RequestHead):
                requests.append((event.method, event.target, b""))
            elif isinstance(event, bytes):
                requests[-1] = (*requests[-1][:2], requests[-1][2] + event)
            elif isinstance(event, RemoteProtocolError):
                return requests, event.status
        if not subject.request_complete:
            return requests, 0
        answer(subject)
        if not subject.can_start_next:
            return requests, 0
        events = subject.start_next()


@pytest.mark.parametrize("seed", range(10))
def test_h11_understands_the_same_requests(seed: int) -> None:
    rng = random.Random(seed)
    data = b"".join(rng.choice([GET, POST, CHUNKED]) for _ in range(5))
    for pieces in ways(data, seed=seed):
        assert our_requests(pieces) == (h11_requests(data), 0)


PARTS = [GET, POST, CHUNKED, UPGRADE_BODY, GET[:-2], b"\r\n", b"\n", b"\r", b"\0", b"5", b"\r\n0\r\n\r\n", b"X: y\r\n",
         b"a", b"Content-Length: 3\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b" ", b":"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_no_request_means_something_else_to_h11(data: bytes) -> None:
    ours, _ = our_requests([data])
    theirs = h11_requests(data)
    # The last one may not be complete.
    assert theirs is None or all(a == b for a, b in zip(ours[:-1], theirs[:-1], strict=False))


@given(st.lists(st.sampled_from(PARTS), max_size=6).map(b"".join), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_cuts_do_not_matter(data: bytes, seed: int) -> None:
    results = [our_requests(pieces) for pieces in ways(data, seed)]
    assert all((requests, bool(status)) == (results[0][0], bool(results[0][1])) for requests, status in results)


@given(st.lists(st.binary(max_size=60) | st.sampled_from(PARTS), max_size=5), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing(parts: list[bytes], seed: int) -> None:
    for pieces in ways(b"".join(parts), seed):
        _, status = our_requests(pieces)
        assert status in (0, 400, 413, 414, 431, 501, 505)


@pytest.mark.parametrize(("version", "size", "chunked"), [("1.1", None, True), ("1.1", 3, False), ("1.0", None, False)])
def test_whether_the_body_of_a_response_goes_in_chunks(version: str, size: int | None, chunked: bool) -> None:
    subject = connection()
    subject.receive_data(GET.replace(b"1.1", version.encode()))
    subject.send_response(200, Headers(), body_size=size)
    assert subject.is_chunked is chunked
