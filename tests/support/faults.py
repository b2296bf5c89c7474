"""What every engine in a process of its own must do when that fails, as one suite beside the contract of backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from elio.channels.backend import Backend, GapReason
from elio.errors import ChannelError, PublishError
from support.backends import Node, Recorder
from support.servers import Served


class FaultContract:
    """One server for each test, which it may harm.

    Attributes:
        server: the server; a fixture of the subclass sets it.
    """

    server: Served

    def make(self, **options: Any) -> Backend:
        """A backend of the server, not started."""
        raise NotImplementedError

    async def forget(self) -> None:
        """Let the server forget everything while its connections live on."""
        raise NotImplementedError

    @asynccontextmanager
    async def connect(self, **options: Any) -> AsyncIterator[Node]:
        backend, recorder = self.make(**options), Recorder()
        try:
            await backend.start(recorder)
            yield Node(backend, recorder)
        finally:
            await backend.close()

    async def in_thread(self, what: Any) -> None:
        """Do something that blocks while the loop goes on."""
        await asyncio.get_running_loop().run_in_executor(None, what)

    async def test_a_restart_loses_nothing_where_the_server_keeps(self) -> None:
        async with self.connect() as one, self.connect(on_outage="wait") as two:
            await one.backend.listen("a.b")
            await one.backend.listen("w.*")
            await two.publish("a.b", b"1")
            await two.publish("w.1", b"1")
            await one.recorder.receives("a.b", b"1")
            await one.recorder.receives("w.1", b"1")
            await self.in_thread(self.server.restart)
            await two.publish("a.b", b"2", b"3")
            await two.publish("w.1", b"2")
            await two.publish("w.2", b"1", b"2")
            await one.recorder.receives("a.b", b"1", b"2", b"3")
            await one.recorder.receives("w.1", b"1", b"2")
            await one.recorder.receives("w.2", b"1", b"2")
            await one.recorder.until(lambda: one.recorder.healthy and one.recorder.healthy[-1])
            assert False in one.recorder.healthy
            assert one.recorder.gaps == []

    async def test_who_waits_publishes_once_over_restarts(self) -> None:
        payloads = [b"%d" % number for number in range(600)]
        async with self.connect() as one, self.connect(on_outage="wait") as two:
            await one.backend.listen("a")
            room = asyncio.Semaphore(20)

            async def publish(payload: bytes) -> None:
                async with room:
                    await two.backend.publish("a", payload)

            tasks = [asyncio.create_task(publish(payload)) for payload in payloads]
            for share in (100, 300):
                await one.recorder.until(lambda share=share: len(one.recorder.seen) >= share)
                await self.in_thread(self.server.restart)
            await asyncio.gather(*tasks)
            await one.recorder.until(lambda: len(one.recorder.seen) >= 600)
            assert sorted(one.recorder.payloads("a")) == sorted(payloads)
            assert one.recorder.gaps == []

    async def test_while_it_is_away_publishing_fails_at_once_or_waits(self) -> None:
        async with self.connect() as raises, self.connect(on_outage="wait") as waits:
            await self.in_thread(self.server.kill)
            await raises.recorder.until(lambda: False in raises.recorder.healthy)
            with pytest.raises(PublishError) as caught:
                await raises.backend.publish("a", b"1")
            assert caught.value.channel == "a"
            waiting = asyncio.create_task(waits.backend.publish("a", b"2"))
            await self.in_thread(self.server.start)
            await waiting
            read = await waits.backend.history("a", None, 10)
            assert [record.payload for record in read.records] == [b"2"]

    async def test_a_server_that_stands_still_is_noticed_and_recovered_from(self) -> None:
        async with self.connect(timeout=1.0) as one, self.connect(on_outage="wait", timeout=1.0) as two:
            await one.backend.listen("a")
            self.server.pause()
            try:
                waiting = asyncio.create_task(two.backend.publish("a", b"1"))
                with pytest.raises(PublishError) as caught:
                    await one.backend.publish("a", b"0")
                assert caught.value.is_unknown
                await one.recorder.until(lambda: False in one.recorder.healthy)
            finally:
                self.server.resume()
            await waiting
            await one.recorder.until(lambda: b"1" in one.recorder.payloads("a"))
            await one.recorder.until(lambda: one.recorder.healthy[-1])
            assert one.recorder.payloads("a").count(b"1") == 1
            assert one.recorder.gaps == []

    async def test_a_server_that_forgets_everything_is_a_gap(self) -> None:
        async with self.connect() as one, self.connect() as two:
            await one.backend.listen("a")
            await one.backend.listen("w.*")
            await two.publish("a", b"1", b"2")
            await one.recorder.receives("a", b"1", b"2")
            await self.forget()
            await one.recorder.until(lambda: {"a", "w.*"} <= {channel for channel, *_ in one.recorder.gaps})
            assert {reason for _, reason, *_ in one.recorder.gaps} == {GapReason.EPOCH}
            await two.recorder.until(lambda: True)
            await two.publish("a", b"3")
            await two.publish("w.x", b"4")
            await one.recorder.receives("a", b"1", b"2", b"3")
            await one.recorder.receives("w.x", b"4")

    async def test_without_a_server_starting_fails_in_time(self) -> None:
        await self.in_thread(self.server.kill)
        backend = self.make(timeout=0.5)
        with pytest.raises(ChannelError, match="no connection to"):
            await backend.start(Recorder())
        await backend.close()
