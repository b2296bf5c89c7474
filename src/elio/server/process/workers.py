"""A server in several processes: opens the sockets, and runs a supervisor until its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from ...errors import ConfigurationError
from ...net.listen import Address, open_for_workers, url_of
from .drain import LONGEST_USUAL
from .hub import hub_for
from .supervisor import Supervisor

__all__ = ["longest_end", "run_workers"]

_OVERTIME: Final = 2.0
"""Seconds beyond its own bound after which a worker that does not end is killed."""


def longest_end(drain: float | None, grace: float) -> float:
    """Seconds that the end of a server may take, before who has started it loses patience."""
    return (LONGEST_USUAL if drain is None else drain) + grace + _OVERTIME


def run_workers(
    command: Sequence[str],
    count: int,
    addresses: Sequence[Address],
    *,
    backlog: int,
    patience: float,
    is_tls: bool,
    on_start: Callable[[list[str]], object],
) -> None:
    """Serve in so many processes until SIGINT or SIGTERM.

    Args:
        command: what starts a worker: a program that calls :func:`elio.run`.
        count: how many.
        addresses: where they listen.
        backlog: see :class:`elio.Limits`.
        patience: seconds that a worker gets to end.
        is_tls: whether they speak TLS.
        on_start: called with the URLs once the first worker is ready.

    The hub of their channels runs in this process, unless they have an engine elsewhere.

    Raises:
        ConfigurationError: an address cannot be used, the first worker has not started, or this is not the place.
    """
    _check(count)
    hub = hub_for(count)
    with ExitStack() as stack:
        for_each: list[list[int]] = [[] for _ in range(count)]
        urls: list[str] = []
        for address in addresses:
            opened = open_for_workers(address, backlog, count)
            for fds, sockets in zip(for_each, opened, strict=True):
                fds += [stack.enter_context(sock).fileno() for sock in sockets]
            urls += [url_of(sock, tls=is_tls) for sock in opened[0]]
            if address.uds is not None:
                stack.callback(_remove, address.uds)
        supervisor = Supervisor(command, for_each, patience=patience, companions=[hub] if hub else [])
        with asyncio.Runner() as runner:
            runner.run(supervisor.run(lambda: on_start(list(dict.fromkeys(urls)))))


def _check(count: int) -> None:
    if count < 1:
        raise ConfigurationError(f"{count} workers, at least 1 is needed")
    if os.name != "posix":
        raise ConfigurationError("workers do not exist on this system: it cannot pass sockets on to another process")
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError("workers are looked after in the main thread, which gets the signals")


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
