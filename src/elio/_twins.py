"""Which modules have a native twin, which of the two runs, and how `ELIO_PURE=1` chooses the Python one.

A twin is a Python file with a `.pxd` beside it. Built, its shared library lies next to it and Python's import system
prefers that one. Modules that are native only (`NATIVE`) have a Python replacement of another name.

The package calls `choose` before it imports anything else. This file imports nothing of the package and is also run by
`setup.py`, so the tables stand here once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import Final

__all__ = ["LINUX", "NATIVE", "TWINS", "choose", "is_compiled", "running"]

TWINS: Final = (
    "elio.websocket.frame",
    "elio.websocket.message",
    "elio.websocket.connection",
    "elio.sse.parser",
    "elio.sse.encoder",
    "elio.headers",
    "elio.request",
    "elio.response",
    "elio.routing",
    "elio.websocket.handshake",
    "elio.http.message",
    "elio.http.wire_headers",
    "elio.http.head",
    "elio.http.collector",
    "elio.http.response",
    "elio.http.http1",
    "elio.net.timer",
    "elio.net.ready",
    "elio.net.runtime",
    "elio.net.outlet",
    "elio.net.records.records",
    "elio.net.records.memory",
    "elio.net.tls_stream",
    "elio.net.transports.transport_stream",
    "elio.wire",
    "elio.session",
    "elio.event_stream",
    "elio.fan_out",
    "elio.net.stream",
    "elio.server.entry.addresses",
    "elio.server.watch.counters",
    "elio.server.watch.observers",
    "elio.server.context",
    "elio.server.dispatch",
    "elio.server.failures",
    "elio.server.upgrade",
    "elio.server.exchange",
    "elio.server.connection",
    "elio.client.feed",
    "elio.client.event_body",
    "elio.client.event_source",
    "elio.client.sync",
)
"""Python files that are also compiled, where their `.pxd` exists."""

LINUX: Final = (
    "elio.net.epoll._epoll_set",
    "elio.net.epoll._socket_stream",
    "elio.net.epoll.reactor",
    "elio.net.records._openssl",
)
"""Modules over system calls that only Linux has, and over libraries as it loads them."""

NATIVE: Final = ("elio.websocket._native", "elio._send", "elio.net._direct_task", *LINUX)
"""Modules that exist only compiled; the library does without them."""


class _PythonOnly:
    """Finds the modules of this package as Python files, as if there were no shared libraries."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or not name.startswith("elio."):
            return None
        if name in NATIVE:
            raise ModuleNotFoundError(f"{name} is native and ELIO_PURE asks for Python only", name=name)
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def choose() -> None:
    """Let every later import of this package take the Python file if the environment says `ELIO_PURE=1`."""
    if os.environ.get("ELIO_PURE", "") in ("", "0") or _PythonOnly in sys.meta_path:
        return
    sys.meta_path.insert(0, _PythonOnly)


def is_compiled(name: str) -> bool:
    """Whether the module of that name is, or would be when imported, a compiled one. False if there is none."""
    module = sys.modules.get(name)
    if module is not None:
        origin = getattr(module, "__file__", None)
    else:
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:
            return False
        origin = spec.origin if spec is not None else None
    return origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES))


def running() -> dict[str, bool]:
    """For each twin and each native module: whether it runs compiled."""
    return {name: is_compiled(name) for name in (*NATIVE, *TWINS)}
