"""Listening sockets: TCP, Unix, and inherited descriptors."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigurationError

__all__ = [
    "Address",
    "addresses",
    "is_loopback",
    "is_network",
    "open_for_workers",
    "open_sockets",
    "probe_silent_peers",
    "url_of",
]

_PROBES: Final = 2
"""Probes without an answer after which the system gives a peer up: one may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens: one of ``uds``, ``fd`` or ``host`` and ``port``.

    Attributes:
        host: a name or an IP address; every address of a name is used. ``""`` is every interface.
        port: 0 for one that the system picks.
        uds: path of a Unix socket; a stale one is replaced.
        fd: descriptor of a socket that is bound already, as a service manager or a parent process passes it on.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None
    fd: int | None = None


def addresses(*, host: str, port: int, uds: str | None, fd: int | Sequence[int] | None) -> list[Address]:
    """Where a server listens that was given these: descriptors go before a path, and a path before a host."""
    if fd is None:
        return [Address(host=host, port=port, uds=uds)]
    return [Address(fd=each) for each in ([fd] if isinstance(fd, int) else fd)]


def open_for_workers(address: Address, backlog: int, count: int) -> list[list[socket.socket]]:
    """Open sockets for several processes that share the address, each of which accepts from its own list.

    On Linux each gets TCP sockets of its own (``SO_REUSEPORT``), among which the system spreads the connections evenly.
    Of a shared socket, as every other kind is one, whoever wakes first takes as much as there is.

    Args:
        address: where.
        backlog: connections that the system holds ready for accepting, on each socket.
        count: how many processes.

    Raises:
        ConfigurationError: as for :func:`open_sockets`; also if another program listens there with the same option.
    """
    sockets = open_sockets(address, backlog)
    if address.fd is not None or address.uds is not None or sys.platform != "linux":
        return [sockets] * count
    names = [(sock.family, sock.getsockname()) for sock in sockets]
    for sock in sockets:  # it has shown that nobody else is there, which the option would hide
        sock.close()
    opened: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            opened.append([])
            for family, where in names:
                opened[-1].append(_bind_tcp(family, where, backlog, is_shared=True))
    except BaseException:
        for sock in (sock for each in opened for sock in each):
            sock.close()
        raise
    return opened


def open_sockets(address: Address, backlog: int) -> list[socket.socket]:
    """Open, bind and listen.

    Args:
        address: where.
        backlog: connections that the system holds ready for accepting.

    Raises:
        ConfigurationError: the address is in use, not allowed, or not one of this machine.
    """
    if address.fd is not None:
        return [_inherit(address.fd, backlog)]
    if address.uds is not None:
        return [_open_unix(address.uds, backlog)]
    return _open_tcp(address.host, address.port, backlog)


def _inherit(fd: int, backlog: int) -> socket.socket:
    try:
        owner = socket.socket(fileno=fd)
        try:
            sock = owner.dup()
        finally:
            owner.detach()
    except OSError as error:
        raise _no_listener(fd, error) from error
    try:
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _no_listener(fd, error) from error
    sock.setblocking(False)
    return sock


def _no_listener(fd: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"descriptor {fd} is not a socket that can listen: {error.strerror}")


def _open_unix(path: str, backlog: int) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigurationError("Unix sockets do not exist on this system")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise ConfigurationError(f"cannot listen on the Unix socket {path!r}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more; leave everything else alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ConfigurationError(f"{path!r} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            return
    raise ConfigurationError(f"another program listens on the Unix socket {path!r}")


def _open_tcp(host: str, port: int, backlog: int) -> list[socket.socket]:
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"port {port}, allowed are 0 to 65535")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the host name {host!r} cannot be resolved") from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            if port == 0 and sockets:  # a name with several addresses: one free port for all of them
                where = (where[0], sockets[0].getsockname()[1], *where[2:])
            sockets.append(_bind_tcp(family, where, backlog))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_tcp(family: int, where: tuple[object, ...], backlog: int, *, is_shared: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise ConfigurationError(_why(error, where)) from error
    sock.setblocking(False)
    return sock


def _why(error: OSError, where: tuple[object, ...]) -> str:
    host, port = where[0], where[1]
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be used by this user"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def probe_silent_peers(sock: socket.socket, timeout: float) -> None:
    """Let the system probe the silent peer of this connection, or of those that this socket accepts, which inherit it.

    A connection on which nothing is on its way ends when its peer answers no probe: after about two thirds of the time,
    so that the rest is left for noticing (:mod:`elio.server.watch.silence`).

    Args:
        sock: connected, or listening; nothing happens to a Unix socket.
        timeout: seconds within which a peer that vanished is to be noticed.
    """
    if not is_network(sock):
        return
    # First, so that the first probe of a connection that has been idle goes out at once.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval = max(1, round(timeout / 5))
    first = max(1, int(timeout * 2 / 3) - _PROBES * interval)
    for name, value in (("TCP_KEEPIDLE", first), ("TCP_KEEPINTVL", interval), ("TCP_KEEPCNT", _PROBES)):
        option = getattr(socket, name, None)
        if option is not None:  # systems differ
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def is_network(sock: socket.socket) -> bool:
    """Whether its connections come over IP: not those of a Unix socket."""
    return sock.family in (socket.AF_INET, socket.AF_INET6)


def is_loopback(sock: socket.socket) -> bool:
    """Whether the socket listens on a loopback address only: 127.0.0.0/8 or ::1."""
    if not is_network(sock):
        return False
    host = str(sock.getsockname()[0])
    return host.startswith("127.") or host == "::1"


def url_of(sock: socket.socket, *, tls: bool) -> str:
    """Where a person reaches the socket: a URL, or the path of a Unix socket."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = str(name[0]), name[1]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"
