"""What runs inside Redis, seen from outside: keys and their times to live, and channels that are forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from elio.channels.engines.redis import scripts
from elio.channels.engines.redis.node import open_connection
from elio.channels.engines.redis.resp import RespConnection
from elio.channels.engines.redis.scripts import Script
from elio.channels.engines.redis.url import RedisURL
from support.servers import RedisServer

KEEP = 1000


class Bucket:
    """A bucket of a real server."""

    def __init__(self, connection: RespConnection) -> None:
        self.connection = connection
        self.life = "one"

    async def run(self, script: Script, *arguments: Any) -> Any:
        common = (self.life, "epoch", 3, 60, KEEP, "PUBLISH", "0")
        return await self.connection.execute("EVAL", script.text, 1, "t:{0}:e", *common, *arguments)

    async def publish(self, payload: str, *, nonce: str = "", again: str = "0", key: str = "") -> bytes:
        places = await self.run(scripts.PUBLISH, 60, "c", payload, nonce, again, key)
        assert len(places) == 1
        return bytes(places[0])

    async def ask(self, *command: Any) -> Any:
        return await self.connection.execute(*command)


@pytest.fixture
async def bucket(redis_server: RedisServer) -> AsyncIterator[Bucket]:
    url = RedisURL.parse(redis_server.url + "/9")
    connection = await open_connection(url, url.addresses[0], None, lambda why: None)
    await connection.execute("FLUSHDB")
    yield Bucket(connection)
    connection.abort("done")


def offset(place: bytes) -> int:
    return int(place.partition(b":")[2])


async def test_every_key_of_a_channel_ends_or_is_forgotten(bucket: Bucket) -> None:
    await bucket.publish("x", key="k")
    assert 0 < await bucket.ask("TTL", "t:{0}:h:c") <= 60
    assert 0 < await bucket.ask("TTL", "t:{0}:k:c:k") <= 60
    assert await bucket.ask("ZSCORE", "t:{0}:i", "c") == b"1"
    assert await bucket.ask("ZSCORE", "t:{0}:d", "c") is not None


async def test_who_tries_again_publishes_once(bucket: Bucket) -> None:
    first = await bucket.publish("x", nonce="n1")
    second = await bucket.publish("y", nonce="n2")
    assert await bucket.publish("x", nonce="n1", again="1") == first
    assert await bucket.publish("y", nonce="n2", again="1") == second
    assert offset(await bucket.publish("z", nonce="n3", again="1")) == 3


async def test_many_messages_in_one_script(bucket: Bucket) -> None:
    await bucket.publish("a", nonce="n1")
    messages = [
        ("c", "b", "n2", "0", ""),
        ("d", "x", "n3", "0", "k"),
        ("c", "a", "n1", "1", ""),
        ("d", "y", "n4", "0", "k"),
    ]
    places = await bucket.run(scripts.PUBLISH, 60, *(word for message in messages for word in message))
    assert [offset(place) for place in places] == [2, 1, 1, 1]
    assert (await bucket.run(scripts.HISTORY, "c", "", "", 10))[3] == [b"1", b"a", b"2", b"b"]
    assert 0 < await bucket.ask("TTL", "t:{0}:h:c") <= 60
    assert 0 < await bucket.ask("TTL", "t:{0}:h:d") <= 60


async def test_another_life_is_another_epoch_and_offsets_go_on(bucket: Bucket) -> None:
    first = await bucket.publish("x")
    bucket.life = "two"
    second = await bucket.publish("y")
    assert first.partition(b":")[0] != second.partition(b":")[0]
    assert offset(second) == 2


async def test_channels_that_nobody_used_for_long_are_forgotten(bucket: Bucket) -> None:
    for _ in range(5):
        await bucket.publish("x")
    await bucket.ask("ZADD", "t:{0}:d", 1, "c")
    await bucket.run(scripts.SWEEP)
    assert await bucket.ask("EXISTS", "t:{0}:o:c") == 1, "its history is still there"
    await bucket.ask("ZADD", "t:{0}:d", 1, "c")
    await bucket.ask("DEL", "t:{0}:h:c")
    await bucket.run(scripts.SWEEP)
    assert await bucket.ask("EXISTS", "t:{0}:o:c", "t:{0}:i", "t:{0}:d") == 0
    # Offsets go on behind those of the forgotten, so that an old cursor is seen to be old.
    assert offset(await bucket.publish("again")) == 6
    epoch, newest, is_complete, found = await bucket.run(scripts.HISTORY, "c", "none", 0, 10)
    assert (newest, is_complete, found) == (b"6", 0, [b"6", b"again"])
    _, _, is_complete, _ = await bucket.run(scripts.HISTORY, "c", epoch, 4, 10)
    assert is_complete == 0
    _, _, is_complete, _ = await bucket.run(scripts.HISTORY, "c", epoch, 5, 10)
    assert is_complete == 1


async def test_a_stream_of_an_earlier_channel_does_not_stand_in_the_way(bucket: Bucket) -> None:
    for _ in range(5):
        await bucket.publish("old")
    await bucket.ask("DEL", "t:{0}:o:c")
    assert offset(await bucket.publish("new")) == 1
    assert (await bucket.run(scripts.HISTORY, "c", "", "", 10))[3] == [b"1", b"new"]


async def test_births_are_read_on_from_the_last(bucket: Bucket) -> None:
    _, _, last, *pairs = await bucket.run(scripts.MATCHING, 0, 10)
    assert (last, pairs) == (b"0", [])
    for name in "ab":
        await bucket.run(scripts.PUBLISH, 60, name, "x", "", "0", "")
    _, _, last, *pairs = await bucket.run(scripts.MATCHING, 0, 1)
    assert (last, pairs) == (b"1", [b"a", b"1"])
    _, _, last, *pairs = await bucket.run(scripts.MATCHING, last, 10)
    assert (last, pairs) == (b"2", [b"b", b"1"])
