"""Proxies that are believed: what they say of the client, in ``Forwarded`` (RFC 7239) or ``X-Forwarded-*``.

A proxy appends whom it got a request from, so a list is read from its end: as long as an address is that of a proxy
that is believed, the next one to the left may be, too. The first other address is the client; what stands further left
is its own word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple, TypeAlias

from ...errors import ConfigurationError, InvalidURL
from ...headers import Headers, split_unquoted
from ...url import parse_authority

__all__ = ["PROXY_HEADERS", "Origin", "TrustedProxies", "counted_address", "host_of"]

PROXY_HEADERS: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
"""What most proxies set."""

_KNOWN: Final = frozenset({*PROXY_HEADERS, "forwarded"})
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# RFC 7239 6: an address, in brackets if it is of IPv6, and perhaps a port, which may be hidden.
_NODE: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}|_[A-Za-z0-9._-]+))?|([0-9A-Fa-f:.]+)")
_QUOTED: Final = re.compile(r"\\(.)")

IP: TypeAlias = IPv4Address | IPv6Address


class Origin(NamedTuple):
    """Where a request comes from.

    Attributes:
        client: who asked, as ``"ip:port"`` or ``"[ip]:port"``; port 0 where a proxy does not say it.
        scheme: ``http`` or ``https``, as the client asked; "" where no proxy says it.
        host: host and port that the client asked for; "" where no proxy says it.
    """

    client: str
    scheme: str = ""
    host: str = ""


class TrustedProxies:
    """Who is believed, and which headers.

    Args:
        names: addresses and networks, such as ``"10.0.0.0/8"``; ``"unix"`` for whoever connects to a Unix socket.
        headers: those that these proxies set or remove themselves: all or some of :data:`PROXY_HEADERS`, or
            ``"forwarded"``. Any other one may be the client's.

    Raises:
        ConfigurationError: a name is none of these, or a header is not known.
    """

    def __init__(self, names: Iterable[str], headers: Iterable[str] = PROXY_HEADERS) -> None:
        names = [names] if isinstance(names, str) else list(names)
        self._networks = [_network(name) for name in names if name != "unix"]
        self._unix = "unix" in names
        self._headers = frozenset(name.lower() for name in ([headers] if isinstance(headers, str) else headers))
        if not self._headers <= _KNOWN or len(self._headers & {"forwarded", "x-forwarded-for"}) > 1:
            allowed = ", ".join(PROXY_HEADERS)
            raise ConfigurationError(
                f"proxy headers {sorted(self._headers)}, allowed are {allowed}, or forwarded alone"
            )
        self._trusts_host = lru_cache(maxsize=1024)(self._look_up)

    def trusts(self, peer: str) -> bool:
        """Whether this peer, an ``"ip:port"`` or "" on a Unix socket, is believed."""
        return self._trusts_host(host_of(peer)) if peer else self._unix

    def origin(self, headers: Headers, peer: str) -> Origin:
        """Where a request with these headers comes from, whose connection is that of this peer."""
        if not self.trusts(peer):
            return Origin(peer)
        client, told = peer, None
        for hop in reversed(self._hops(headers)):
            told = hop
            if not hop.client:
                break
            client = hop.client
            if not self.trusts(client):
                break
        return Origin(peer) if told is None else told._replace(client=client)

    def _hops(self, headers: Headers) -> list[Origin]:
        """What each proxy says, the nearest one last; the client is "" where it says nothing that can be used."""
        if "forwarded" in self._headers:
            return [_hop(element) for value in headers.get_all("forwarded") for element in split_unquoted(value, ",")]
        clients = self._listed(headers, "x-forwarded-for") or [""]
        schemes = self._listed(headers, "x-forwarded-proto")
        hosts = self._listed(headers, "x-forwarded-host")
        count = len(clients)
        return [
            Origin(_node(client), _scheme(_item(schemes, i, count)), _host(_item(hosts, i, count)))
            for i, client in enumerate(clients)
        ]

    def _listed(self, headers: Headers, name: str) -> list[str]:
        if name not in self._headers:
            return []
        return [item.strip(" \t") for value in headers.get_all(name) for item in value.split(",")]

    def _look_up(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)


def host_of(peer: str) -> str:
    """The address of an ``"ip:port"`` or ``"[ip]:port"``."""
    return peer.rpartition(":")[0].strip("[]")


def counted_address(host: str) -> str:
    """What an address counts as where clients are counted: who has one address of IPv6 has its whole /64."""
    address = _address(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return host if address is None else str(address)


def _address(host: str) -> IP | None:
    """The address; one of IPv4 that is written as IPv6, as sockets for both do, is one of IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(name)
    except ValueError as error:
        raise ConfigurationError(f"trusted proxy {name!r} is no address, no network and not 'unix': {error}") from error


def _item(items: Sequence[str], index: int, count: int) -> str:
    """The item that belongs to this address: as many items are one for each, else the nearest proxy's counts."""
    if not items:
        return ""
    return items[index] if len(items) == count else items[-1]


def _hop(element: str) -> Origin:
    """One element of ``Forwarded`` (RFC 7239 4)."""
    fields = dict(_pairs(element))
    return Origin(_node(fields.get("for", "")), _scheme(fields.get("proto", "")), _host(fields.get("host", "")))


def _pairs(element: str) -> Iterator[tuple[str, str]]:
    for pair in split_unquoted(element, ";"):
        name, _, value = pair.strip(" \t").partition("=")
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = _QUOTED.sub(r"\1", value[1:-1])
        yield name.lower(), value


def _node(text: str) -> str:
    """A client with its port, 0 if that is not said; "" for ``unknown``, hidden names and what is none."""
    match = _NODE.fullmatch(text)
    address = match and _address(match[1] or match[2] or match[4])
    if not match or not address:
        return ""
    port = int(match[3]) if match[3] and match[3].isdigit() else 0
    if port > 65_535:
        return ""
    return f"{address}:{port}" if isinstance(address, IPv4Address) else f"[{address}]:{port}"


def _scheme(text: str) -> str:
    return _SCHEMES.get(text.lower(), "")


def _host(text: str) -> str:
    try:
        parse_authority(text)
    except InvalidURL:
        return ""
    return text
