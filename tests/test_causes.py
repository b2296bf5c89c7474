"""Why connections end: the family, its words, and what the system says as one of it."""

from __future__ import annotations

import copy
import dataclasses
import errno
import pickle
import re

import pytest

from elio import causes
from elio.causes import (
    CAUSES,
    Cause,
    Closed,
    Drain,
    HandlerError,
    LoopBlocked,
    OverLimit,
    PeerClosed,
    PeerDisconnected,
    PeerGone,
    PeerReset,
    PingTimeout,
    ProtocolError,
    RequestTimeout,
    SlowConsumer,
    TransportFailed,
    cause_of_loss,
)
from elio.errors import LimitExceeded, MessageTooBig, RemoteProtocolError
from elio.limits import Limits
from support.house import ROOT

NOT_OF_LIMITS = {"", "read_ahead", "max_final_blocks"}


def test_the_family_is_closed_and_whole() -> None:
    exported = {name for name in causes.__all__ if name[0].isupper() and not name.isupper()}
    assert {kind.__name__ for kind in CAUSES} == exported - {"Cause"}
    assert {kind.__name__ for kind in Cause.__subclasses__()} == exported - {"Cause"}


def test_every_kind_has_a_word_of_its_own() -> None:
    words = [kind.word for kind in CAUSES]
    assert len(set(words)) == len(words)
    assert all(word and word == word.lower() and word.isidentifier() for word in words)


@pytest.mark.parametrize("kind", CAUSES, ids=lambda kind: kind.word)
def test_causes_are_values(kind: type[Cause]) -> None:
    cause = kind()
    assert cause == kind() == pickle.loads(pickle.dumps(cause)) == copy.copy(cause)
    assert hash(cause) == hash(kind())
    assert str(cause) == f"{kind.word}: {cause.text}"
    assert cause.text != kind.word
    assert not hasattr(cause, "__dict__")
    for field in dataclasses.fields(cause):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(cause, field.name, 1)


@pytest.mark.parametrize("kind", CAUSES, ids=lambda kind: kind.word)
def test_a_bound_that_was_hit_is_one_of_limits(kind: type[Cause]) -> None:
    assert kind().limit in {field.name for field in dataclasses.fields(Limits)} | NOT_OF_LIMITS


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (PeerClosed(1000, "bye"), "peer_closed: the peer closed with code 1000 ('bye')"),
        (PeerClosed(1000, "\x1b[2J"), "peer_closed: the peer closed with code 1000 ('\\x1b[2J')"),
        (PeerClosed(), "peer_closed: the peer closed with code 1005"),
        (
            PingTimeout(20.04, 0.0123, 0.25),
            "ping_timeout: no byte for 20.0 s after a ping (the last took 0.012 s; loop lag 0.2 s)",
        ),
        (
            PingTimeout(20.0),
            "ping_timeout: no byte for 20.0 s after a ping (no ping was answered before; loop lag 0.0 s)",
        ),
        (
            LoopBlocked(30.0, "app.py:12 in handler"),
            "loop_blocked: the peer left while this event loop was blocked for 30.0 s in app.py:12 in handler",
        ),
        (SlowConsumer(70_000, "send_timeout", 60.0), "slow_consumer: the peer took none of 70000 bytes within 60 s"),
        (
            SlowConsumer(70_000, "max_backlog", 65536),
            "slow_consumer: 70000 bytes waited for the peer, max_backlog is 65536",
        ),
        (OverLimit("max_headers", 101, 100), "over_limit: max_headers is 100, seen were 101"),
        (ProtocolError("reserved opcode 3", 1002), "protocol_error: the peer broke the protocol: reserved opcode 3"),
        (Closed(1000, "done"), "closed: this side closed with code 1000 (done)"),
        (Closed(), "closed: this side closed"),
        (Drain(), "drain: the server is going away"),
        (Drain(returning=True), "drain: the server is restarting"),
        (HandlerError("ValueError"), "handler_error: the handler raised ValueError"),
        (PeerGone("no route"), "peer_gone: the peer vanished without a word (no route)"),
        (
            RequestTimeout("headers_timeout", 10.0),
            "request_timeout: the head of the request was not complete after 10 seconds",
        ),
        (RequestTimeout("body_timeout", 30.0), "request_timeout: the body of the request paused for 30 s"),
        (
            RequestTimeout("min_body_rate", 240),
            "request_timeout: the body of the request came with fewer than 240 bytes a second",
        ),
    ],
)
def test_a_cause_speaks_to_a_person(cause: Cause, text: str) -> None:
    assert str(cause) == text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (None, PeerDisconnected()),
        (ConnectionResetError(errno.ECONNRESET, "reset"), PeerReset()),
        (BrokenPipeError(errno.EPIPE, "pipe"), PeerReset()),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), PeerGone("timed out")),
        (OSError(errno.EHOSTUNREACH, "no route"), PeerGone("no route")),
        (OSError(errno.EIO, "broken"), TransportFailed("[Errno 5] broken")),
        (ValueError(), TransportFailed("ValueError")),
    ],
)
def test_what_the_system_says(error: Exception | None, cause: Cause) -> None:
    assert cause_of_loss(error) == cause


def test_violations_say_what_they_come_to() -> None:
    assert RemoteProtocolError("bad", close_code=1002).cause == ProtocolError("bad", 1002)
    assert RemoteProtocolError("bad", status=400).cause == ProtocolError("bad", 400)
    assert MessageTooBig(size=11, limit=10).cause == OverLimit("max_message_size", 11, 10)
    error = LimitExceeded("x", bound="max_headers", size=3, limit=2, status=431)
    assert error.cause == OverLimit("max_headers", 3, 2)


def test_every_word_is_explained_in_the_documentation() -> None:
    page = (ROOT / "docs/explanations/why-was-my-connection-closed.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(explained) == sorted(kind.word for kind in CAUSES)
