"""URLs of Redis."""

from __future__ import annotations

import pytest

from elio.channels.engines.redis.url import Kind, RedisURL
from elio.errors import InvalidURL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", RedisURL(Kind.SERVER, (("localhost", 6379),))),
        ("redis://u:p%40@h:7/3", RedisURL(Kind.SERVER, (("h", 7),), False, "u", "p@", 3)),
        ("redis://:p@[::1]", RedisURL(Kind.SERVER, (("::1", 6379),), False, "", "p")),
        ("rediss://h", RedisURL(Kind.SERVER, (("h", 6379),), True)),
        ("unix:///run/redis.sock?db=2", RedisURL(Kind.SERVER, (("/run/redis.sock", 0),), database=2)),
        (
            "redis+sentinel://a,b:7/main/1",
            RedisURL(Kind.SENTINEL, (("a", 26379), ("b", 7)), database=1, service="main"),
        ),
        ("rediss+cluster://a,b:7", RedisURL(Kind.CLUSTER, (("a", 6379), ("b", 7)), True)),
    ],
)
def test_urls_that_can_be_used(url: str, expected: RedisURL) -> None:
    assert RedisURL.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h", "scheme 'http'"),
        ("redis://", "no host"),
        ("redis://h:x", "Port"),
        ("redis://h/a", "database 'a'"),
        ("redis://h/1/2", "database '1/2'"),
        ("redis+sentinel://h", "name of a master"),
        ("redis+cluster://h/1", "no databases"),
        ("unix://", "no path"),
    ],
)
def test_urls_that_cannot(url: str, why: str) -> None:
    with pytest.raises(InvalidURL, match=why) as raised:
        RedisURL.parse(url)
    assert raised.value.url == url


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(RedisURL.parse("redis://u:secret@h"))
