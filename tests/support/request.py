"""Requests as handlers get them, without a connection."""

from __future__ import annotations

from elio.body import EMPTY_BODY, Body
from elio.headers import Headers, HeadersLike
from elio.http.message import RequestHead
from elio.request import Request


def make_request(
    method: str = "GET",
    target: str = "/",
    headers: HeadersLike = (),
    *,
    body: Body | bytes = EMPTY_BODY,
    client: str = "192.0.2.1:5000",
    params: dict[str, str] | None = None,
) -> Request:
    """A request with this head and body."""
    whole = Body.from_bytes(body) if isinstance(body, bytes) else body
    return Request(RequestHead(method, target, "1.1", Headers(headers)), body=whole, client=client, params=params)
