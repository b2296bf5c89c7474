"""Channels on a real Redis: what every engine must do, and what this one does when its server fails."""

from __future__ import annotations

import pytest

from elio.channels.engines.redis.backend import RedisBackend
from support.backends import BackendContract, SharedContract
from support.servers import RedisServer


class TestRedis(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> RedisBackend:
        return RedisBackend(self.url, history=history, ttl=ttl)
