"""The engine in this process."""

from __future__ import annotations

import pytest

from elio.channels.backend import Position
from elio.channels.engines.memory import MemoryBackend
from elio.errors import ConfigurationError
from support.backends import BackendContract, Recorder
from support.clock import VirtualLoop


class TestMemory(BackendContract):
    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> MemoryBackend:
        return MemoryBackend(history=history, ttl=ttl)


async def test_delivery_is_direct() -> None:
    backend, recorder = MemoryBackend(), Recorder()
    await backend.start(recorder)
    await backend.listen("a")
    await backend.publish("a", b"1")
    assert recorder.payloads("a") == [b"1"]
    await backend.close()


async def test_each_start_has_its_own_epoch() -> None:
    assert (await MemoryBackend().listen("a"))["a"].epoch != (await MemoryBackend().listen("a"))["a"].epoch


async def test_history_has_bounds_in_bytes() -> None:
    backend = MemoryBackend(max_channel_size=100, max_size=150)
    await backend.start(Recorder())
    for channel in "ab":
        for _ in range(20):
            position = await backend.publish(channel, b"x" * 10)
        assert len((await backend.history(channel, None, 100)).records) == 10
        assert position.offset == 20
    assert len((await backend.history("a", None, 100)).records) == 5
    await backend.publish("c", b"x" * 1000)
    read = await backend.history("c", None, 100)
    assert (list(read.records), read.is_complete, read.position.offset) == ([], False, 1)
    await backend.close()


async def test_an_idempotency_key_is_known_as_long_as_its_record() -> None:
    backend = MemoryBackend(history=2)
    await backend.start(Recorder())
    first = await backend.publish("a", b"1", idempotency_key="k")
    await backend.publish("a", b"2")
    assert await backend.publish("a", b"1", idempotency_key="k") == first
    await backend.publish("a", b"3")
    assert (await backend.publish("a", b"1", idempotency_key="k")).offset == 4
    await backend.close()


def test_records_are_forgotten_in_time_and_offsets_later() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        backend = MemoryBackend(ttl=60.0, max_remembered=1)
        await backend.start(Recorder())
        last = [await backend.publish("old", b"x") for _ in range(5)][-1]
        await backend.publish("b", b"x")
        await sleep(loop, 61.0)
        read = await backend.history("old", None, 10)
        assert (list(read.records), read.is_complete) == ([], False)
        # One offset is remembered; the other channel goes on behind the floor that is left of it.
        assert (await backend.listen("old"))["old"] == last
        assert (await backend.history("old", last, 10)).is_complete
        assert (await backend.publish("old", b"y")).offset == 6
        await sleep(loop, 30.0)
        await backend.publish("old", b"z")
        await sleep(loop, 31.0)
        read = await backend.history("old", last, 10)
        assert ([record.payload for record in read.records], read.is_complete) == ([b"z"], False)
        assert set(await backend.listen("*")) == {"*", "old", "b"}
        await backend.close()

    run(scenario)


async def sleep(loop: VirtualLoop, seconds: float) -> None:
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, None)
    await done


def run(scenario: object) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(scenario(loop))  # type: ignore[operator]
    finally:
        loop.close()


@pytest.mark.parametrize("options", [{"history": 0}, {"ttl": 0.0}, {"ttl": float("inf")}, {"ttl": float("nan")}])
def test_history_without_bounds_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        MemoryBackend(**options)  # type: ignore[arg-type]


async def test_a_channel_that_was_never_published_to_is_at_the_floor() -> None:
    backend = MemoryBackend()
    position = (await backend.listen("a"))["a"]
    assert position == Position(position.epoch, 0)
