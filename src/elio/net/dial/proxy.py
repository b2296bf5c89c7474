"""Proxies between a client and its server: which one, and the tunnel through it.

HTTP proxies take ``CONNECT`` (RFC 9110 9.3.6), with Basic authentication; plain HTTP requests they are given whole
instead, as absolute URLs, which is the client's business. SOCKS proxies stand in :mod:`elio.net.dial.socks`.

Not here: proxy configuration scripts, and proxies that are themselves reached over TLS.
"""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from ...errors import ConfigurationError, ConnectError, HandshakeError, InvalidURL, RemoteProtocolError
from ...http.collector import HeadCollector
from ...http.head import check_status_line, parse_response_head
from ...limits import Limits
from ...url import URL, parse_authority
from .pipe import Pipe
from .socks import open_socks4, open_socks5, resolves_names

__all__ = ["ENVIRONMENT", "Proxy", "needs_address", "open_tunnel", "proxy_from_environment"]

ENVIRONMENT: Final = "environment"
"""In place of a proxy's URL: whatever ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` say."""

_PORTS: Final = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_FORM: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:([^@/?#]*)@)?([^@/?#\\\s]+)/?")
_VARIABLES: Final = {"ws": "http", "http": "http", "wss": "https", "https": "https"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; :meth:`parse` makes it of a URL.

    Attributes:
        scheme: ``http``, ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``; with ``a`` and ``h`` the proxy resolves
            the server's name.
        host: name or address.
        port: as given; 80 for HTTP and 1080 for SOCKS otherwise.
        username: ``None`` if there is none.
        password: ``""`` if there is none.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Parse ``scheme://[user[:password]@]host[:port]``.

        Raises:
            ConfigurationError: not of that form, or another scheme.
        """
        match = _FORM.fullmatch(url)
        # What does not fit may have a password in it, so it is not repeated.
        if match is None:
            raise ConfigurationError("the URL of a proxy is not of the form scheme://[user:password@]host[:port]")
        scheme, userinfo, authority = match.groups()
        scheme = scheme.lower()
        if scheme not in _PORTS:
            raise ConfigurationError(f"scheme {scheme!r} of a proxy is none of {', '.join(_PORTS)}")
        try:
            host, port = parse_authority(authority)
        except InvalidURL as error:
            raise ConfigurationError(f"address of a proxy: {error}") from error
        username, _, password = (userinfo or "").partition(":")
        return cls(scheme, host, port or _PORTS[scheme], unquote(username) or None, unquote(password))

    def __str__(self) -> str:
        return f"{self.scheme} proxy {_authority(self.host, self.port)}"

    @property
    def takes_requests(self) -> bool:
        """Whether plain HTTP requests go to the proxy whole, as absolute URLs, instead of through a tunnel."""
        return self.scheme == "http"

    @property
    def authorization(self) -> str | None:
        """Value of ``Proxy-Authorization`` (RFC 7617), ``None`` without a user."""
        if self.username is None or self.scheme != "http":
            return None
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


def proxy_from_environment(url: URL) -> Proxy | None:
    """The proxy that the environment (or the system's settings) names for a URL, ``None`` for none.

    ``HTTP_PROXY`` is for http and ws, ``HTTPS_PROXY`` for https and wss, ``ALL_PROXY`` for what has none of its own;
    ``NO_PROXY`` lists hosts that are reached directly, and loopback addresses always are. ``HTTP_PROXY`` in capital
    letters is ignored inside a CGI program, where it comes from a header of the client.

    Raises:
        ConfigurationError: a variable does not hold the URL of a proxy.
    """
    if url.socket_path is not None or _is_loopback(url.host):
        return None
    proxies = getproxies()
    found = proxies.get(_VARIABLES[url.scheme]) or proxies.get("all")
    if not found or proxy_bypass(_authority(url.host, url.port)):
        return None
    return Proxy.parse(found if "://" in found else f"http://{found}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Let the proxy at the other end of a socket connect it to a server.

    Args:
        sock: connected to the proxy; non-blocking. When this returns it leads to the server.
        proxy: what it speaks.
        host: of the server. Where the proxy does not resolve names it must be an address.
        port: of the server.

    Raises:
        HandshakeError: an HTTP proxy answered with another status than 2xx.
        ConnectError: the proxy cannot reach the server, refuses to, or does not speak its protocol.
        OSError: the connection to the proxy failed.
    """
    pipe = Pipe(sock, str(proxy))
    if proxy.scheme == "http":
        await _open_http(pipe, proxy, _authority(host, port))
    elif proxy.scheme.startswith("socks4"):
        await open_socks4(pipe, host, port, proxy.username or "")
    else:
        await open_socks5(pipe, host, port, username=proxy.username, password=proxy.password)


def needs_address(proxy: Proxy) -> bool:
    """Whether the server's name has to be resolved on this side."""
    return proxy.scheme != "http" and not resolves_names(proxy.scheme)


async def _open_http(pipe: Pipe, proxy: Proxy, authority: str) -> None:
    authorization = proxy.authorization
    line = "" if authorization is None else f"Proxy-Authorization: {authorization}\r\n"
    await pipe.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{line}\r\n".encode("ascii"))
    collector = HeadCollector(Limits(), check_status_line, empty_lines=0)
    try:
        while (found := collector.collect(await pipe.receive_some())) is None:
            pass
        head, _ = parse_response_head(found[0])
    except RemoteProtocolError as error:
        raise ConnectError(f"the {proxy} answered with something else than HTTP: {error}") from error
    if not 200 <= head.status <= 299:
        message = f"the {proxy} answered with status {head.status} instead of a tunnel to {authority}"
        raise HandshakeError(message, status=head.status, headers=head.headers.items())
    if found[1]:
        raise ConnectError(f"the {proxy} sent {len(found[1])} bytes before anything was asked of {authority}")
