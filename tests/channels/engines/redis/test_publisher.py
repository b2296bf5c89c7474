"""Publishing to a real Redis: what goes out together, and what becomes of it when one message is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from elio.channels.engines.redis.link import RedisLink
from elio.channels.engines.redis.publisher import Publisher, _batches, _Message
from elio.channels.engines.redis.url import RedisURL
from elio.errors import EngineError, EngineLost
from support.servers import RedisServer


class Owner:
    """Who uses the link, and listens to nothing."""

    subscriptions = ()

    def arrived(self, channel: str, news: bytes) -> None:
        """Nothing arrives."""

    def settled(self) -> None:
        """Nothing arrives."""

    def came_back(self) -> None:
        """It is not asked."""

    def went(self, why: str) -> None:
        """It is not asked."""


class Desk:
    """A publisher with its link."""

    def __init__(self, url: str, *, waits: bool = False) -> None:
        self.link = RedisLink(
            RedisURL.parse(url), prefix="desk", constants=(1000, 60, 1000), timeout=30.0, tls=None, owner=Owner()
        )
        self.publisher = Publisher(self.link, remember=60, waits=waits)

    def publish(self, channel: str, nonce: str) -> asyncio.Future[bytes]:
        return self.publisher.publish(channel, nonce.encode(), nonce, "", is_again=False)

    async def history(self, channel: str) -> list[bytes]:
        connection = await self.link.ready(0, waits=False)
        entries = await connection.execute("XRANGE", f"desk:{{0}}:h:{channel}", "-", "+")
        return [fields[1] for _, fields in entries]

    async def close(self) -> None:
        await self.publisher.close()
        await self.link.close()


@pytest.fixture
async def desk(own_redis: RedisServer) -> AsyncIterator[Desk]:
    desk = Desk(own_redis.url)
    await desk.link.start(30.0)
    yield desk
    await desk.close()


def offset(place: bytes) -> int:
    return int(place.partition(b":")[2])


async def scripts_run(desk: Desk) -> int:
    connection = await desk.link.ready(0, waits=False)
    found = re.search(rb"cmdstat_evalsha:calls=(\d+)", await connection.execute("INFO", "commandstats"))
    return int(found[1]) if found else 0


async def test_what_is_published_in_one_turn_is_one_script_and_stays_in_order(desk: Desk) -> None:
    before = await scripts_run(desk)
    places = await asyncio.gather(*(desk.publish("ab"[number % 2], f"{number}") for number in range(20)))
    assert await scripts_run(desk) == before + 1
    assert [offset(place) for place in places] == [1 + number // 2 for number in range(20)]
    assert await desk.history("a") == [b"%d" % number for number in range(0, 20, 2)]


async def test_what_is_cancelled_before_it_is_sent_is_not_published(desk: Desk) -> None:
    one, two = desk.publish("a", "1"), desk.publish("a", "2")
    one.cancel()
    await two
    assert await desk.history("a") == [b"2"]


async def test_a_refused_message_takes_no_other_with_it(desk: Desk) -> None:
    connection = await desk.link.ready(0, waits=False)
    await connection.execute("SET", "desk:{0}:h:bad", "no stream")
    await connection.execute("HSET", "desk:{0}:o:bad", "o", 5, "b", 0)
    answers = [desk.publish(channel, nonce) for channel, nonce in [("a", "1"), ("bad", "2"), ("a", "3"), ("b", "4")]]
    first, refused, third, fourth = await asyncio.gather(*answers, return_exceptions=True)
    assert isinstance(refused, EngineError)
    assert not isinstance(refused, EngineLost)
    assert "WRONGTYPE" in str(refused)
    assert isinstance(first, bytes)
    assert isinstance(third, bytes)
    assert isinstance(fourth, bytes)
    assert [offset(first), offset(third), offset(fourth)] == [1, 2, 1]
    assert await desk.history("a") == [b"1", b"3"]


async def test_a_lost_connection_is_told_to_each(own_redis: RedisServer, desk: Desk) -> None:
    own_redis.pause()
    answers = [desk.publish("a", "1"), desk.publish("a", "2")]
    connection = await desk.link.ready(0, waits=False)
    while not connection._waiting:  # noqa: ASYNC110
        await asyncio.sleep(0)
    own_redis.kill()
    for error in await asyncio.gather(*answers, return_exceptions=True):
        assert isinstance(error, EngineLost)
        assert error.is_unknown
    with pytest.raises(EngineLost) as lost:
        await desk.publish("a", "3")
    assert not lost.value.is_unknown


async def test_who_waits_for_a_connection_is_told_of_the_end(own_redis: RedisServer) -> None:
    desk = Desk(own_redis.url, waits=True)
    await desk.link.start(30.0)
    connection = await desk.link.ready(0, waits=False)
    own_redis.kill()
    connection.abort("away")
    answer = desk.publish("a", "1")
    while not desk.publisher._tasks:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await desk.close()
    with pytest.raises(EngineLost):
        await answer
    with pytest.raises(EngineLost):
        await desk.publish("a", "2")


async def test_a_message_that_may_be_there_already_is_never_said_not_to_be(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    sure, unsure = loop.create_future(), loop.create_future()
    _Message("a", b"", "1", "0", "", sure).fail(EngineLost("away"))
    _Message("a", b"", "2", "1", "", unsure).fail(EngineLost("away"))
    assert [(await asyncio.gather(answer, return_exceptions=True))[0].is_unknown for answer in (sure, unsure)] == [
        False,
        True,
    ]


async def test_batches_have_bounds() -> None:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def sizes(*payloads: int) -> list[int]:
        messages = [_Message("a", bytes(size), "", "0", "", answer) for size in payloads]
        return [len(batch) for batch in _batches(messages)]

    assert sizes(*[1] * 300) == [128, 128, 44]
    assert sizes(*[100_000] * 3) == [1, 1, 1]
    assert sizes(1 << 20, 1, 1) == [1, 2]
    assert sizes(60_000, 60_000, 60_000) == [2, 1]
