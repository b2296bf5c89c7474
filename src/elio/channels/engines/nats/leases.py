"""Who is present, on JetStream: one message for each channel, changed by whoever is first.

The newest message of ``PREFIX.l.CHANNEL`` has all leases of the channel and the notices that are due, as JSON. It is
replaced only if nobody else did so meanwhile (``Nats-Expected-Last-Subject-Sequence``); who was too late reads again.
Notices are published behind that, each with an ID, so that the next one who comes along can do it if the first has
died, and nobody hears them twice.

Ends of leases are times of the nodes' clocks, which should agree to a small part of a lease.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import random
from typing import Any, Final

from ....errors import EngineError
from ...backend import Lease, presence_channel
from .connection import Message
from .stream import Stream
from .wire import WRONG_SEQUENCE, Wire

__all__ = ["NatsLeases"]

_TRIES: Final = 100
_PAUSE: Final = 0.01
_MAX_AGE: Final = 86400 * 1_000_000_000
_LISTING_INTERVAL: Final = 10.0
"""Seconds between looks at all channels with leases; what changes between is told by the server."""

_Change = Callable[[dict[str, Any], float], None]


class NatsLeases:
    """The leases of one prefix.

    Args:
        wire: the connection.
        stream: takes the notices.
        prefix: begins the subjects.
        replicas: servers that keep them.
    """

    def __init__(self, wire: Wire, stream: Stream, *, prefix: str, replicas: int) -> None:
        self._wire = wire
        self._stream = stream
        self._prefix = f"{prefix}.l."
        self._name = f"{stream.name}_leases"
        self._replicas = replicas
        self._due: dict[str, float] = {}
        self._listed_at = -_LISTING_INTERVAL
        self._hears = ""

    async def create(self) -> None:
        """Make the stream of leases, and hear of those of others."""
        settings = {
            "name": self._name,
            "subjects": [f"{self._prefix}>"],
            "max_msgs_per_subject": 1,
            "max_age": _MAX_AGE,
            "num_replicas": self._replicas,
            "storage": "file",
            "allow_direct": True,
        }
        await self._wire.call(f"STREAM.CREATE.{self._name}", settings)
        if not self._hears:
            self._hears = await self._wire.subscribe(f"{self._prefix}>", self._heard)

    async def hold(self, leases: Sequence[Lease], ttl: float) -> None:
        """Take or renew leases."""
        by_channel: dict[str, list[Lease]] = {}
        for lease in leases:
            by_channel.setdefault(lease.channel, []).append(lease)
        for channel, held in by_channel.items():
            await self._change(channel, partial(_hold, leases=held, ttl=ttl))

    async def release(self, lease: Lease, linger: float) -> None:
        """End a lease."""
        await self._change(lease.channel, partial(_release, lease=lease, linger=linger))

    async def members(self, channel: str) -> Mapping[str, str]:
        """Who is present."""
        found, _ = await self._change(channel, _nothing)
        return {member: data for member, _, data, _ in found["leases"]}

    async def sweep(self) -> None:
        """End leases whose time has come."""
        now = time.time()
        if now - self._listed_at > _LISTING_INTERVAL or self._listed_at > now:
            await self._list()
            self._listed_at = now
        for channel in [channel for channel, end in self._due.items() if end <= now]:
            await self._change(channel, _nothing)

    async def _list(self) -> None:
        request = {"subjects_filter": f"{self._prefix}>"}
        info = await self._wire.call(f"STREAM.INFO.{self._name}", request)
        for subject in info["state"].get("subjects") or {}:
            self._due.setdefault(subject[len(self._prefix) :], 0.0)

    def _heard(self, message: Message) -> None:
        channel = message.subject[len(self._prefix) :].decode()
        self._note(channel, json.loads(message.data))

    def _note(self, channel: str, found: dict[str, Any]) -> None:
        ends = [end for _, _, _, end in found["leases"]]
        if found["notices"]:
            # Whoever wrote this publishes them; a second later it is everybody's business.
            ends.append(time.time() + 1.0)
        if ends:
            self._due[channel] = min(ends)
        else:
            self._due.pop(channel, None)

    async def _change(self, channel: str, change: _Change) -> tuple[dict[str, Any], int]:
        for _ in range(_TRIES):
            found, sequence = await self._get(channel)
            before = json.dumps(found)
            await self._publish_notices(channel, found)
            _expire(found, now := time.time())
            change(found, now)
            after = json.dumps(found)
            if before == after:
                self._note(channel, found)
                return found, sequence
            try:
                sequence = await self._put(channel, after, sequence)
            except EngineError as error:
                if error.code != WRONG_SEQUENCE:
                    raise
                await asyncio.sleep(_PAUSE * random())
                continue
            await self._publish_notices(channel, found)
            return found, sequence
        raise EngineError(f"leases of channel {channel!r} change too fast: {_TRIES} tries were all too late")

    async def _get(self, channel: str) -> tuple[dict[str, Any], int]:
        message = await self._wire.last(self._name, self._prefix + channel)
        if message is None:
            return {"leases": [], "notices": [], "number": 0}, 0
        return json.loads(message.data), int(message.header(b"Nats-Sequence"))

    async def _put(self, channel: str, text: str, sequence: int) -> int:
        headers = b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % sequence
        return await self._wire.publish(self._prefix + channel, text.encode(), headers)

    async def _publish_notices(self, channel: str, found: dict[str, Any]) -> None:
        for number, text in found["notices"]:
            await self._stream.publish(presence_channel(channel), text.encode(), f"\0{number}")
        found["notices"] = []


def _nothing(found: dict[str, Any], now: float) -> None:
    """Only what is due."""


def _members(found: dict[str, Any]) -> set[str]:
    return {member for member, _, _, _ in found["leases"]}


def _notify(found: dict[str, Any], notice: bytes) -> None:
    found["number"] += 1
    found["notices"].append([f"{found['born']}:{found['number']}", notice.decode()])


def _expire(found: dict[str, Any], now: float) -> None:
    found.setdefault("born", now)
    kept = [lease for lease in found["leases"] if lease[3] > now]
    ended = [lease for lease in found["leases"] if lease[3] <= now]
    found["leases"] = kept
    present = _members(found)
    for member, holder, data, _ in ended:
        if member not in present:
            present.add(member)
            _notify(found, Lease("", member, holder, data).left)


def _hold(found: dict[str, Any], now: float, *, leases: Sequence[Lease], ttl: float) -> None:
    for lease in leases:
        if lease.member not in _members(found):
            _notify(found, lease.joined)
        found["leases"] = [
            *(old for old in found["leases"] if old[:2] != [lease.member, lease.holder]),
            [lease.member, lease.holder, lease.data, now + ttl],
        ]


def _release(found: dict[str, Any], now: float, *, lease: Lease, linger: float) -> None:
    for held in found["leases"]:
        if held[:2] == [lease.member, lease.holder]:
            held[3] = min(held[3], now + linger)
    _expire(found, now)
