"""Streams to servers: over TCP, Unix sockets or a socket at hand, through proxies, with TLS.

Plain streams are the reactor's where it runs, those with TLS the loop's own. Not here: what is said over the stream,
and time: the caller sets a deadline around it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Any, cast

from ...errors import ConnectError
from ...url import URL
from ..client_loop import ClientLoop
from ..stream import Receiver, Stream
from ..tls import client_context
from .addresses import open_tcp, open_unix, resolve
from .proxy import ENVIRONMENT, Proxy, needs_address, open_tunnel, proxy_from_environment

__all__ = ["Route", "open_stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How servers are reached, whatever the URL.

    Attributes:
        tls: for wss and https; ``None`` for the usual checks against the system's authorities.
        server_hostname: the name that the certificate must have, and that is asked for (SNI); the URL's otherwise.
        proxy: a proxy's URL, ``"environment"`` for what the environment says, ``None`` for none.
        local_address: address and port of this machine to connect from; port 0 for any.
        sock: a connected socket to take instead of connecting. It is the stream's from then on.
        uds: path of a Unix socket to connect to instead of the URL's host.

    Raises:
        ConfigurationError: the URL of the proxy cannot be used.
    """

    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None
    proxy: str | None = ENVIRONMENT
    local_address: tuple[str, int] | None = None
    sock: socket.socket | None = None
    uds: str | None = None

    def __post_init__(self) -> None:
        if self.proxy not in (None, ENVIRONMENT):
            Proxy.parse(self.proxy)

    @property
    def is_fixed(self) -> bool:
        """Whether it leads to one server only, whatever the URL."""
        return self.sock is not None or self.uds is not None

    def proxy_for(self, url: URL) -> Proxy | None:
        """The proxy on the way to a URL.

        Raises:
            ConfigurationError: the environment does not hold the URL of a proxy.
        """
        if self.proxy is None or self.is_fixed or url.socket_path is not None:
            return None
        return proxy_from_environment(url) if self.proxy == ENVIRONMENT else Proxy.parse(self.proxy)

    def forwarder(self, url: URL) -> Proxy | None:
        """The proxy that is to be sent the whole request, with an absolute URL: for plain HTTP."""
        proxy = self.proxy_for(url) if url.scheme == "http" else None
        return proxy if proxy is not None and proxy.takes_requests else None


async def open_stream(url: URL, receiver: Receiver, route: Route) -> Stream:
    """Connect to the server of a URL, or to the proxy that takes its requests.

    ``receiver.connection_made`` has been called with the stream when this returns. If it is cancelled nothing is left
    open.

    Raises:
        ConnectError: no address answers, the system refuses, or TLS fails.
        HandshakeError: a proxy answered with an HTTP status that is no success.
        ConfigurationError: the environment names a proxy that cannot be used.
    """
    where = url.socket_path or route.uds or url.host_header
    try:
        sock = await _open_socket(url, route)
        return await _open_on(sock, url, receiver, route)
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate of {where} is not trusted: {error.verify_message or error}"
        raise ConnectError(text, is_certificate=True) from error
    except (OSError, UnicodeError) as error:
        raise _unreachable(where, error) from error


def _unreachable(where: str, error: Exception) -> ConnectError:
    reason: object = error
    if isinstance(error, (ssl.SSLError, socket.gaierror)):
        reason = error.strerror or error
    elif isinstance(error, OSError) and error.errno:
        reason = os.strerror(error.errno)  # asyncio puts the address again where this belongs
    return ConnectError(f"cannot connect to {where}: {reason}", timed_out=isinstance(error, TimeoutError))


async def _open_on(sock: socket.socket, url: URL, receiver: Receiver, route: Route) -> Stream:
    if not url.is_secure:
        try:
            stream = ClientLoop.current().adopt(sock, receiver)
        except OSError:
            sock.close()
            raise
        if stream is not None:
            return stream
    tls: dict[str, Any] = {}
    if url.is_secure:
        name = route.server_hostname or url.host.rstrip(".")
        tls = {"ssl": route.tls or client_context(), "server_hostname": name}

    def receive() -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, receiver)

    transport, _ = await asyncio.get_running_loop().create_connection(receive, sock=sock, **tls)
    return cast(Stream, transport)


async def _open_socket(url: URL, route: Route) -> socket.socket:
    """A socket that leads to the server, tunnels through proxies included."""
    if route.sock is not None:
        route.sock.setblocking(False)
        return route.sock
    path = route.uds or url.socket_path
    if path is not None:
        return await open_unix(path)
    proxy = route.proxy_for(url)
    if proxy is None:
        return await open_tcp(url.host, url.port, route.local_address)
    sock = await open_tcp(proxy.host, proxy.port, route.local_address)
    if route.forwarder(url) is not None:
        return sock
    try:
        host = await _resolve_first(url.host, url.port, proxy) if needs_address(proxy) else url.host
        await open_tunnel(sock, proxy, host, url.port)
    except BaseException:
        sock.close()
        raise
    return sock


async def _resolve_first(host: str, port: int, proxy: Proxy) -> str:
    targets = await resolve(host, port)
    wanted = [target for target in targets if proxy.scheme == "socks5" or target[0] == socket.AF_INET]
    if not wanted:
        raise ConnectError(f"{host} has no IPv4 address, which the {proxy} would need")
    return str(wanted[0][1][0])
