"""Channels on a real NATS: what every engine must do, and what this one does when its server fails."""

from __future__ import annotations

import pytest

from elio.channels.engines.nats.backend import NatsBackend
from support.backends import BackendContract, SharedContract
from support.servers import NatsServer


class TestNats(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    def server(self, nats_server: NatsServer) -> None:
        self.url = nats_server.url

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> NatsBackend:
        return NatsBackend(self.url, history=history, ttl=ttl, prefix=f"elio{history}")
