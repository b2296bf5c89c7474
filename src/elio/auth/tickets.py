"""``Tickets``: one-time tickets for browsers, which cannot send headers with a WebSocket or an ``EventSource``.

A page that is signed in asks for a ticket over HTTP and brings it along when it opens the connection: as the query
parameter ``ticket``, which the access log does not show, or as a subprotocol ``elio.ticket.<ticket>``, which is never
agreed on.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any, Final

from ..errors import ConfigurationError
from ..request import Request

__all__ = ["TICKET_PARAMETER", "TICKET_SUBPROTOCOL", "Tickets"]

TICKET_PARAMETER: Final = "ticket"
TICKET_SUBPROTOCOL: Final = "elio.ticket."

_RANDOM: Final = 18
"""Bytes of chance in a ticket: 144 bits, 24 characters."""

_SHORTEST_SECRET: Final = 16
"""Bytes below which a secret could be guessed."""

_LONGEST: Final = 4096
"""Characters of a ticket above which it is not looked at."""


class Tickets:
    """Makes tickets and takes them back, each once, within a short time.

    Without a secret a ticket is a random number that this process remembers together with the user: it can be redeemed
    once, in this process and no other. With a secret the ticket itself carries the user, signed (HMAC-SHA256), and any
    process that has the secret can redeem it; each of them once, since they do not know of each other.

    Args:
        secret: at least 16 bytes that nobody else knows, the same in every process. The user must be JSON then, and
            whoever sees the ticket can read it.
        ttl: seconds that a ticket lives.
        max_tickets: tickets that are remembered at a time. One more without a secret makes the oldest worthless; with
            one it is not redeemed.

    Raises:
        ConfigurationError: the secret is too short, or one of the numbers is not above 0.
    """

    __slots__ = ("_known", "_max_tickets", "_secret", "_ttl")

    def __init__(self, secret: bytes | str | None = None, *, ttl: float = 30.0, max_tickets: int = 100_000) -> None:
        key = secret.encode() if isinstance(secret, str) else secret
        if key is not None and len(key) < _SHORTEST_SECRET:
            raise ConfigurationError(f"a secret of {len(key)} bytes, at least {_SHORTEST_SECRET} are needed")
        if not (ttl > 0 and max_tickets > 0):
            raise ConfigurationError(f"ttl is {ttl} and max_tickets {max_tickets}, both must be above 0")
        self._secret = key
        self._ttl = ttl
        self._max_tickets = max_tickets
        # By digest, when it is over, and whose it is: those that can be redeemed, or, with a secret, that were.
        self._known: dict[bytes, tuple[float, Any]] = {}

    def __repr__(self) -> str:
        return f"<Tickets {'random' if self._secret is None else 'signed'} ttl={self._ttl:g}>"

    def issue(self, user: Any) -> str:
        """A new ticket for this user.

        Raises:
            TypeError: there is a secret, and the user is not JSON.
        """
        if self._secret is not None:
            return self._sign(self._secret, user)
        ticket = secrets.token_urlsafe(_RANDOM)
        self._remember(ticket, time.time() + self._ttl, user)
        while len(self._known) > self._max_tickets:
            del self._known[next(iter(self._known))]
        return ticket

    def redeem(self, request: Request) -> Any:
        """The user of the ticket that a request brings along; None without a good one. It is worthless from then on."""
        ticket = _ticket_of(request)
        if not ticket or len(ticket) > _LONGEST or not ticket.isascii():
            return None
        self._drop_old()
        if self._secret is not None:
            return self._open(self._secret, ticket)
        expires, user = self._known.pop(_key(ticket), (0.0, None))
        return user if time.time() < expires else None

    # -- with a secret -------------------------------------------------------------------------------------------------

    def _sign(self, secret: bytes, user: Any) -> str:
        fields = [secrets.token_urlsafe(_RANDOM), time.time() + self._ttl, user]
        content = _encode(json.dumps(fields, allow_nan=False, separators=(",", ":")).encode())
        return f"{content}.{_seal(secret, content)}"

    def _open(self, secret: bytes, ticket: str) -> Any:
        content, _, seal = ticket.partition(".")
        if not compare_digest(seal, _seal(secret, content)):
            return None
        _, expires, user = json.loads(urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        if not time.time() < expires or _key(ticket) in self._known or len(self._known) >= self._max_tickets:
            return None
        self._remember(ticket, expires, None)
        return user

    # -- the memory ----------------------------------------------------------------------------------------------------

    def _remember(self, ticket: str, expires: float, user: Any) -> None:
        self._drop_old()
        self._known[_key(ticket)] = (expires, user)

    def _drop_old(self) -> None:
        """Forget what is over. What comes first is over first, or nearly so: redeemed ones come in any order."""
        now = time.time()
        while self._known:
            first = next(iter(self._known))
            if self._known[first][0] > now:
                return
            del self._known[first]


def _ticket_of(request: Request) -> str | None:
    for subprotocol in request.headers.get_list("sec-websocket-protocol"):
        if subprotocol.startswith(TICKET_SUBPROTOCOL):
            return subprotocol.removeprefix(TICKET_SUBPROTOCOL)
    return request.query.get(TICKET_PARAMETER)


def _key(ticket: str) -> bytes:
    """What is remembered of a ticket: looking it up says nothing about how near a guess was."""
    return sha256(ticket.encode()).digest()


def _seal(secret: bytes, content: str) -> str:
    return _encode(hmac_digest(secret, content.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
