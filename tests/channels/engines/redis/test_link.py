"""Many servers: sentinels with a master that changes, and a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from elio.channels.backend import GapReason
from elio.channels.engines.redis.backend import RedisBackend
from elio.channels.engines.redis.link import _glob
from support.backends import BackendContract, Node, Recorder, SharedContract, fresh
from support.servers import RedisServer


@pytest.mark.parametrize(("pattern", "glob"), [("a.*", "a.*"), ("a.>", "a.*"), (">", "*"), ("[a]?.*", r"\[a\]\?.*")])
def test_globs_let_through_at_least_what_a_pattern_stands_for(pattern: str, glob: str) -> None:
    assert _glob(pattern) == glob


# -- sentinels ---------------------------------------------------------------------------------------------------------


class Sentinel:
    """Says where the master is, as a sentinel would."""

    def __init__(self) -> None:
        self.master = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        port = str(self.master).encode()
        writer.write(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port))
        await writer.drain()
        writer.close()


async def test_after_a_failover_a_new_epoch_begins_on_the_new_master() -> None:
    with RedisServer() as old, RedisServer("--replicaof", "127.0.0.1", str(old.port)) as new:
        sentinel = Sentinel()
        sentinel.master = old.port
        async with await asyncio.start_server(sentinel.answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            backend, recorder = RedisBackend(f"redis+sentinel://127.0.0.1:{port}/main", on_outage="wait"), Recorder()
            await backend.start(recorder)
            try:
                await backend.listen("a")
                await backend.publish("a", b"1")
                await recorder.receives("a", b"1")
                new.say("REPLICAOF", "NO", "ONE")
                sentinel.master = new.port
                old.kill()
                await backend.publish("a", b"2")
                await recorder.until(lambda: recorder.gaps)
                assert {reason for _, reason, *_ in recorder.gaps} == {GapReason.EPOCH}
                await backend.publish("a", b"3")
                await recorder.until(lambda: b"3" in recorder.payloads("a"))
            finally:
                await backend.close()


# -- a cluster ---------------------------------------------------------------------------------------------------------


class Cluster:
    """Three masters that have the slots among them."""

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers
        bounds = [0, 5461, 10923, 16384]
        for number, server in enumerate(servers):
            server.say("CLUSTER", "ADDSLOTSRANGE", str(bounds[number]), str(bounds[number + 1] - 1))
            server.say("CONFIG", "SET", "cluster-require-full-coverage", "no")
            server.say("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for server in servers[1:]:
            server.say("CLUSTER", "MEET", "127.0.0.1", str(servers[0].port))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    async def is_formed(self) -> None:
        async with asyncio.timeout(30.0):
            for server in self.servers:
                while not self.is_complete(server):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    def is_complete(self, server: RedisServer) -> bool:
        info = self.info(server)
        return b"cluster_slots_assigned:16384" in info and b"state:ok" in info

    def info(self, server: RedisServer) -> bytes:
        return server.exchange(b"CLUSTER INFO\r\n", b"cluster_stats_messages_received")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(RedisServer("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"))
            for _ in range(3)
        ]
        yield Cluster(servers)


class TestCluster(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    async def formed(self, cluster: Cluster) -> None:
        await cluster.is_formed()
        self.url = cluster.url

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> RedisBackend:
        return RedisBackend(self.url, history=history, ttl=ttl)

    async def test_listen_says_where_channels_are(self, node: Node) -> None:
        """As everywhere, but that the epoch of a pattern is one of all buckets, and theirs differ."""
        base = fresh()
        positions = {f"{base}.{name}": (await node.publish(f"{base}.{name}", b"1", b"2"))[-1] for name in "ab"}
        found = dict(await node.backend.listen(f"{base}.*"))
        assert found.pop(f"{base}.*").epoch not in {position.epoch for position in positions.values()}
        assert found == positions

    async def test_a_new_channel_of_a_pattern_is_no_gap(self, node: Node) -> None:
        base = fresh()
        await node.backend.listen(f"{base}.*")
        for name in "abcdef":
            await node.publish(f"{base}.{name}", b"1", b"2")
        for name in "abcdef":
            await node.recorder.receives(f"{base}.{name}", b"1", b"2")
        assert node.recorder.gaps == []

    async def test_a_deaf_link_to_one_node_is_made_up_for(self, cluster: Cluster) -> None:
        async with self.connect() as one, self.connect() as two:
            names = [fresh() for _ in range(20)]
            for name in names:
                await one.backend.listen(name)
            cluster.servers[0].say("CLIENT", "KILL", "TYPE", "pubsub")
            for name in names:
                await two.publish(name, b"1", b"2")
            for name in names:
                await one.recorder.receives(name, b"1", b"2")
            assert one.recorder.gaps == []
