"""From a host to a connected socket (RFC 8305, Happy Eyeballs).

The versions of IP take turns, and where one address does not answer soon the next one is tried beside it. Any loop
will do: nothing of its transports is used. Not here: time-outs.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections import deque
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from ...errors import ConfigurationError

__all__ = ["Target", "open_tcp", "open_unix", "resolve"]

_ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next address is tried beside one that has not answered (RFC 8305 8)."""

Target: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
"""Family and address of a socket to connect to."""


async def resolve(host: str, port: int) -> list[Target]:
    """The addresses of a host, in the order of attempts (RFC 8305 4): the versions of IP take turns."""
    try:
        version = ip_address(host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
    targets: list[Target] = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    first = [target for target in targets if target[0] == targets[0][0]]
    others = [target for target in targets if target[0] != targets[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [target for pair in pairs for target in pair if target is not None]


async def open_tcp(host: str, port: int, local_address: tuple[str, int] | None) -> socket.socket:
    """Connect to the address of a host that answers first.

    Args:
        host: a name or an IP address.
        port: of the host.
        local_address: address and port of this machine to connect from.

    Raises:
        OSError: the name has no address, or none of them answers: the error of the first.
    """
    waiting = deque(await resolve(host, port))
    if len(waiting) == 1:
        return await _attempt(waiting[0], local_address)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_attempt(waiting.popleft(), local_address)))
            timeout = _ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    running.discard(task)
                    return task.result()
                running.discard(task)
                errors.append(error)
    finally:
        await _call_off(running)
    raise errors[0] if errors else OSError(f"{host} has no address")


async def open_unix(path: str) -> socket.socket:
    """Connect to a Unix socket.

    Raises:
        ConfigurationError: this system has none.
        OSError: nobody listens there.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigurationError("Unix sockets do not exist on this system")
    return await _attempt((socket.AF_UNIX, (path,)), None)


async def _call_off(attempts: set[asyncio.Task[socket.socket]]) -> None:
    """Give up attempts; one that had just come through is closed."""
    for task in attempts:
        task.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


async def _attempt(target: Target, local_address: tuple[str, int] | None) -> socket.socket:
    family, address = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if local_address is not None:
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(local_address)
        where = address[0] if len(address) == 1 else address
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
