"""What a request proves its user with: the ``Authorization`` header (RFC 9110 11.6.2).

Both functions read and do not judge: what they return is what the client says. Secrets are compared with
:func:`same_secret` and :meth:`Credentials.match`, which take the same time wherever they differ.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple

from ..request import Request

__all__ = ["Credentials", "basic_credentials", "bearer_token", "same_secret"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Credentials(NamedTuple):
    """A user name and a password as a client has sent them (RFC 7617 2).

    Attributes:
        name: without a colon.
        password: as sent.
    """

    name: str
    password: str

    def __repr__(self) -> str:
        return f"<Credentials of {self.name!r}>"

    def match(self, name: str, password: str) -> bool:
        """Whether they are these; how long it takes says nothing about which part differs, and where."""
        return same_secret(self.name, name) & same_secret(self.password, password)


def bearer_token(request: Request) -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 2.1); None without one, or if it is not one of its syntax.

    Browsers cannot send headers with a WebSocket or an ``EventSource``; :class:`elio.Tickets` are for them.
    """
    token = _credentials_of(request, "bearer")
    return token if token is not None and _TOKEN.fullmatch(token) else None


def basic_credentials(request: Request) -> Credentials | None:
    """Name and password of ``Authorization: Basic`` (RFC 7617 2), in UTF-8; None without them, or if they are broken.

    Who needs them answers ``elio.Unauthorized(challenge='Basic realm="..."')`` where there are none.
    """
    encoded = _credentials_of(request, "basic")
    if encoded is None:
        return None
    try:
        text = b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return Credentials(name, password) if colon and not _CONTROL.search(text) else None


def same_secret(given: str, secret: str) -> bool:
    """Whether two secrets are the same; how long it takes says nothing about where they differ.

    Their digests are compared, so that it does not depend on their lengths either.
    """
    return compare_digest(_digest(given), _digest(secret))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _credentials_of(request: Request, scheme: str) -> str | None:
    """What follows the name of the scheme. Of several headers none counts: others might have looked at another one."""
    values = request.headers.get_all("authorization")
    if len(values) != 1:
        return None
    name, _, credentials = values[0].partition(" ")
    return credentials.strip(" ") if name.lower() == scheme else None
