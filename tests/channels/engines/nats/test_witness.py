"""A server that has forgotten messages which it had acknowledged, and uses their sequences again."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from elio.channels.backend import GapReason, Position, Record
from elio.channels.engines.nats.backend import NatsBackend
from elio.channels.engines.nats.stream import Stream
from elio.channels.engines.nats.wire import Wire
from elio.channels.engines.nats.witness import Witness
from support.backends import Recorder
from support.servers import NatsServer, held_port


async def publish(server: NatsServer, *payloads: bytes) -> list[Position]:
    backend = NatsBackend(server.url)
    try:
        await backend.start(Recorder())
        return [await backend.publish("a", payload) for payload in payloads]
    finally:
        await backend.close()


async def test_what_was_forgotten_is_a_gap_though_its_sequences_are_used_again(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    server, recorder = own_nats, Recorder()
    await publish(server, b"1", b"2")
    server.kill()
    shutil.copytree(server.folder, tmp_path / "kept")
    server.start()
    backend = NatsBackend(server.url)
    await backend.start(recorder)
    try:
        await backend.listen("a")
        old = await publish(server, b"3", b"4")
        await recorder.receives("a", b"3", b"4")

        server.kill()
        shutil.rmtree(server.folder)
        shutil.copytree(tmp_path / "kept", server.folder)
        # Others publish before this process can look: on another port, where it does not come.
        port = server.port
        with held_port() as server.port:
            server.start()
            assert [at.offset for at in await publish(server, b"other 3", b"other 4", b"5")] == [3, 4, 5]
            server.kill()
        server.port = port
        server.start()

        await recorder.until(lambda: recorder.gaps)
        assert [(channel, reason) for channel, reason, *_ in recorder.gaps] == [("a", GapReason.EPOCH)]
        new = await publish(server, b"6")
        await recorder.receives("a", b"3", b"4", b"6")
        assert new[0].epoch != old[0].epoch
        read = await backend.history("a", old[1], 10)
        assert (read.is_complete, [record.payload for record in read.records]) == (False, [b"6"])
    finally:
        await backend.close()


async def test_a_restart_that_forgets_nothing_is_no_gap(own_nats: NatsServer) -> None:
    server, recorder = own_nats, Recorder()
    backend = NatsBackend(server.url, on_outage="wait")
    await backend.start(recorder)
    try:
        await backend.listen("a")
        await backend.publish("a", b"1")
        server.restart()
        await backend.publish("a", b"2")
        await recorder.receives("a", b"1", b"2")
        assert recorder.gaps == []
    finally:
        await backend.close()


async def test_what_another_has_published_with_the_same_key_is_no_witness(own_nats: NatsServer) -> None:
    one, two = NatsBackend(own_nats.url), NatsBackend(own_nats.url, on_outage="wait")
    try:
        await one.start(Recorder())
        await two.start(Recorder())
        before = await one.publish("a", b"from one", idempotency_key="begun")
        assert await two.publish("a", b"from two", idempotency_key="begun") == before
        await one.close()
        own_nats.restart()
        assert (await two.publish("a", b"next")).epoch == before.epoch
        assert [record.payload for record in (await two.history("a", None, 10)).records] == [b"from one", b"next"]
        assert (await two.publish("a", b"last")).epoch == before.epoch
    finally:
        await one.close()
        await two.close()


@pytest.fixture
async def stream(nats_server: NatsServer) -> AsyncIterator[Stream]:
    wire = Wire(
        nats_server.url, timeout=5.0, tls=None, on_up=lambda: None, on_down=lambda why: None, on_settled=lambda: None
    )
    await wire.start()
    stream = Stream(wire, prefix="witness.test", history=2, ttl=600.0, replicas=1)
    await stream.create()
    yield stream
    await wire.call(f"STREAM.DELETE.{stream.name}")
    await wire.close()


async def test_a_stream_is_believed_that_has_what_was_seen(stream: Stream) -> None:
    witness = Witness(stream, lambda: 0.0)
    assert await witness.agrees(await stream.state(), is_restarted=True)
    await stream.publish("a", b"1", None)
    await stream.publish("a", b"2", None)
    state = await stream.state()
    witness.saw(Record("a", state.epoch, 2, b"2"))
    witness.saw(Record("a", state.epoch, 1, b"1"))
    assert await witness.agrees(state, is_restarted=True)
    assert not await witness.agrees(replace(state, last=1), is_restarted=False)


@pytest.mark.parametrize(("channel", "payload"), [("a", b"other"), ("b", b"1")])
async def test_another_record_in_its_place_is_a_lie(stream: Stream, channel: str, payload: bytes) -> None:
    witness = Witness(stream, lambda: 0.0)
    await stream.publish("a", b"1", None)
    state = await stream.state()
    witness.saw(Record(channel, state.epoch, 1, payload))
    assert not await witness.agrees(state, is_restarted=False)
    witness.forget()
    assert await witness.agrees(state, is_restarted=True)


async def test_what_was_dropped_for_newer_ones_proves_nothing(stream: Stream) -> None:
    now = 0.0
    witness = Witness(stream, lambda: now)
    for number in range(5):
        await stream.publish("a", b"%d" % number, None)
    state = await stream.state()
    witness.saw(Record("a", state.epoch, 1, b"0"))
    assert await witness.agrees(state, is_restarted=False)
    assert not await witness.agrees(state, is_restarted=True)
    now = 1000.0
    assert await witness.agrees(state, is_restarted=True)
