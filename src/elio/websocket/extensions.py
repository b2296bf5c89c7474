"""The grammar of ``Sec-WebSocket-Extensions`` (RFC 6455 9.1), for offers and answers alike.

Not here: what any extension means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..errors import RemoteProtocolError
from ..headers import is_token, parse_list, split_unquoted

__all__ = ["Extension", "parse_extensions"]

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


class Extension(NamedTuple):
    """One extension of a ``Sec-WebSocket-Extensions`` header, with its parameters in order."""

    name: str
    parameters: list[tuple[str, str | None]]


def parse_extensions(values: Sequence[str]) -> list[Extension]:
    """Parse every value of ``Sec-WebSocket-Extensions`` (RFC 6455 9.1), in time linear in their length.

    Quoted values are unquoted. No values, or empty ones, make an empty list.

    Raises:
        RemoteProtocolError: not of that grammar; status 400.
    """
    return [_parse_extension(item) for value in values for item in parse_list(value)]


def _parse_extension(text: str) -> Extension:
    name, *parameters = [part.strip(" \t") for part in split_unquoted(text, ";")]
    if not is_token(name):
        raise _malformed(text)
    return Extension(name, [_parse_parameter(part) for part in parameters])


def _parse_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    name = name.rstrip(" \t")
    if not equals:
        if is_token(name):
            return name, None
        raise _malformed(text)
    value = value.lstrip(" \t")
    if quoted := _QUOTED.fullmatch(value):
        # RFC 6455 9.1: what is quoted must be a token all the same.
        value = _ESCAPED.sub(r"\1", quoted[1])
    if not is_token(name) or not is_token(value):
        raise _malformed(text)
    return name, value


def _malformed(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"malformed Sec-WebSocket-Extensions at {text[:80]!r}", status=400)
