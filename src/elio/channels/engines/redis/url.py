"""URLs of Redis and Valkey.

=====================================  ==============================================================================
``redis://[user:password@]host[/db]``  a server; ``rediss`` for TLS; port 6379
``unix:///run/redis.sock[?db=1]``      a server on this machine
``redis+sentinel://h1,h2:26379/name``  the master of that name; sentinels are asked where it is; ``/name/db``
``redis+cluster://h1,h2:7000``         a cluster; some of its nodes
=====================================  ==============================================================================

``rediss+sentinel`` and ``rediss+cluster`` are the same with TLS. Users and passwords are percent-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from ....errors import InvalidURL

__all__ = ["SCHEMES", "Address", "Kind", "RedisURL"]


class Kind(Enum):
    """What stands at the addresses."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


Address = tuple[str, int]
"""Host and port; the path of a Unix socket and 0."""

_KINDS: Final = {
    "redis": (Kind.SERVER, False),
    "rediss": (Kind.SERVER, True),
    "unix": (Kind.SERVER, False),
    "redis+sentinel": (Kind.SENTINEL, False),
    "rediss+sentinel": (Kind.SENTINEL, True),
    "redis+cluster": (Kind.CLUSTER, False),
    "rediss+cluster": (Kind.CLUSTER, True),
}
SCHEMES: Final = tuple(_KINDS)
"""Those of Redis."""

_PORTS: Final = {Kind.SERVER: 6379, Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}


@dataclass(frozen=True, slots=True)
class RedisURL:
    """Where Redis is. Make it with :meth:`parse`.

    Attributes:
        kind: what stands at the addresses.
        addresses: at least one.
        has_tls: whether connections are encrypted.
        username: of the server; "" for the default user.
        password: of the server; "" for none.
        database: its number; 0 in a cluster.
        service: what sentinels call the master.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    has_tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    service: str = ""

    @classmethod
    def parse(cls, url: str) -> RedisURL:
        """Parse and check a URL.

        Raises:
            InvalidURL: another scheme, no host, a bad port or database, or no name of a master.
        """
        try:
            return cls._parse(url)
        except ValueError as error:
            raise InvalidURL(f"a URL of Redis that cannot be used: {error}", url=url) from None

    @classmethod
    def _parse(cls, url: str) -> RedisURL:
        parts = urlsplit(url)
        if parts.scheme not in _KINDS:
            raise ValueError(f"scheme {parts.scheme!r}, known are {', '.join(_KINDS)}")
        kind, has_tls = _KINDS[parts.scheme]
        userinfo, _, hosts = parts.netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        names = [unquote(part) for part in parts.path.strip("/").split("/") if part]
        service = names.pop(0) if kind is Kind.SENTINEL and names else ""
        if parts.scheme == "unix":
            addresses: tuple[Address, ...] = ((unquote(parts.path), 0),)
            names = parse_qs(parts.query).get("db", [])
        else:
            addresses = tuple(_address(host, _PORTS[kind]) for host in hosts.split(","))
        found = cls(kind, addresses, has_tls, unquote(username), unquote(password), _database(names), service)
        return _checked(found)


def _address(text: str, port: int) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"no host in {text!r}")
    return parts.hostname, parts.port or port


def _database(names: list[str]) -> int:
    if len(names) > 1 or not all(name.isdecimal() for name in names):
        raise ValueError(f"database {'/'.join(names)!r}, it is a number")
    return int(names[0]) if names else 0


def _checked(url: RedisURL) -> RedisURL:
    if url.kind is Kind.SENTINEL and not url.service:
        raise ValueError("sentinels need the name of a master, as in redis+sentinel://host/name")
    if url.kind is Kind.CLUSTER and url.database:
        raise ValueError("a cluster has no databases")
    if not url.addresses[0][0]:
        raise ValueError("no path of a socket")
    return url
