"""Leases on JetStream: what nodes that write at once, or die between two steps, leave behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from elio.channels.backend import Lease
from elio.channels.engines.nats.leases import NatsLeases
from elio.channels.engines.nats.stream import Stream
from elio.channels.engines.nats.wire import Wire
from support.servers import NatsServer


class Peer:
    """A node's leases."""

    def __init__(self, wire: Wire, prefix: str) -> None:
        self.wire = wire
        self.stream = Stream(wire, prefix=prefix, history=100, ttl=600.0, replicas=1)
        self.leases = NatsLeases(wire, self.stream, prefix=prefix, replicas=1)

    async def notices(self) -> list[tuple[str, str]]:
        read = await self.stream.history("$presence.room", None, 100)
        told = [json.loads(record.payload) for record in read.records]
        return [(notice["t"], notice["k"]) for notice in told]


@pytest.fixture
async def peers(nats_server: NatsServer) -> AsyncIterator[list[Peer]]:
    options: dict[str, Any] = {"timeout": 5.0, "tls": None}
    calls: dict[str, Any] = {"on_up": lambda: None, "on_down": lambda why: None, "on_settled": lambda: None}
    wires = [Wire(nats_server.url, **options, **calls) for _ in range(3)]
    found = [Peer(wire, "leases") for wire in wires]
    for peer in found:
        await peer.wire.start()
        await peer.stream.create()
        await peer.leases.create()
    yield found
    for name in ("LEASES", "LEASES_leases"):
        await wires[0].call(f"STREAM.DELETE.{name}")
    for wire in wires:
        await wire.close()


async def test_nodes_that_write_at_once_all_succeed(peers: list[Peer]) -> None:
    leases = [Lease("room", f"m{number}", "1", "{}") for number in range(12)]
    await asyncio.gather(*(peers[number % 3].leases.hold([lease], 60.0) for number, lease in enumerate(leases)))
    assert set(await peers[0].leases.members("room")) == {lease.member for lease in leases}
    assert sorted(await peers[1].notices()) == sorted(("join", lease.member) for lease in leases)


async def test_a_notice_that_its_writer_did_not_publish_is_published_once(peers: list[Peer]) -> None:
    lease = Lease("room", "ann", "1", "{}")
    await peers[0].leases.hold([lease], 60.0)
    message = await peers[0].wire.last("LEASES_leases", "leases.l.room")
    assert message is not None
    # As the first writer left it: the notice stands in it, and may have been published or not.
    assert json.loads(message.data)["notices"]
    for peer in peers:
        await peer.leases.hold([lease], 60.0)
    assert await peers[2].notices() == [("join", "ann")]


async def test_whoever_is_alive_ends_the_leases_of_the_dead(peers: list[Peer]) -> None:
    await peers[0].leases.hold([Lease("room", "ann", "1", "{}")], 0.2)
    async with asyncio.timeout(20.0):
        while len(await peers[1].notices()) < 2:
            await asyncio.gather(peers[1].leases.sweep(), peers[2].leases.sweep())
    assert await peers[1].notices() == [("join", "ann"), ("leave", "ann")]
