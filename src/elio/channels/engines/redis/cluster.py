"""Which node of a cluster has what (the Redis cluster specification)."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Mapping
from typing import Any, Final

from .resp import RespConnection
from .url import Address

__all__ = ["BUCKETS", "bucket_of", "masters_of_buckets"]

BUCKETS: Final = 64
"""Many beside the nodes of a cluster, so that they share evenly; few beside its 16384 slots, since a pattern is
listened to in each."""

_SLOTS: Final = 16384
_PRESENCE: Final = "$presence."


def bucket_of(channel: str, buckets: int) -> int:
    """The bucket of a channel. Notices of its presence lie in the same one, so that one script can write both."""
    return crc_hqx(channel.removeprefix(_PRESENCE).encode(), 0) % buckets


async def masters_of_buckets(connection: RespConnection, address: Address) -> Mapping[int, Address]:
    """Ask a node where everything is.

    Args:
        connection: to the node.
        address: of the node, for what it says of itself.
    """
    ranges = await connection.execute("CLUSTER", "SLOTS")
    places = [(first, last, _address(master, address)) for first, last, master, *_ in ranges]
    found = {}
    for bucket in range(BUCKETS):
        slot = crc_hqx(b"%d" % bucket, 0) % _SLOTS
        for first, last, master in places:
            if first <= slot <= last:
                found[bucket] = master
    return found


def _address(node: list[Any], asked: Address) -> Address:
    host, port, *_ = node
    return host.decode() if host else asked[0], port
