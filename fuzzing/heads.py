"""Requests for the fuzzers of what reads their headers: only what the HTTP parser lets through reaches that."""

from __future__ import annotations

from elio.body import EMPTY_BODY
from elio.http.http1 import ServerConnection
from elio.http.message import RequestHead
from elio.limits import Limits
from elio.request import Request

__all__ = ["request_of"]

LIMITS = Limits(max_request_line_size=2000, max_headers=20, max_headers_size=5000)


def request_of(data: bytes, client: str) -> Request | None:
    """The first request of these bytes, from that client; None if they begin with none."""
    for event in ServerConnection(LIMITS).receive_data(data):
        if isinstance(event, RequestHead):
            return Request(event, body=EMPTY_BODY, client=client)
    return None
