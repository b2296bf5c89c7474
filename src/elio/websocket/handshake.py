"""The opening handshake as functions over headers, both sides (RFC 6455 4), and who may knock (RFC 6455 10.2).

A server calls :func:`check_request`, :func:`origin_allowed`, :func:`parse_subprotocols` and :func:`accept_response`; a
client :func:`build_request` and :func:`check_response`. The server's errors are :class:`RemoteProtocolError` with the
status to answer, the client's :class:`HandshakeError`.

Not here: request and status line, redirects, authentication, and the handshake over HTTP/2 (RFC 8441).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from os import urandom
from typing import Final, NamedTuple

from ..errors import HandshakeError, InvalidHeader, InvalidURL, RemoteProtocolError
from ..headers import Headers, HeadersLike, is_token, parse_list
from ..url import URL, parse_authority
from . import digest
from .deflate import DeflateOptions, PerMessageDeflate, accept_answer, offer

__all__ = [
    "Agreement",
    "accept_key",
    "accept_response",
    "build_request",
    "check_request",
    "check_response",
    "check_version_and_key",
    "generate_key",
    "host_allowed",
    "is_same_origin",
    "is_websocket_upgrade",
    "origin_allowed",
    "parse_origin",
    "parse_subprotocols",
    "select_subprotocol",
]

_VERSION: Final = "13"
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\s]+)")
_HTTP_OF: Final = {"ws": "http", "wss": "https"}
_PORTS: Final = {"http": 80, "https": 443}
_OWN_HEADERS: Final = frozenset(("upgrade", "connection", "content-length", "transfer-encoding"))


# -- server ------------------------------------------------------------------------------------------------------------


def is_websocket_upgrade(method: str, headers: Headers) -> bool:
    """Whether a request wants to become a WebSocket at all; :func:`check_request` tells whether it does so rightly."""
    return method == "GET" and headers.has_token("Upgrade", "websocket")


def check_request(method: str, http_version: str, headers: Headers) -> str:
    """Check a client's opening handshake (RFC 6455 4.2.1).

    Args:
        method: of the request line.
        http_version: of the request line, such as ``"1.1"``.
        headers: the request's.

    Returns:
        The key, for :func:`accept_response`.

    Raises:
        RemoteProtocolError: status 405 for a method other than GET, 426 for a version other than 13 (RFC 6455 4.4), 400
            for anything else; ``headers`` has what belongs into that answer.
    """
    if method != "GET":
        raise RemoteProtocolError(
            f"opening handshake with method {method!r}, only GET opens a WebSocket",
            status=405,
            headers=[("Allow", "GET")],
        )
    if http_version != "1.1":
        raise _bad_request(f"opening handshake over HTTP/{http_version}, it takes HTTP/1.1")
    if not headers.has_token("Upgrade", "websocket"):
        raise _bad_request("opening handshake without Upgrade: websocket")
    if not headers.has_token("Connection", "Upgrade"):
        raise _bad_request("opening handshake without Connection: Upgrade")
    # What follows the head is frames: a body would be taken for them.
    if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        raise _bad_request("opening handshake with a body")
    return check_version_and_key(headers)


def check_version_and_key(headers: Headers) -> str:
    """The part of :func:`check_request` that is about the headers of WebSocket; returns and raises the same."""
    _check_version(headers)
    return _check_key(headers)


def _check_version(headers: Headers) -> None:
    versions = headers.get_all("Sec-WebSocket-Version")
    if len(versions) > 1:
        raise _bad_request("more than one Sec-WebSocket-Version")
    if versions != [_VERSION]:
        seen = f"version {versions[0]!r}" if versions else "no version"
        raise RemoteProtocolError(
            f"opening handshake with {seen}, supported is {_VERSION}",
            status=426,
            headers=[("Sec-WebSocket-Version", _VERSION), ("Upgrade", "websocket"), ("Connection", "Upgrade")],
        )


def _check_key(headers: Headers) -> str:
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1:
        raise _bad_request(f"{len(keys)} headers Sec-WebSocket-Key instead of one")
    if not digest.is_key(keys[0]):
        raise _bad_request(f"Sec-WebSocket-Key {keys[0]!r} is not 16 bytes in base64")
    return keys[0]


def _bad_request(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, status=400)


def parse_subprotocols(headers: Headers) -> list[str]:
    """The subprotocols that a client offers, in its order of preference (RFC 6455 4.2.1, 11.3.4).

    Raises:
        RemoteProtocolError: one that is not a token, or one that comes twice; status 400.
    """
    values = headers.get_all("Sec-WebSocket-Protocol")
    if not values:
        return values
    offered = [item for value in values for item in parse_list(value)]
    for subprotocol in offered:
        if not is_token(subprotocol):
            raise _bad_request(f"subprotocol {subprotocol!r} is not a token")
    if len(set(offered)) < len(offered):
        raise _bad_request("a subprotocol is offered twice")
    return offered


def select_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first subprotocol of the client's that the server supports, or ``None``: then none is spoken of."""
    return next((subprotocol for subprotocol in offered if subprotocol in supported), None)


def accept_key(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key`` (RFC 6455 4.2.2)."""
    return digest.accept_key(key)


def accept_response(key: str, subprotocol: str | None = None, extensions: str | None = None) -> Headers:
    """The headers of the 101 response (RFC 6455 4.2.2).

    Args:
        key: what :func:`check_request` returned.
        subprotocol: one of those that the client offered.
        extensions: what :func:`elio.websocket.deflate.accept_offers` answers.

    Raises:
        InvalidHeader: the subprotocol is not a token.
    """
    headers = Headers.from_trusted(
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
    )
    if subprotocol is not None:
        _check_subprotocols([subprotocol])
        headers.add("Sec-WebSocket-Protocol", subprotocol)
    if extensions is not None:
        headers.add("Sec-WebSocket-Extensions", extensions)
    return headers


def _check_subprotocols(subprotocols: Sequence[str]) -> None:
    for subprotocol in subprotocols:
        if not is_token(subprotocol):
            text = f"subprotocol {subprotocol!r} is not a token"
            raise InvalidHeader(text, name="Sec-WebSocket-Protocol", value=subprotocol)
    if len(set(subprotocols)) < len(subprotocols):
        raise InvalidHeader(
            "a subprotocol is named twice", name="Sec-WebSocket-Protocol", value=", ".join(subprotocols)
        )


# -- who may knock -----------------------------------------------------------------------------------------------------


def parse_origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a serialized origin (RFC 6454 6.2); ``None`` for ``null`` and what is none.

    A scheme without a known port has port 0. Use it to check configured origins when they are configured.
    """
    parts = _ORIGIN.fullmatch(text)
    if parts is None:
        return None
    scheme = parts[1].lower()
    try:
        host, port = parse_authority(parts[2])
    except InvalidURL:
        return None
    return scheme, host, port or _PORTS.get(scheme, 0)


def is_same_origin(origin: str, host: str, scheme: str) -> bool:
    """Whether the origin is that of the request itself.

    Args:
        origin: the ``Origin`` header.
        host: the ``Host`` header.
        scheme: how the request came: http, https, ws or wss.
    """
    seen = parse_origin(origin)
    return seen is not None and seen == parse_origin(f"{_HTTP_OF.get(scheme, scheme)}://{host}")


def origin_allowed(origin: str | None, *, host: str, scheme: str, allowed: Sequence[str] | None) -> bool:
    """Whether a page of that origin may open a WebSocket here (RFC 6455 10.2): against hijacking from other sites.

    Origins are compared whole, by scheme, host and port. A request without ``Origin`` does not come from a page.

    Args:
        origin: the ``Origin`` header; ``None`` without one.
        host: the ``Host`` header.
        scheme: how the request came: http, https, ws or wss.
        allowed: ``None`` for the request's own origin; otherwise these and no others, such as
            ``"https://example.com:8443"``. ``"*"`` is any; ``"null"`` is for sandboxed pages and local files.
    """
    if origin is None:
        return True
    if allowed is None:
        return is_same_origin(origin, host, scheme)
    allowed = _as_list(allowed)
    if "*" in allowed or origin in allowed:
        return True
    seen = parse_origin(origin)
    return seen is not None and any(parse_origin(item) == seen for item in allowed)


def host_allowed(host: str | None, allowed: Sequence[str] | None) -> bool:
    """Whether a request may be meant for this server: against DNS rebinding, where ``Origin`` and ``Host`` agree.

    Args:
        host: the ``Host`` header. Browsers always send one, and without one nothing but ``"*"`` allows it.
        allowed: names and addresses, their ports do not matter; ``"*.example.com"`` is every name below that one,
            ``"*"`` any. ``None`` for what a machine calls itself: localhost, names below it, and loopback addresses.
    """
    if allowed is not None and "*" in (allowed := _as_list(allowed)):
        return True
    if allowed is None:
        return _is_own(host or "")
    name = _name_in(host or "")
    if name is None:
        return False
    return _is_among(name, allowed)


def _as_list(allowed: Sequence[str]) -> Sequence[str]:
    """A string is a sequence of strings too, and ``in`` would look for parts of it."""
    return [allowed] if isinstance(allowed, str) else allowed


@lru_cache(maxsize=32)
def _name_in(authority: str) -> str | None:
    """Host names are asked for again and again, and there are few."""
    try:
        return parse_authority(authority)[0]
    except InvalidURL:
        return None


@lru_cache(maxsize=32)
def _is_own(authority: str) -> bool:
    """Whether that is what a machine calls itself."""
    name = _name_in(authority)
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_among(name: str, allowed: Sequence[str]) -> bool:
    return any(_matches(name, pattern.lower()) for pattern in allowed)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == (_name_in(pattern) or pattern)  # the pattern itself: an IPv6 address without brackets


# -- client ------------------------------------------------------------------------------------------------------------


class Agreement(NamedTuple):
    """What client and server agreed on.

    Attributes:
        subprotocol: ``None`` if the server chose none.
        deflate: ``None`` without compression.
    """

    subprotocol: str | None
    deflate: PerMessageDeflate | None


def generate_key() -> str:
    """A fresh ``Sec-WebSocket-Key``: 16 random bytes (RFC 6455 4.1)."""
    return b64encode(urandom(16)).decode()


def build_request(
    url: URL,
    *,
    key: str,
    subprotocols: Sequence[str] = (),
    deflate: DeflateOptions | None = None,
    origin: str | None = None,
    headers: HeadersLike = (),
) -> tuple[str, Headers]:
    """Build a client's opening handshake (RFC 6455 4.1).

    Args:
        url: where to.
        key: from :func:`generate_key`; a new one for each attempt.
        subprotocols: in order of preference.
        deflate: what compression to offer; ``None`` for none.
        origin: the ``Origin`` header; ``None`` for none.
        headers: further headers. A ``Host`` among them takes the place of the URL's.

    Returns:
        Target and headers of a GET request over HTTP/1.1. User and password of the URL are not in them.

    Raises:
        InvalidHeader: a header or subprotocol that would break the wire, or a header that the handshake itself sets.
    """
    extra = Headers(headers)
    _check_extra(extra, origin)
    _check_subprotocols(subprotocols)
    request = Headers([("Host", extra.get("Host") or url.host_header), ("Upgrade", "websocket")])
    request.extend([("Connection", "Upgrade"), ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", _VERSION)])
    if origin is not None:
        request.add("Origin", origin)
    if subprotocols:
        request.add("Sec-WebSocket-Protocol", ", ".join(subprotocols))
    if deflate is not None:
        request.add("Sec-WebSocket-Extensions", offer(deflate))
    del extra["Host"]
    request.extend(extra)
    return url.target, request


def _check_extra(extra: Headers, origin: str | None) -> None:
    for name in extra:
        if name in _OWN_HEADERS or name.startswith("sec-websocket-") or (name == "origin" and origin is not None):
            raise InvalidHeader(f"header {name} is set by the handshake", name=name, value=extra[name])
    if len(extra.get_all("Host")) > 1:
        raise InvalidHeader("more than one header host", name="host", value=extra["Host"])


def check_response(
    status: int,
    headers: Headers,
    *,
    key: str,
    subprotocols: Sequence[str] = (),
    deflate: DeflateOptions | None = None,
) -> Agreement:
    """Check a server's answer to :func:`build_request` (RFC 6455 4.1, the list at its end).

    Args:
        status: of the response.
        headers: of the response.
        key: what was sent.
        subprotocols: what was offered.
        deflate: what was offered.

    Raises:
        HandshakeError: another status than 101, or an answer that does not fit; it carries status and headers.
    """
    try:
        _check_switch(status, headers, key)
        return Agreement(
            _check_subprotocol(headers, subprotocols),
            accept_answer(headers.get_all("Sec-WebSocket-Extensions"), deflate),
        )
    except HandshakeError as error:
        error.status = status
        error.headers = tuple(headers.items())
        raise


def _check_switch(status: int, headers: Headers, key: str) -> None:
    if status != 101:
        raise HandshakeError(f"the server answered with status {status} instead of 101")
    upgrade = headers.get_list("Upgrade")
    if [item.lower() for item in upgrade] != ["websocket"]:
        raise HandshakeError(f"the server upgrades to {', '.join(upgrade) or 'nothing'} instead of websocket")
    if not headers.has_token("Connection", "Upgrade"):
        raise HandshakeError("the server answered without Connection: Upgrade")
    accepts = headers.get_all("Sec-WebSocket-Accept")
    if len(accepts) != 1:
        raise HandshakeError(f"the server answered with {len(accepts)} headers Sec-WebSocket-Accept instead of one")
    if accepts[0] != accept_key(key):
        raise HandshakeError(f"Sec-WebSocket-Accept is {accepts[0]!r}, expected {accept_key(key)!r}")


def _check_subprotocol(headers: Headers, subprotocols: Sequence[str]) -> str | None:
    chosen = headers.get_all("Sec-WebSocket-Protocol")
    if not chosen:
        return None
    if len(chosen) > 1:
        raise HandshakeError("the server chose more than one subprotocol")
    if chosen[0] not in subprotocols:
        raise HandshakeError(f"the server chose subprotocol {chosen[0]!r}, which was not offered")
    return chosen[0]
