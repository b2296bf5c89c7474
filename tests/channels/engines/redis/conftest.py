"""Servers for these tests, one of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis that nobody harms."""
    with RedisServer(keeps=False) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis for one test."""
    with RedisServer() as server:
        yield server
