"""What is open in a server right now, as values for JSON: its connections and its channels.

It is made when somebody asks, and costs nothing else. Connections are looked at one by one, those that are told of are
few: where most bytes wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from heapq import nlargest
from typing import Any, Final

from ...channels.channels import Channels
from ...event_stream import EventStream
from ...session import WebSocket
from ..connection import HttpConnection
from ..context import Context
from ..process.leash import Worker

__all__ = ["MOST", "survey"]

MOST: Final = 100
"""Connections, and channels, that are told of one by one."""

_Open = WebSocket | EventStream | HttpConnection


def survey(context: Context, channels: Channels | None, worker: Worker | None) -> dict[str, Any]:
    """The state of a server.

    Args:
        context: with its connections.
        channels: its channels, if it has any.
        worker: which of several processes it is.

    Returns:
        ``worker`` (its number, 0 if it is the only process), ``pid``, ``lag`` (seconds that its event loop was late at
        last), ``websockets``, ``streams`` and ``requests`` (HTTP connections that are neither), ``queued`` (bytes that
        wait for clients), ``connections`` (those for which most bytes wait, at most :data:`MOST`) and ``channels``.
    """
    counts = {"websockets": 0, "streams": 0, "requests": 0}
    queued = 0
    found: list[tuple[int, int, _Open]] = []
    for number, one in enumerate(_open(context)):
        counts[_kind(one)] += 1
        queued += one.queued
        found.append((one.queued, -number, one))  # of equals the older one
    return {
        "worker": 0 if worker is None else worker.number,
        "pid": os.getpid(),
        "lag": round(context.runtime.timer.lag, 6),
        **counts,
        "queued": queued,
        "connections": [_connection(one) for _, _, one in nlargest(MOST, found)],
        "channels": _channels(channels),
    }


def _open(context: Context) -> Iterator[_Open]:
    yield from context.websockets
    for connection in context.connections:
        if isinstance(connection, HttpConnection):
            yield connection.events or connection


def _kind(one: _Open) -> str:
    if isinstance(one, WebSocket):
        return "websockets"
    return "streams" if isinstance(one, EventStream) else "requests"


def _connection(one: _Open) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": _KINDS[_kind(one)], "client": "", "path": "", "round_trip": None}
    if isinstance(one, HttpConnection):
        told["client"] = one.peer
    elif one.request is not None:
        told |= {"client": one.request.client, "path": one.request.path}
    if isinstance(one, WebSocket) and one.latency is not None:
        told["round_trip"] = round(one.latency, 6)
    return {**told, "age": round(one.age, 3), "queued": one.queued}


_KINDS: Final = {"websockets": "websocket", "streams": "sse", "requests": "http"}


def _channels(channels: Channels | None) -> list[dict[str, Any]]:
    states = [] if channels is None else channels.states()
    worst = nlargest(MOST, states, key=lambda state: (state.lag, state.queued, state.subscribers))
    return [asdict(state) for state in worst]
