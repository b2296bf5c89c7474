"""The stream that is the history, on a real server: what is certain to be complete, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from elio.channels.backend import Position
from elio.channels.engines.nats.connection import Message
from elio.channels.engines.nats.stream import Stream
from elio.channels.engines.nats.wire import Wire
from elio.errors import EngineLost
from support.servers import NatsServer


@pytest.fixture
async def stream(nats_server: NatsServer) -> AsyncIterator[Stream]:
    wire = Wire(
        nats_server.url,
        timeout=5.0,
        tls=None,
        on_up=lambda: None,
        on_down=lambda why: None,
        on_settled=lambda: None,
    )
    await wire.start()
    stream = Stream(wire, prefix="stream.test", history=3, ttl=600.0, replicas=1)
    await stream.create()
    yield stream
    await wire.call(f"STREAM.DELETE.{stream.name}")
    await wire.close()


async def test_the_stream_takes_new_settings(stream: Stream) -> None:
    assert stream.name == "STREAM_TEST"
    await stream.publish("a", b"1", None)
    await stream.create()
    state = await stream.state(">")
    assert (state.first, state.last, state.counts) == (1, 1, {"a": 1})


async def test_a_quiet_channel_is_complete_as_long_as_the_stream_reaches_back(stream: Stream) -> None:
    await stream.publish("a", b"1", None)
    for _ in range(3):
        await stream.publish("b", b"x", None)
    epoch = (await stream.state()).epoch
    read = await stream.history("a", Position(epoch, 1), 10)
    assert (read.is_complete, list(read.records)) == (True, [])
    # Of a channel without messages the newest position is that of the stream.
    assert (await stream.history("c", Position(epoch, 4), 10)).is_complete
    assert (await stream.history("c", None, 10)).position.offset == 4


async def test_what_may_have_been_dropped_is_not_complete(stream: Stream) -> None:
    for number in range(6):
        await stream.publish("a", b"%d" % number, None)
    epoch = (await stream.state()).epoch
    # Four are kept, one more than asked for: sequences 3 to 6.
    assert not (await stream.history("a", Position(epoch, 2), 10)).is_complete
    read = await stream.history("a", Position(epoch, 3), 10)
    assert (read.is_complete, [record.offset for record in read.records]) == (True, [4, 5, 6])
    assert not (await stream.history("a", None, 10)).is_complete
    assert not (await stream.history("a", Position(epoch, 99), 10)).is_complete


async def test_the_same_key_of_another_channel_is_another_message(stream: Stream) -> None:
    first = await stream.publish("a", b"1", "k")
    assert await stream.publish("a", b"2", "k") == first
    assert await stream.publish("b", b"3", "k") != first


async def test_another_life_begins_behind_what_the_stream_has(stream: Stream) -> None:
    await stream.publish("a", b"1", None)
    before = await stream.state()
    after = await stream.begin_life(before.epoch)
    assert (after.epoch != before.epoch, after.start, after.last) == (True, 1, 1)
    # Who is late finds that it was done.
    assert await stream.begin_life(before.epoch) == after
    await stream.create()
    assert await stream.state() == after
    await stream.publish("a", b"2", None)
    for position in (Position(before.epoch, 0), Position(after.epoch, 0), None):
        read = await stream.history("a", position, 10)
        assert [record.payload for record in read.records] == [b"2"]
        assert read.is_complete == (position is None or position.epoch == after.epoch)


async def test_a_message_is_found_by_its_sequence(stream: Stream) -> None:
    await stream.publish("a.b", b"1", None)
    assert await stream.at(1) == ("a.b", b"1")
    assert await stream.at(2) is None


async def test_a_server_that_does_not_answer_halfway_is_no_gap(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await stream.publish("a", b"%d" % number, None)
    epoch = (await stream.state()).epoch
    call = Wire.call

    async def lost(self: Wire, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        if "MSG.GET" in name:
            raise EngineLost("no answer")
        return await call(self, name, arguments)

    async def nothing(*_: object) -> list[Message]:
        return []

    with monkeypatch.context() as patched:
        patched.setattr(Wire, "call", lost)
        with pytest.raises(EngineLost, match="no answer"):
            await stream.history("a", Position(epoch, 3), 10)
    for after in (2, 3):
        with monkeypatch.context() as patched:
            patched.setattr(Wire, "read", nothing)
            with pytest.raises(EngineLost, match="did not send what it has"):
                await stream.history("a", Position(epoch, after), 10)
    await stream._wire.call(f"STREAM.PURGE.{stream.name}")
    assert not (await stream.history("a", Position(epoch, 3), 10)).is_complete
