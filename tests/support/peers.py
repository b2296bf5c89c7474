"""Clients in JavaScript, run by Node with a task on the command line and a report in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from support.house import TESTS
from support.processes import run
from support.site import Site

__all__ = ["NodeSaw", "event_source", "websocket"]

_PEERS: Final = TESTS / "peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSaw:
    """What a WebSocket client saw; see ``tests/peers/websocket.mjs``."""

    opened: bool
    status: int
    body: str
    headers: dict[str, str]
    protocol: str
    extensions: str
    messages: list[Any]
    pongs: list[str]
    close: tuple[int, str, bool]
    error: str


async def websocket(
    node: str, site: Site, path: str, *steps: Sequence[Any], protocols: Sequence[str] = (), **options: Any
) -> NodeSaw:
    """Connect with the package ``ws``, take some steps, close, and tell.

    Args:
        node: its path.
        site: where to.
        path: and to what there.
        steps: lists, as the script describes them.
        protocols: subprotocols.
        options: of the package ``ws``; ``native=True`` is for Node's own ``WebSocket`` instead.
    """
    native = options.pop("native", False)
    task = {"url": site.ws + path, "native": native, "protocols": protocols, "options": options, "steps": steps}
    flags = ["--experimental-websocket", "--no-warnings"] if native == "behind a flag" else []
    told = await _tell(node, site, *flags, str(_PEERS / "websocket.mjs"), data=json.dumps(task).encode())
    return NodeSaw(**{**told, "close": tuple(told["close"])})


async def event_source(node: str, site: Site, path: str, count: int, *types: str) -> dict[str, Any]:
    """Read an event stream with the package ``eventsource`` up to so many events."""
    return await _tell(node, site, str(_PEERS / "event_source.mjs"), site.http + path, str(count), *types)


async def _tell(node: str, site: Site, *arguments: str, data: bytes = b"") -> dict[str, Any]:
    finished = await run(node, *arguments, data=data, environment=site.node)
    if finished.status != 0:
        raise AssertionError(f"{arguments} ended with status {finished.status}\n{finished.errors}")
    told: dict[str, Any] = json.loads(finished.output)
    return told
