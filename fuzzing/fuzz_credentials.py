"""Whatever a client writes into ``Authorization``, it is a token, a name with a password, or nothing; and no ticket but
the one that was issued is worth anything.

The first byte of an input chooses where a genuine ticket is changed, the second one how; the rest is the request.
"""

from __future__ import annotations

from base64 import b64decode

from harness import main
from heads import request_of

from elio.auth.credentials import basic_credentials, bearer_token
from elio.auth.tickets import TICKET_SUBPROTOCOL, Tickets
from elio.http.message import RequestHead
from elio.request import Request

SIGNED = Tickets("a secret of many bytes", ttl=1e9)
RANDOM = Tickets(ttl=1e9)


def check_authorization(request: Request) -> None:
    """What is found was said."""
    token, credentials = bearer_token(request), basic_credentials(request)
    assert token is None or credentials is None
    if token is not None:
        assert token.isascii()
        assert " " not in token
        assert token in request.headers["authorization"]
    if credentials is not None:
        said = b64decode(request.headers["authorization"].split(" ", 1)[1])
        assert f"{credentials.name}:{credentials.password}".encode() == said
        assert ":" not in credentials.name
        assert credentials.match(*credentials)
        assert not credentials.match(credentials.name, credentials.password + "x")
        assert credentials.password not in repr(credentials).replace(credentials.name, "") or not credentials.password


def check_tickets(request: Request, place: int, change: int) -> None:
    """Of the request itself, which knows no secret, and of a genuine one that is changed."""
    for tickets in (SIGNED, RANDOM):
        assert tickets.redeem(request) is None
        ticket = tickets.issue({"name": "ada"})
        place %= len(ticket)
        changed = ticket[:place] + chr(33 + change % 94) + ticket[place + 1 :]
        if changed != ticket:
            assert tickets.redeem(bearing(request, changed)) is None
        assert tickets.redeem(bearing(request, ticket)) == {"name": "ada"}
        assert tickets.redeem(bearing(request, ticket)) is None


def bearing(request: Request, ticket: str) -> Request:
    """The same request with this ticket before what it brings along itself."""
    headers = request.headers.copy()
    headers["Sec-WebSocket-Protocol"] = TICKET_SUBPROTOCOL + ticket
    head = RequestHead(request.method, request.target, request.head.http_version, headers)
    return Request(head, body=request.body, client=request.client)


def check(data: bytes) -> None:
    if len(data) < 3:
        return
    request = request_of(data[2:], "192.0.2.1:4000")
    if request is not None:
        check_authorization(request)
        check_tickets(request, data[0], data[1])


if __name__ == "__main__":
    main("credentials", check)
