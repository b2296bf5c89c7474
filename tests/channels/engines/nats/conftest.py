"""Servers for these tests, one of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import NatsServer


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A NATS that nobody harms."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def own_nats() -> Iterator[NatsServer]:
    """A NATS for one test."""
    with NatsServer() as server:
        yield server
