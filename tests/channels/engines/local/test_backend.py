"""Channels through the hub of this machine: what every engine must do, and what becomes of a hub that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from elio.channels.backend import GapReason
from elio.channels.engines.local.backend import LocalBackend
from elio.channels.engines.local.hub import LocalHub
from elio.errors import ConfigurationError, EngineLost, PublishError
from support.backends import BackendContract, Recorder, SharedContract, fresh


class TestLocal(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    async def hubs(self, tmp_path: Path) -> AsyncIterator[None]:
        self.folder = tmp_path
        self.hubs: dict[tuple[int, float], LocalHub] = {}
        yield
        for hub in self.hubs.values():
            await hub.close()

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> LocalBackend:
        hub = self.hubs.get((history, ttl))
        if hub is None:
            hub = self.hubs[history, ttl] = LocalHub(self.folder / f"{history}-{ttl}", history=history, ttl=ttl)
            await hub.start()
        return LocalBackend(hub.url)


async def test_another_hub_is_a_gap_and_not_silence(tmp_path: Path) -> None:
    recorder = Recorder()
    hub = LocalHub(tmp_path / "hub")
    await hub.start()
    backend = LocalBackend(hub.url)
    await backend.start(recorder)
    try:
        await backend.listen("a")
        await backend.listen("b.*")
        await backend.publish("a", b"1")
        await recorder.receives("a", b"1")
        await hub.close()
        await recorder.until(lambda: recorder.healthy == [False])
        with pytest.raises(PublishError) as raised:
            await backend.publish("a", b"lost")
        assert raised.value.channel == "a"
        async with LocalHub(tmp_path / "hub"):
            await recorder.until(lambda: len(recorder.gaps) >= 2)
            assert {(channel, reason) for channel, reason, _, _ in recorder.gaps} == {
                ("a", GapReason.EPOCH),
                ("b.*", GapReason.EPOCH),
            }
            await recorder.until(lambda: recorder.healthy == [False, True])
            await backend.publish("a", b"2")
            await backend.publish("b.new", b"3")
            await recorder.receives("a", b"1", b"2")
            await recorder.receives("b.new", b"3")
    finally:
        await backend.close()


async def test_who_waits_publishes_once_over_a_restart(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path / "hub")
    await hub.start()
    backend = LocalBackend(hub.url, on_outage="wait")
    await backend.start(Recorder())
    try:
        await hub.close()
        waiting = asyncio.create_task(backend.publish("a", b"1"))
        async with LocalHub(tmp_path / "hub"):
            assert (await waiting).offset == 1
    finally:
        await backend.close()


async def test_what_was_missed_while_the_connection_was_cut_comes_from_history(tmp_path: Path) -> None:
    async with LocalHub(tmp_path / "hub") as hub:
        one, other, recorder = LocalBackend(hub.url), LocalBackend(hub.url), Recorder()
        await one.start(recorder)
        await other.start(Recorder())
        try:
            channel = fresh()
            await one.listen(channel)
            await other.publish(channel, b"1")
            await recorder.receives(channel, b"1")
            for peer in list(hub._peers):
                peer.abort("cut")
            await recorder.until(lambda: False in recorder.healthy)
            await other._line.ready(10.0)
            await other.publish(channel, b"2")
            await recorder.receives(channel, b"1", b"2")
            assert recorder.gaps == []
        finally:
            await one.close()
            await other.close()


async def test_without_a_hub_starting_fails_in_time(tmp_path: Path) -> None:
    backend = LocalBackend(f"local:{tmp_path}/none", timeout=0.3)
    with pytest.raises(EngineLost, match="no connection to the hub"):
        await backend.start(Recorder())
    with pytest.raises(ConfigurationError):
        LocalBackend("local:")
