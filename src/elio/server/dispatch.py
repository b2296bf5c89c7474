"""What becomes of a request: the handler of its route, or the answer where there is none, inside the middleware."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from ..errors import HTTPError
from ..request import Request
from ..response import Response
from ..routing import Match, MethodNotAllowed, NotFound, Options, RouteTable, join_prefix
from .cors import Handler, Middleware

__all__ = ["Dispatcher", "around", "as_handler"]


class Dispatcher:
    """Finds the handler of a request and calls it."""

    __slots__ = ("_not_found", "_scopes", "_table")

    def __init__(self, table: RouteTable[Handler], not_found: Handler | None) -> None:
        self._table = table
        self._not_found = not_found
        self._scopes: RouteTable[tuple[Middleware, ...]] = RouteTable()

    def add_scope(self, prefix: str, middleware: tuple[Middleware, ...]) -> None:
        """Put middleware around what is answered without a handler below a prefix, such as OPTIONS, 404 and 405."""
        known = isinstance(self._scopes.match("GET", join_prefix(prefix, "/")), Match)
        if middleware and not known:
            self._scopes.add(join_prefix(prefix, "/*"), "GET", middleware)

    def _find(self, request: Request) -> Match[Handler] | NotFound | MethodNotAllowed | Options:
        head = request.head
        path = request.raw_path
        if head.upgrade and head.asks_for("websocket"):
            found = self._table.match(head.method, path, websocket=True)
            if not isinstance(found, NotFound):  # an HTTP route may ignore the wish (RFC 9110 7.8)
                return found
        return self._table.match(head.method, path)

    def __call__(self, request: Request) -> Awaitable[Response]:
        found = self._find(request)
        if isinstance(found, Match):
            if found.params:
                request.params = found.params
            handler: Handler = found.endpoint
            return handler(request)
        scope = self._scopes.match("GET", request.raw_path)
        refuse = _Refusal(self, found)
        return around(scope.endpoint, refuse)(request) if isinstance(scope, Match) else refuse(request)

    async def refuse(self, request: Request, found: NotFound | MethodNotAllowed | Options) -> Response:
        """Answer a request for which there is no handler.

        Raises:
            HTTPError: 404, 405, 426.
        """
        if isinstance(found, Options):
            return Response(status=204, headers={"Allow": ", ".join(found.allow)})
        if isinstance(found, MethodNotAllowed):
            allow = ", ".join(found.allow)
            raise HTTPError(405, f"{request.method} is not allowed here, {allow} are", headers=[("Allow", allow)])
        if isinstance(self._table.match("GET", request.raw_path, websocket=True), Match):
            headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
            raise HTTPError(426, "this is a WebSocket; connect with a WebSocket client", headers=headers)
        if self._not_found is not None:
            return await self._not_found(request)
        raise HTTPError(404)


class _Refusal:
    """Answers a request for which there is no handler."""

    __slots__ = ("_dispatcher", "_found")

    def __init__(self, dispatcher: Dispatcher, found: NotFound | MethodNotAllowed | Options) -> None:
        self._dispatcher = dispatcher
        self._found = found

    def __call__(self, request: Request) -> Awaitable[Response]:
        return self._dispatcher.refuse(request, self._found)


def as_handler(function: Callable[[Request], Any]) -> Handler:
    """A plain function may be a handler too; it runs on the event loop, so it must not wait for anything."""
    if inspect.iscoroutinefunction(function):
        return cast(Handler, function)

    async def handler(request: Request) -> Response:
        result = function(request)
        return cast(Response, await result if inspect.isawaitable(result) else result)

    return handler


def around(middleware: Sequence[Middleware], handler: Handler) -> Handler:
    """The handler inside these functions, the first one outermost."""
    for function in reversed(middleware):
        handler = _wrap(function, handler)
    return handler


def _wrap(function: Middleware, handler: Handler) -> Handler:
    async def call(request: Request) -> Response:
        return await function(request, handler)

    return call
