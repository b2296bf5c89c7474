"""The exceptions: their tree, what they carry, what they say."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from elio import errors
from elio.errors import (
    ChannelError,
    ClientDisconnected,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ElioError,
    EngineError,
    EngineLost,
    EventTooBig,
    HandshakeError,
    HTTPError,
    InvalidChannel,
    InvalidHeader,
    InvalidURL,
    LimitExceeded,
    LocalProtocolError,
    MessageTooBig,
    ModelError,
    PublishError,
    RemoteProtocolError,
    SlowSubscriber,
    StreamClosed,
    StreamStalled,
    StreamTruncated,
    SubscriptionClosed,
    Unauthorized,
    connection_closed,
)

EXAMPLES = [
    ElioError("text"),
    LocalProtocolError("text"),
    InvalidHeader("text", name="X-A", value="1\n"),
    RemoteProtocolError("text", close_code=1002, status=400, headers=[("A", "1")]),
    MessageTooBig(size=11, limit=10),
    LimitExceeded("text", bound="max_headers", size=11, limit=10, close_code=1008, status=431),
    EventTooBig(size=11, limit=10, what="line"),
    ConnectError("text", timed_out=True, is_certificate=True),
    HandshakeError("text", status=403, headers=[("A", "1")], body=b"no"),
    ConnectionClosed(1000),
    ConnectionClosedOK(1001, "bye", by_peer=True),
    ConnectionClosedError(1006, detail="no close frame"),
    StreamClosed("text"),
    StreamTruncated("text", events=3, last_event_id="7"),
    StreamStalled(what="byte", seconds=1.5, events=3, last_event_id="7"),
    ChannelError("text"),
    InvalidChannel("text", name="a b"),
    PublishError("text", channel="a", is_unknown=True),
    SlowSubscriber(size=11, limit=10),
    EngineError("text", code=7),
    EngineLost("text", is_unknown=True),
    SubscriptionClosed("text"),
    ModelError("text", kind="overloaded_error"),
    ClientDisconnected(5),
    ConcurrencyError("text"),
    HTTPError(404, "no such thing", headers=[("A", "1")]),
    Unauthorized("who are you?", challenge='Basic realm="site"'),
    InvalidURL("text", url="ws:"),
    ConfigurationError("text"),
]


def tree_in_the_docstring() -> dict[str, str]:
    """Each exception with its parent, as drawn."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        if match := re.match(r"    ([\u2502\u251c\u2514\u2500 ]*)([A-Z]\w+)", line):
            depth = len(match[1]) // 4
            del above[depth:]
            parents[match[2]] = above[-1] if above else "Exception"
            above.append(match[2])
    return parents


def test_the_tree_is_the_one_in_the_docstring() -> None:
    drawn = tree_in_the_docstring()
    assert set(drawn) == set(errors.__all__)
    assert drawn == {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__}


def test_every_exception_has_an_example_here() -> None:
    assert {type(example).__name__ for example in EXAMPLES} == set(errors.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_exceptions_survive_pickling_and_copying(error: ElioError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)
        assert other.args == error.args


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_exceptions_say_one_line(error: ElioError) -> None:
    assert isinstance(error, ElioError)
    assert str(error)
    assert "\n" not in str(error)


def test_a_remote_error_carries_what_to_answer() -> None:
    error = RemoteProtocolError("wrong", close_code=1002, status=426, headers=[("Upgrade", "websocket")])
    assert (str(error), error.close_code, error.status) == ("wrong", 1002, 426)
    assert error.headers == (("Upgrade", "websocket"),)
    bare = RemoteProtocolError("wrong")
    assert (bare.close_code, bare.status, bare.headers) == (0, 0, ())


def test_a_message_too_big_is_answered_with_1009_and_says_the_numbers() -> None:
    error = MessageTooBig(size=2_000_000, limit=1_048_576)
    assert str(error) == "message of 2000000 bytes, limit 1048576"
    assert (error.size, error.limit, error.close_code, error.status) == (2_000_000, 1_048_576, 1009, 0)
    assert str(MessageTooBig(size=2, limit=1, what="inflated message")) == "inflated message of 2 bytes, limit 1"


def test_an_event_too_big_says_the_numbers_and_has_no_code() -> None:
    error = EventTooBig(size=2, limit=1)
    assert (str(error), error.size, error.limit) == ("event of 2 bytes, limit 1", 2, 1)
    assert (error.close_code, error.status) == (0, 0)


def test_a_limit_carries_its_numbers() -> None:
    error = LimitExceeded("5 headers, limit 4", bound="max_headers", size=5, limit=4, status=431)
    assert (error.size, error.limit, error.status, error.close_code) == (5, 4, 431, 0)


def test_a_header_that_would_break_the_wire_is_named() -> None:
    error = InvalidHeader("bad", name="X-A", value="\r\n")
    assert (error.name, error.value) == ("X-A", "\r\n")
    assert isinstance(error, LocalProtocolError)


def test_a_handshake_error_carries_the_answer() -> None:
    error = HandshakeError("status 403", status=403, headers=[("A", "1")], body=b"no")
    assert (error.status, error.headers, error.body) == (403, (("A", "1"),), b"no")
    bare = HandshakeError("no answer")
    assert (bare.status, bare.headers, bare.body) == (0, (), b"")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionClosed(1000), "connection closed by this side with code 1000"),
        (ConnectionClosed(1000, by_peer=True), "connection closed by the peer with code 1000"),
        (
            ConnectionClosed(1001, "going away", by_peer=True),
            "connection closed by the peer with code 1001 (going away)",
        ),
        (ConnectionClosed(1006, detail="reset"), "connection closed by this side with code 1006: reset"),
        (ConnectionClosed(1011, "oops", detail="x"), "connection closed by this side with code 1011 (oops): x"),
    ],
)
def test_a_closed_connection_says_by_whom_and_with_what(error: ConnectionClosed, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1002, 1006, 1009, 1011, 3000, 4000, 4999])
def test_the_close_code_tells_whether_it_ended_as_agreed(code: int) -> None:
    error = connection_closed(code, "reason", by_peer=True, detail="detail")
    expected = ConnectionClosedOK if code in (1000, 1001, 1005) else ConnectionClosedError
    assert type(error) is expected
    assert (error.code, error.reason, error.by_peer) == (code, "reason", True)
    assert str(error) == f"connection closed by the peer with code {code} (reason): detail"


def test_a_client_that_left_is_counted() -> None:
    assert ClientDisconnected(7).received == 7
    assert str(ClientDisconnected()) == "client disconnected after 0 bytes of the request body"


def test_an_http_error_is_a_status_and_a_text() -> None:
    error = HTTPError(404, "no such room", headers=[("Retry-After", "1")])
    assert (error.status, error.detail, error.headers) == (404, "no such room", (("Retry-After", "1"),))
    assert str(error) == "404 no such room"
    assert (str(HTTPError(404)), HTTPError(404).detail, HTTPError(404).headers) == ("404", "", ())


def test_an_invalid_url_is_a_value_error_too() -> None:
    error = InvalidURL("no host", url="ws://")
    assert isinstance(error, ValueError)
    assert error.url == "ws://"
    assert InvalidURL("no host").url == ""
