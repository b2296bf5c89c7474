"""Connections that get the same bytes."""

from __future__ import annotations

import asyncio

import pytest

from elio.channels.backend import Position
from elio.channels.delivery.feed import Feed
from elio.channels.delivery.trail import Entry
from elio.channels.envelope import Envelope
from elio.channels.members.audience import Audience, audience_of, encoded
from elio.channels.members.formats import as_data, as_json
from elio.channels.message import Gap, Message
from support.sessions import Session


def started() -> Feed:
    feed = Feed(("a",))
    feed.start({"a": Position("e", 0)})
    return feed


def entry(offset: int) -> Entry:
    return Entry("a", Position("e", offset), Envelope(str(offset)))


async def test_what_is_encoded_alike_is_encoded_once() -> None:
    feed, calls = started(), []

    def encode(item: Message | Gap) -> str:
        calls.append(item)
        return "x"

    sessions = [Session() for _ in range(3)]
    for session in sessions:
        audience_of(feed, encode).add(session.ws, lambda: None)
    feed.receive(entry(1))
    assert len(calls) == 1
    assert [bytes(session.stream.written) for session in sessions] == [b"\x81\x01x"] * 3
    assert audience_of(feed, as_json) is not audience_of(feed, encode)
    assert (audience_of(feed, encode).waiting, audience_of(feed, encode).size) == (0, 0)
    for session in sessions:
        audience_of(feed, encode).remove(session.ws)
    feed.receive(entry(2))
    assert len(calls) == 1
    assert encode not in feed.groups
    for session in sessions:
        await session.lose()
        session.close()


async def test_leaving_while_something_is_sent() -> None:
    feed, one, two = started(), Session(), Session()
    audience = audience_of(feed, as_data)
    for session in (one, two):
        audience.add(session.ws, lambda: None)
    write = one.stream.write

    def leave(data: bytes) -> None:
        write(data)
        audience.remove(one.ws)

    one.stream.write = leave  # type: ignore[method-assign]
    feed.receive(entry(1))
    assert len(audience) == 1
    assert bytes(two.stream.written) == b"\x81\x011"
    ended: list[int] = []
    audience.add(two.ws, lambda: ended.append(1))
    feed.end()
    assert ended == [1]
    for session in (one, two):
        await session.lose()
        session.close()


async def test_who_joins_and_leaves_between_messages_has_those_in_between() -> None:
    feed, one, two = started(), Session(), Session()
    audience = audience_of(feed, as_data)
    audience.add(one.ws, lambda: None)
    feed.receive(entry(1))
    audience.add(two.ws, lambda: None)
    feed.receive(entry(2))
    audience.remove(one.ws)
    feed.receive(entry(3))
    await asyncio.sleep(0)  # the turn ends, and what was held back for that goes out
    assert bytes(one.stream.written) == b"\x81\x011\x81\x012"
    assert bytes(two.stream.written) == b"\x81\x012\x81\x013"
    for session in (one, two):
        await session.lose()
        session.close()


@pytest.mark.parametrize("what", [1, "\ud800"])
async def test_what_cannot_be_sent_is_logged(what: object, caplog: pytest.LogCaptureFixture) -> None:
    session = Session()
    audience = Audience(started(), lambda item: what)
    audience.add(session.ws, lambda: None)
    audience.deliver(Message("a", "x"))
    assert "cannot be sent" in caplog.text
    assert encoded(lambda item: 1 / 0, Message("a", "x")) is None
    assert "has failed" in caplog.text
    await session.lose()
    session.close()
