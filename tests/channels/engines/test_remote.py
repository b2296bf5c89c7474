"""What backends share whose engine is elsewhere; real ones: ``redis``, ``nats`` and ``local``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from elio.channels.backend import History, Position, Record
from elio.channels.engines.remote import RemoteBackend
from elio.errors import ChannelError, EngineLost
from support.backends import Recorder


class Backend(RemoteBackend):
    """An engine with a row of what was asked of it."""

    def __init__(self, *, fails: str = "") -> None:
        super().__init__()
        self.fails = fails
        self.done: list[str] = []
        self.checks = 0

    async def does(self, what: str) -> None:
        self.done.append(what)
        if what == self.fails:
            raise EngineLost(what)

    async def _connect(self) -> None:
        await self.does("connect")

    async def _disconnect(self) -> None:
        await self.does("disconnect")

    async def _check(self) -> None:
        self.checks += 1
        await self._following.check()

    def _checked(self) -> None:
        if self.checks < 2:
            self.came_back()

    async def _subscribe(self, pattern: str) -> None:
        await self.does(f"subscribe {pattern}")

    async def _unsubscribe(self, pattern: str) -> None:
        await self.does(f"unsubscribe {pattern}")

    async def positions(self, channels: Sequence[str]) -> Mapping[str, Position]:
        return dict.fromkeys(channels, Position("e", 0))

    async def matching(self, pattern: str, *, only_new: bool = False) -> Mapping[str, Position]:
        return {pattern: Position("e", 0)}

    async def history(self, channel: str, after: Position | None, limit: int) -> History:
        return History((), True, Position("e", 0))

    def arrive(self, *records: Record) -> None:
        for record in records:
            self._following.arrived(record)
        self.settled()


async def test_its_life() -> None:
    backend, recorder = Backend(), Recorder()
    backend.came_back()
    backend.went("too early to tell anybody")
    with pytest.raises(ChannelError, match="has not been started"):
        await backend.listen("a")
    await backend.start(recorder)
    assert await backend.listen("a") == {"a": Position("e", 0)}
    await backend.listen("a")
    await backend.listen("b.*")
    backend.arrive(Record("a", "e", 1, b"1"), Record("b.x", "e", 1, b"2"), Record("c", "e", 1, b"3"))
    assert [record.payload for record in recorder.seen] == [b"1", b"2"]
    await backend.stop_listening("a")
    backend.arrive(Record("a", "e", 2, b"4"))
    assert len(recorder.seen) == 2
    backend.went("cut")
    backend.came_back()
    await recorder.until(lambda: recorder.healthy == [False, True])
    await backend.close()
    assert backend.done == ["connect", "subscribe a", "subscribe b.*", "unsubscribe a", "disconnect"]


async def test_a_start_that_fails_leaves_nothing() -> None:
    backend = Backend(fails="connect")
    with pytest.raises(EngineLost):
        await backend.start(Recorder())
    assert backend.done == ["connect", "disconnect"]


async def test_what_cannot_be_listened_to_is_not_listened_to() -> None:
    backend, recorder = Backend(fails="subscribe a"), Recorder()
    await backend.start(recorder)
    with pytest.raises(EngineLost):
        await backend.listen("a")
    backend.arrive(Record("a", "e", 1, b"1"))
    assert recorder.seen == []
    assert backend.done[-1] == "unsubscribe a"
    await backend.close()
