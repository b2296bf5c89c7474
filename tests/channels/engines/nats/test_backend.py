"""Channels on a real NATS: what every engine must do, and what this one does when its server fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elio.channels.engines.nats.backend import NatsBackend
from support.backends import BackendContract, SharedContract
from support.faults import FaultContract
from support.servers import NatsServer


class TestNats(BackendContract, SharedContract):
    @pytest.fixture(autouse=True)
    def server(self, nats_server: NatsServer) -> None:
        self.url = nats_server.url

    async def make(self, *, history: int = 1000, ttl: float = 300.0) -> NatsBackend:
        return NatsBackend(self.url, history=history, ttl=ttl, prefix=f"elio{history}")


class TestNatsFaults(FaultContract):
    @pytest.fixture(autouse=True)
    def served(self, own_nats: NatsServer) -> None:
        self.server = own_nats

    def make(self, **options: Any) -> NatsBackend:
        return NatsBackend(self.server.url, **options)

    async def forget(self) -> None:
        connect = json.dumps({"verbose": False})
        command = f"CONNECT {connect}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.DELETE.ELIO answer 0\r\n\r\n"
        assert b"success" in self.server.exchange(command.encode(), b"success")
