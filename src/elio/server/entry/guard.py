"""Asks who it is before a handler is called: for HTTP, WebSocket and event-stream routes in the same way.

The answer to those who are refused is an ordinary HTTP response, before any upgrade.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ...auth.identity import Identity
from ...errors import HTTPError, Unauthorized
from ...request import Request
from ...response import Response

__all__ = ["Authenticate", "guarded"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Authenticate: TypeAlias = Callable[[Request], Any]
"""Returns the user, an :class:`elio.Identity`, None for nobody, or a response to answer with; or an awaitable of it."""


def guarded(handler: Handler, authenticate: Authenticate) -> Handler:
    """A handler that is called for those whom ``authenticate`` knows; ``request.user`` is who it is then.

    Others are answered 401. What ``authenticate`` raises is answered as if the handler had raised it: 403 is for users
    who are known and may not.
    """

    async def call(request: Request) -> Response:
        found = await _ask(authenticate, request)
        if isinstance(found, Response):
            return found
        request.identity = found
        return await handler(request)

    return call


async def _ask(authenticate: Authenticate, request: Request) -> Identity | Response:
    try:
        found = authenticate(request)
        if inspect.isawaitable(found):
            found = await found
    except HTTPError as error:
        raise _with_challenge(error) from error.__cause__
    # False is what a comparison returns that failed.
    if found is None or found is False:
        raise Unauthorized
    if isinstance(found, Response):
        return found
    identity = found if isinstance(found, Identity) else Identity(found)
    if identity.has_expired:
        raise Unauthorized("the authentication has expired")
    return identity


def _with_challenge(error: HTTPError) -> HTTPError:
    """A 401 says what to authenticate with (RFC 9110 15.5.2)."""
    if error.status != 401 or any(name.lower() == "www-authenticate" for name, _ in error.headers):
        return error
    return Unauthorized(error.detail)
