"""Buckets and slots."""

from __future__ import annotations

import asyncio
from typing import Any

from elio.channels.engines.redis.cluster import BUCKETS, bucket_of, masters_of_buckets


def test_the_bucket_is_the_crc16_of_the_name() -> None:
    # The check value of the cluster specification: CRC16 of "123456789" is 0x31C3.
    assert bucket_of("123456789", 0x10000) == 0x31C3
    assert bucket_of("anything", 1) == 0


def test_notices_of_presence_lie_in_the_bucket_of_their_channel() -> None:
    for name in ("a", "news.sport", "ü"):
        assert bucket_of(f"$presence.{name}", BUCKETS) == bucket_of(name, BUCKETS)


async def test_every_bucket_has_a_master() -> None:
    class Asked:
        def execute(self, *command: str) -> asyncio.Future[Any]:
            assert command == ("CLUSTER", "SLOTS")
            answer = asyncio.get_running_loop().create_future()
            answer.set_result([[0, 8191, [b"", 1, b"id"]], [8192, 16383, [b"b", 2, b"id"], [b"replica", 3, b"id"]]])
            return answer

    masters = await masters_of_buckets(Asked(), ("a", 1))  # type: ignore[arg-type]
    assert sorted(masters) == list(range(BUCKETS))
    assert set(masters.values()) == {("a", 1), ("b", 2)}
    # CLUSTER KEYSLOT says 12182 of "foo" and 1044 of "10".
    assert masters[10] == ("a", 1)
