"""Cross-origin resource sharing: which pages of other origins may read the answers (WHATWG Fetch 3.2).

For HTTP routes and event streams. WebSockets know no such thing: a server must refuse foreign origins by itself, and
does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..errors import ConfigurationError, HTTPError
from ..headers import Headers, is_token
from ..request import Request
from ..response import Response

__all__ = ["Handler", "Middleware", "cors"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
Names: TypeAlias = Iterable[str] | Literal["*"]

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_PREFLIGHT_VARY: Final = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


def cors(
    *,
    allow_origins: Names,
    allow_methods: Names = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    allow_headers: Names = ("Content-Type", "Last-Event-ID"),
    allow_credentials: bool = False,
    expose_headers: Names = (),
    max_age: int = 600,
) -> Middleware:
    """Make a middleware that answers preflight requests and marks the other answers.

    A preflight request is answered here, with 204, before any handler; one from an origin that is not allowed with 403.
    An ordinary request from such an origin is served as always, and its browser keeps the answer from the page.

    Args:
        allow_origins: origins such as ``https://example.com``, compared as a whole; or ``"*"`` for everyone.
        allow_methods: methods that pages may use; ``"*"`` for whichever they ask for.
        allow_headers: request headers that pages may set beyond the harmless ones; ``"*"`` for whichever they ask for.
        allow_credentials: whether cookies may come along. Only with a list of origins.
        expose_headers: response headers that scripts may read beyond the harmless ones; ``"*"`` for all of them, which
            browsers take only without credentials.
        max_age: seconds for which browsers remember the answer to a preflight request.

    Raises:
        ConfigurationError: ``"*"`` with credentials, what is no origin, what is no token.
    """
    policy = _Policy(
        origins=_origins(allow_origins, allow_credentials),
        methods=_names(allow_methods),
        headers=_names(allow_headers),
        credentials=allow_credentials,
        exposed="*" if expose_headers == "*" else ", ".join(_listed(expose_headers)),
        max_age=max_age,
    )

    async def middleware(request: Request, handler: Handler) -> Response:
        if _is_preflight(request):
            return policy.answer(request)
        marks = policy.marks(request.headers)
        try:
            response = await handler(request)
        except HTTPError as error:
            headers = Headers(error.headers)
            policy.mark(headers, marks)
            error.headers = tuple(headers.items())
            raise
        policy.mark(response.headers, marks)
        return response

    return middleware


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """What is allowed; ``None`` stands for everything."""

    origins: frozenset[str] | None
    methods: tuple[str, ...] | None
    headers: tuple[str, ...] | None
    credentials: bool
    exposed: str
    max_age: int

    def allowed_origin(self, headers: Headers) -> str:
        """The value for ``Access-Control-Allow-Origin``; empty if the origin is not allowed or there is none."""
        origins = headers.get_all("origin")
        if len(origins) != 1:
            return ""
        if self.origins is None:
            return "*"
        return origins[0] if origins[0] in self.origins else ""

    def marks(self, headers: Headers) -> dict[str, str]:
        """The headers for the answer to an ordinary request."""
        origin = self.allowed_origin(headers)
        if not origin:
            return {}
        marks = {"Access-Control-Allow-Origin": origin}
        if self.credentials:
            marks["Access-Control-Allow-Credentials"] = "true"
        if self.exposed:
            marks["Access-Control-Expose-Headers"] = self.exposed
        return marks

    def mark(self, headers: Headers, marks: dict[str, str]) -> None:
        for name, value in marks.items():
            headers[name] = value
        # Also without an origin: a cache must not give this answer to a page that sends one.
        if self.origins is not None and not (headers.has_token("vary", "origin") or headers.has_token("vary", "*")):
            headers.add("Vary", "Origin")

    def answer(self, request: Request) -> Response:
        """The answer to a preflight request. The browser compares: methods and headers are told, not judged."""
        vary = {"Vary": ", ".join(_PREFLIGHT_VARY)}
        origin = self.allowed_origin(request.headers)
        if not origin:
            return Response.text("this origin is not allowed", status=403, headers=vary)
        response = Response.empty(headers=vary)
        asked = request.headers
        methods = self.methods or tuple(filter(is_token, asked.get_all("access-control-request-method")))
        names = self.headers if self.headers is not None else asked.get_list("access-control-request-headers")
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = ", ".join(filter(is_token, names))
        response.headers["Access-Control-Max-Age"] = str(self.max_age)
        if self.credentials:
            response.headers["Access-Control-Allow-Credentials"] = "true"
        return response


def _is_preflight(request: Request) -> bool:
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def _names(names: Names) -> tuple[str, ...] | None:
    return None if names == "*" else _listed(names)


def _listed(names: Iterable[str]) -> tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else tuple(names)
    for name in listed:
        if not is_token(name):
            raise ConfigurationError(f"{name!r} is not the name of a method or header")
    return listed


def _origins(origins: Names, credentials: bool) -> frozenset[str] | None:
    if origins == "*":
        if credentials:
            raise ConfigurationError("credentials are only for listed origins: allow_origins must not be '*'")
        return None
    listed = [origins.lower()] if isinstance(origins, str) else [origin.lower() for origin in origins]
    for origin in listed:
        if origin == "*" or _ORIGIN.fullmatch(origin) is None:
            raise ConfigurationError(f"{origin!r} is not an origin, such as 'https://example.com' without a path")
    return frozenset(listed)
