"""Channels on a real Redis: what every engine must do, and what this one does when its server fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from elio.channels.backend import GapReason
from elio.channels.engines.redis.backend import RedisBackend
from support.backends import BackendContract, Recorder, SharedContract
from support.faults import FaultContract
from support.servers import RedisServer


class TestRedis(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> RedisBackend:
        return RedisBackend(self.url, history=history, ttl=ttl)


class TestRedisFaults(FaultContract):
    @pytest.fixture(autouse=True)
    def served(self, own_redis: RedisServer) -> None:
        self.server = own_redis

    def make(self, **options: Any) -> RedisBackend:
        return RedisBackend(self.server.url, **options)

    async def forget(self) -> None:
        self.server.say("FLUSHALL")


async def test_a_deaf_link_is_noticed_and_made_up_for(own_redis: RedisServer) -> None:
    one, two, recorder = RedisBackend(own_redis.url), RedisBackend(own_redis.url), Recorder()
    await one.start(recorder)
    await two.start(Recorder())
    try:
        await one.listen("a")
        await one.listen("w.*")
        await two.publish("a", b"1")
        await recorder.receives("a", b"1")
        assert own_redis.say("CLIENT", "KILL", "TYPE", "pubsub").startswith(b":")
        await two.publish("a", b"2")
        await two.publish("w.new", b"3")
        await recorder.receives("a", b"1", b"2")
        await recorder.receives("w.new", b"3")
        assert recorder.gaps == []
    finally:
        await one.close()
        await two.close()


async def test_what_history_lost_meanwhile_is_a_gap_with_its_number(own_redis: RedisServer) -> None:
    listener, publisher, recorder = (
        RedisBackend(own_redis.url, history=10),
        RedisBackend(own_redis.url, history=10),
        Recorder(),
    )
    await listener.start(recorder)
    await publisher.start(Recorder())
    try:
        await listener.listen("a")
        await publisher.publish("a", b"0")
        await recorder.receives("a", b"0")
        (node,) = listener._link._nodes.values()
        await node.news_line.close()
        # Nobody may look at positions before all is published.
        await asyncio.gather(*(publisher.publish("a", b"%d" % number) for number in range(1, 31)))
        node.news_line.start()
        await recorder.until(lambda: b"30" in recorder.payloads("a"))
        missed = sum(missed or 0 for _, _, missed, _ in recorder.gaps)
        assert {reason for _, reason, *_ in recorder.gaps} <= {GapReason.HISTORY}
        assert missed + len(recorder.payloads("a")) == 31
    finally:
        await listener.close()
        await publisher.close()


async def test_a_server_that_may_have_lost_something_begins_a_new_epoch() -> None:
    with RedisServer(keeps=False) as server:
        backend, recorder = RedisBackend(server.url), Recorder()
        await backend.start(recorder)
        try:
            await backend.listen("a")
            await backend.publish("a", b"1")
            await recorder.receives("a", b"1")
            await asyncio.get_running_loop().run_in_executor(None, server.restart)
            await recorder.until(lambda: recorder.gaps)
            assert [(channel, reason) for channel, reason, *_ in recorder.gaps] == [("a", GapReason.EPOCH)]
            await backend.publish("a", b"2")
            await recorder.receives("a", b"1", b"2")
        finally:
            await backend.close()
