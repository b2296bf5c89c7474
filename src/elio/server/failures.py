"""Exceptions of handlers and of the protocol as HTTP responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from ..causes import OverLimit
from ..errors import ClientDisconnected, HTTPError, RemoteProtocolError
from ..http.message import reason_phrase
from ..request import Request
from ..response import Response
from .context import Context

__all__ = ["error_response", "log_failure", "respond", "response_to", "too_many"]

logger = logging.getLogger("elio.server")


def error_response(error: HTTPError | RemoteProtocolError) -> Response:
    """Plain text that says what is wrong: nothing of it is markup to a browser."""
    detail = error.detail if isinstance(error, HTTPError) else str(error)
    status = error.status or 400
    text = f"{status} {reason_phrase(status)}"
    if detail:
        text += f": {detail}"
    response = Response.text(text + "\n", status=status, headers=error.headers)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def too_many(excess: OverLimit) -> HTTPError:
    """The answer to a connection beyond a bound."""
    whose = " of your address" if excess.bound == "max_connections_per_address" else ""
    return HTTPError(503, f"too many connections{whose}", headers=[("Retry-After", "5")])


def respond(context: Context, request: Request) -> Response | Awaitable[Response]:
    """Call the application; what it raises becomes a response. A failure is logged once, with its traceback.

    Returns:
        The response; something to await if it is not there yet.
    """
    try:
        answer = context.app(request)
    except Exception as error:
        return response_to(context, request, error)
    return answer if isinstance(answer, Response) else _settle(context, request, answer)


async def _settle(context: Context, request: Request, answer: Awaitable[Response]) -> Response:
    try:
        response = await answer
        if isinstance(response, Response):
            return response
        raise TypeError(f"a handler must return a Response, not {type(response).__name__}")
    except asyncio.CancelledError:
        raise
    except Exception as error:
        return await response_to(context, request, error)


async def response_to(context: Context, request: Request, error: Exception) -> Response:
    """The response to what a handler raised."""
    if context.on_error is not None:
        try:
            return await context.on_error(request, error)
        except Exception as second:
            error = second
    if isinstance(error, (HTTPError, RemoteProtocolError)):
        return error_response(error)
    if isinstance(error, ClientDisconnected):
        return error_response(HTTPError(400, "the client left before its request was complete"))
    log_failure(request, error)
    return error_response(HTTPError(500))


def log_failure(request: Request, error: Exception) -> None:
    """Log what a handler raised, with its traceback."""
    logger.error("handler of %s %s failed", request.method, ascii(request.path), exc_info=error)
