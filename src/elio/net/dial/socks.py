"""SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): the client's half of a tunnel, no more than connecting.

Not here: GSSAPI, which RFC 1928 asks for and nobody has; BIND and UDP.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from ...errors import ConfigurationError, ConnectError
from .pipe import Pipe

__all__ = ["open_socks4", "open_socks5", "resolves_names"]

_NO_AUTHENTICATION: Final = 0
_USER_AND_PASSWORD: Final = 2
_NOTHING_ACCEPTABLE: Final = 0xFF

_REASONS_4: Final = {
    91: "request rejected or failed",
    92: "the proxy cannot reach an identd of this machine",
    93: "the identd of this machine names another user",
}
_REASONS_5: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


def resolves_names(scheme: str) -> bool:
    """Whether a proxy of that kind is given host names: ``socks4a`` and ``socks5h``."""
    return scheme in ("socks4a", "socks5h")


def _as_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


async def open_socks4(pipe: Pipe, host: str, port: int, user: str) -> None:
    """Ask a SOCKS 4 proxy for a connection; a name instead of an address is asked for as 4a has it.

    Raises:
        ConnectError: the proxy refuses, or the address is one of IPv6.
    """
    address = _as_address(host)
    if isinstance(address, IPv6Address):
        raise ConnectError(f"a {pipe.name} connects to IPv4 addresses only, not to {host}")
    # An address 0.0.0.x that cannot be says that the name follows.
    packed, name = (b"\0\0\0\1", host.encode("ascii") + b"\0") if address is None else (address.packed, b"")
    user_id = user.encode()
    if b"\0" in user_id:
        raise ConfigurationError("a user of SOCKS 4 has no NUL in its name")
    await pipe.send(b"\4\1" + port.to_bytes(2, "big") + packed + user_id + b"\0" + name)
    reply = await pipe.receive(8)
    if reply[0] != 0:
        raise ConnectError(f"the {pipe.name} answered with something else than SOCKS 4: {reply!r}")
    if reply[1] != 90:
        raise _refusal(pipe, host, port, _REASONS_4.get(reply[1], f"code {reply[1]}"))


async def open_socks5(pipe: Pipe, host: str, port: int, *, username: str | None, password: str) -> None:
    """Ask a SOCKS 5 proxy for a connection.

    Args:
        pipe: to the proxy.
        host: of the server: an address, or a name for the proxy to resolve.
        port: of the server.
        username: ``None`` to offer no authentication.
        password: for it.

    Raises:
        ConnectError: the proxy refuses, or does not accept the user.
    """
    methods = bytes((_NO_AUTHENTICATION,) if username is None else (_NO_AUTHENTICATION, _USER_AND_PASSWORD))
    await pipe.send(bytes((5, len(methods))) + methods)
    version, method = await pipe.receive(2)
    if version != 5:
        raise ConnectError(f"the {pipe.name} answered with version {version} of SOCKS")
    if method == _USER_AND_PASSWORD and username is not None:
        await _authenticate(pipe, username, password)
    elif method == _NOTHING_ACCEPTABLE or method not in methods:
        asked = "another authentication" if username is not None else "a user and a password"
        raise ConnectError(f"the {pipe.name} asks for {asked}")
    await pipe.send(b"\5\1\0" + _destination(host) + port.to_bytes(2, "big"))
    version, code, _, kind = await pipe.receive(4)
    if version != 5:
        raise ConnectError(f"the {pipe.name} answered with version {version} of SOCKS")
    if code != 0:
        raise _refusal(pipe, host, port, _REASONS_5.get(code, f"code {code}"))
    await _skip_bound_address(pipe, kind)


async def _authenticate(pipe: Pipe, username: str, password: str) -> None:
    """RFC 1929."""
    user, secret = username.encode(), password.encode()
    if not 1 <= len(user) <= 255 or len(secret) > 255:
        raise ConfigurationError("user and password of SOCKS 5 have at most 255 bytes each, and the user at least one")
    await pipe.send(bytes((1, len(user))) + user + bytes((len(secret),)) + secret)
    reply = await pipe.receive(2)
    if reply[1] != 0:
        raise ConnectError(f"the {pipe.name} does not accept user {username!r}")


def _destination(host: str) -> bytes:
    address = _as_address(host)
    if isinstance(address, IPv4Address):
        return b"\1" + address.packed
    if isinstance(address, IPv6Address):
        return b"\4" + address.packed
    name = host.encode("ascii")
    return bytes((3, len(name))) + name


async def _skip_bound_address(pipe: Pipe, kind: int) -> None:
    if kind == 3:
        size = (await pipe.receive(1))[0]
    elif kind in (1, 4):
        size = 4 if kind == 1 else 16
    else:
        raise ConnectError(f"the {pipe.name} answered with address type {kind}, known are 1, 3 and 4")
    await pipe.receive(size + 2)


def _refusal(pipe: Pipe, host: str, port: int, reason: str) -> ConnectError:
    return ConnectError(f"the {pipe.name} does not connect to {host} port {port}: {reason}")
