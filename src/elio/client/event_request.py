"""The request of an event source, which is sent again and again (WHATWG HTML 9.2.3, 9.2.4), and its options; no I/O."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, fields
from typing import Any, Final, TypedDict

from ..errors import ConfigurationError, InvalidURL
from ..headers import Headers, HeadersLike
from ..http.coding import accept_encoding
from ..limits import Limits, with_bounds
from ..net.dial import Route
from ..sse.event import CONTENT_TYPE
from ..url import URL
from ..version import VERSION
from .request import Auth, authorization

__all__ = ["EventRequest", "Surroundings", "split_surroundings"]

# RFC 9110 9.2.2: what may be sent twice without asking anybody.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "QUERY"})


_BOUNDS: Final = frozenset(field.name for field in fields(Limits))


class Surroundings(TypedDict, total=False):
    """Options that say how a server is reached, as :class:`Route` explains them, and bounds of :class:`elio.Limits`."""

    tls: ssl.SSLContext | None
    server_hostname: str | None
    proxy: str | None
    local_address: tuple[str, int] | None
    uds: str | None
    max_event_size: int | None
    open_timeout: float | None
    response_timeout: float | None
    liveness_timeout: float | None
    progress_timeout: float | None


def split_surroundings(limits: Limits | None, options: Surroundings) -> tuple[Route, Limits]:
    """The way to the server, and the limits with what the options change of them.

    Raises:
        ConfigurationError: a bound or a proxy that cannot be used.
        TypeError: an option that does not exist.
    """
    bounds = {name: value for name, value in options.items() if name in _BOUNDS}
    route: dict[str, Any] = {name: value for name, value in options.items() if name not in _BOUNDS}
    return Route(**route), with_bounds(limits, **bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRequest:
    """What is asked for.

    Attributes:
        url: of the event stream.
        method: a token.
        headers: all but ``Last-Event-ID``.
        body: the whole of it.
        is_idempotent: whether it may be sent again though the server may have acted on it already.
    """

    url: URL
    method: str
    headers: Headers
    body: bytes
    is_idempotent: bool

    @classmethod
    def make(
        cls,
        url: str | URL,
        *,
        method: str | None = None,
        headers: HeadersLike = (),
        body: str | bytes | None = None,
        data: Any = None,
        auth: Auth | None = None,
        idempotent: bool | None = None,
        compression: bool = True,
    ) -> EventRequest:
        """Fill in what is usual.

        Args:
            url: http or https, or http+unix.
            method: POST by default if there is a body, else GET.
            headers: they go before the usual ones.
            body: text is sent as UTF-8.
            data: sent as JSON, instead of ``body``.
            auth: user and password, or a bearer token.
            idempotent: ``None`` for what the method says.
            compression: whether every content coding that can be decoded is offered.

        Raises:
            InvalidURL: see :meth:`URL.parse`; also the URL of a WebSocket.
            InvalidHeader: a header that would break the wire.
            ConfigurationError: ``body`` and ``data`` at once.
        """
        where = URL.parse(url) if isinstance(url, str) else url
        if where.is_websocket:
            raise InvalidURL(f"{where} is the URL of a WebSocket, an event stream is http or https", url=str(where))
        if body is not None and data is not None:
            raise ConfigurationError("body and json exclude each other")
        sent = Headers(headers)
        content = body.encode() if isinstance(body, str) else body or b""
        if data is not None:
            content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
            sent.setdefault("Content-Type", "application/json")
        if auth is not None:
            sent.setdefault("Authorization", authorization(auth))
        sent.setdefault("Accept", CONTENT_TYPE)
        sent.setdefault("Cache-Control", "no-cache")
        sent.setdefault("User-Agent", f"elio/{VERSION}")
        if compression:
            sent.setdefault("Accept-Encoding", accept_encoding())
        chosen = method or ("POST" if content else "GET")
        is_idempotent = chosen in _IDEMPOTENT if idempotent is None else idempotent
        return cls(url=where, method=chosen, headers=sent, body=content, is_idempotent=is_idempotent)

    def headers_from(self, last_event_id: bytes | None) -> Headers:
        """The headers of a request that goes on behind an event (9.2.4).

        Args:
            last_event_id: the value of ``Last-Event-ID``; None for none.
        """
        headers = self.headers.copy()
        if last_event_id is not None:
            # Header values are Latin-1 here; the bytes on the wire are UTF-8.
            headers["Last-Event-ID"] = last_event_id.decode("latin-1")
        return headers
