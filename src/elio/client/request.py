"""A client's request, and where a redirect takes it (RFC 9110 15.4); no I/O.

Secrets stay with their origin: ``Authorization``, ``Cookie``, ``Proxy-Authorization``, user and password of the URL and
whatever the caller names are gone once a redirect leads to another one, every line of them. No redirect leads from TLS
to where everybody can read along.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ..errors import HandshakeError, InvalidHeader, InvalidURL
from ..headers import Headers, HeadersLike
from ..url import URL

__all__ = ["Auth", "ClientRequest", "authorization", "is_redirect"]

Auth: TypeAlias = tuple[str, str] | str
"""User and password (Basic, RFC 7617), or a token (Bearer, RFC 6750)."""

_SECRETS: Final = ("authorization", "cookie", "proxy-authorization")
_BODY_HEADERS: Final = ("content-encoding", "content-language", "content-length", "content-location", "content-type")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def authorization(auth: Auth) -> str:
    """The value of an ``Authorization`` header.

    Raises:
        InvalidHeader: a colon in the user of Basic authentication.
    """
    if isinstance(auth, str):
        return f"Bearer {auth}"
    username, password = auth
    if ":" in username:
        raise InvalidHeader("a user has no colon in Basic authentication", name="authorization")
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def is_redirect(status: int, headers: Headers) -> bool:
    """Whether an answer names another place to ask."""
    return status in _REDIRECTS and "location" in headers


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """A request that may be redirected.

    Attributes:
        method: a token.
        url: where to; its user and password become Basic authentication.
        headers: without ``Host``, unless it is another one than the URL's.
        body: the whole of it.
        secrets: names of headers that are for the origin of the URL only, besides the three that always are.
        each_time: further headers, made anew for every server that is asked.
    """

    method: str
    url: URL
    headers: Headers
    body: bytes = b""
    secrets: frozenset[str] = frozenset()
    each_time: Callable[[], HeadersLike] | None = None

    @classmethod
    def make(
        cls,
        method: str,
        url: URL,
        headers: HeadersLike,
        body: bytes = b"",
        *,
        secrets: Iterable[str] = (),
        each_time: Callable[[], HeadersLike] | None = None,
    ) -> ClientRequest:
        """Check and copy what it is made of.

        Raises:
            InvalidHeader: a header that would break the wire.
        """
        return cls(
            method=method,
            url=url,
            headers=Headers(headers),
            body=body,
            secrets=frozenset(name.lower() for name in (*_SECRETS, *secrets)),
            each_time=each_time,
        )

    def wire_headers(self) -> Headers:
        """The headers as they are sent."""
        sent = Headers([("Host", self.headers.get("host") or self.url.host_header)])
        if self.each_time is not None:
            sent.extend(self.each_time())
        sent.extend([(name, value) for name, value in self.headers.items() if name.lower() != "host"])
        if self.url.username is not None and "authorization" not in sent:
            sent.add("Authorization", authorization((self.url.username, self.url.password or "")))
        return sent

    def redirected(self, status: int, location: str) -> ClientRequest:
        """The request that follows an answer.

        A POST becomes a GET after 301 and 302 as browsers have it, and anything but HEAD after 303.

        Raises:
            HandshakeError: the place is none, leads out of TLS, or to another kind of server.
        """
        try:
            # The header is Latin-1 here; servers that send more than ASCII mean UTF-8.
            url = self.url.resolve(location.encode("latin-1").decode("utf-8", "replace"))
        except InvalidURL as error:
            text = f"redirect to {location[:200]!r} cannot be followed: {error}"
            raise HandshakeError(text, status=status) from error
        if self.url.is_secure and not url.is_secure:
            raise HandshakeError(f"redirect from {self.url.scheme} to {url.scheme} is not followed", status=status)
        next_request = replace(self, url=url)
        if (status == 303 and self.method != "HEAD") or (status in (301, 302) and self.method == "POST"):
            next_request = replace(next_request, method="GET", body=b"", headers=self._without(_BODY_HEADERS))
        if self.url.is_same_origin(url):
            return next_request
        return replace(next_request, headers=next_request._without({*self.secrets, "host"}))

    def _without(self, names: Iterable[str]) -> Headers:
        kept = self.headers.copy()
        for name in names:
            del kept[name]
        return kept
