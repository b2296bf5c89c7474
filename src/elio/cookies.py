"""Cookies: the ``Cookie`` header read, the ``Set-Cookie`` header written (RFC 6265 4 and 5.4).

Not here: a cookie jar, signing, encoding of values. Reading takes what peers really send and drops what is no pair;
writing takes only what RFC 6265 4.1.1 allows, and raises before anything else could reach the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from .errors import InvalidHeader
from .headers import is_token
from .http.message import http_date

__all__ = ["SameSite", "format_set_cookie", "parse_cookies"]

SameSite: TypeAlias = Literal["Strict", "Lax", "None"]

# RFC 6265 4.1.1: cookie-octet is US-ASCII without control characters, white space, '"', ',', ';' and '\'.
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_ATTRIBUTE: Final = re.compile(r"[\x20-\x3a\x3c-\x7e]*")


def parse_cookies(values: Iterable[str]) -> dict[str, str]:
    """The cookies of a request. Where a name comes twice the first one counts: it has the longer path (RFC 6265 5.4).

    Args:
        values: the ``Cookie`` header lines; HTTP/2 may split them (RFC 9113 8.2.3).
    """
    cookies: dict[str, str] = {}
    for value in values:
        for pair in value.split(";"):
            name, equals, text = pair.partition("=")
            if equals and (name := name.strip(" \t")):
                cookies.setdefault(name, _unquote(text.strip(" \t")))
    return cookies


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def format_set_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    expires: datetime | None = None,
    path: str = "/",
    domain: str = "",
    secure: bool = False,
    http_only: bool = True,
    same_site: SameSite | None = "Lax",
    partitioned: bool = False,
) -> str:
    """The value of a ``Set-Cookie`` header (RFC 6265 4.1).

    Args:
        name: a token.
        value: cookie octets; encode anything else first, as base64url or with ``urllib.parse.quote``.
        max_age: seconds that the cookie lives; 0 removes it. With neither this nor ``expires`` it ends with the
            browser.
        expires: the same as a moment; without a time zone it is taken for UTC.
        path: the paths that get it; empty leaves the attribute out.
        domain: the domain whose hosts all get it; empty: this host alone.
        secure: over TLS only. The prefixes ``__Host-`` and ``__Secure-``, ``same_site="None"`` and ``partitioned`` need
            it.
        http_only: hidden from scripts.
        same_site: ``Lax`` keeps it out of requests that other sites make; ``None`` (the value) leaves the attribute
            out.
        partitioned: one for each site that embeds this one.

    Raises:
        InvalidHeader: a part that would break the header, or a combination that browsers drop without a word.
    """
    _check_cookie(name, value)
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if expires is not None:
        parts.append(f"Expires={_date(expires)}")
    if domain:
        parts.append(f"Domain={_attribute(name, domain)}")
    if path:
        parts.append(f"Path={_attribute(name, path)}")
    if secure:
        parts.append("Secure")
    elif partitioned or same_site == "None" or name.lower().startswith(("__host-", "__secure-")):
        raise InvalidHeader(f"cookie {name!r} is only taken by browsers with secure=True", name=name, value=value)
    if http_only:
        parts.append("HttpOnly")
    if same_site is not None:
        parts.append(f"SameSite={_attribute(name, same_site)}")
    if partitioned:
        parts.append("Partitioned")
    if name.lower().startswith("__host-") and (domain or path != "/"):
        raise InvalidHeader(f"cookie {name!r} must have the path '/' and no domain", name=name, value=value)
    return "; ".join(parts)


def _check_cookie(name: str, value: str) -> None:
    if not is_token(name):
        raise InvalidHeader(f"cookie name {name!r} is not a token", name=name, value=value)
    if _VALUE.fullmatch(value) is None:
        raise InvalidHeader(f"value {value!r} of cookie {name} has a forbidden character", name=name, value=value)


def _attribute(name: str, text: str) -> str:
    if _ATTRIBUTE.fullmatch(text) is None:
        raise InvalidHeader(f"attribute {text!r} of cookie {name} has a forbidden character", name=name, value=text)
    return text


def _date(moment: datetime) -> str:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return http_date(aware.timestamp())
