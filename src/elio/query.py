"""Query strings and forms: names and values, repeated names kept (WHATWG URL 5.1, application/x-www-form-urlencoded).

Not here: files and multipart forms; names like ``a[b]`` are names as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from .errors import HTTPError

__all__ = ["MAX_FIELDS", "SECRET_FIELDS", "Query", "hide_secrets"]

MAX_FIELDS: Final = 1_000
"""Fields of one query or form: more than any page has, few enough to cost nothing."""

SECRET_FIELDS: Final = frozenset({"access_token", "ticket", "token"})
"""Fields of a query that let somebody in: logs do not show their values (RFC 6750 2.3)."""


class Query:
    """Fields in their order, ``+`` and percent-encoding decoded, bytes that are not UTF-8 replaced.

    ``query["name"]`` is the first value and raises ``KeyError`` if there is none. A field without ``=`` or with nothing
    behind it has the empty value.

    Args:
        text: the part behind the ``?``, or the body of a form.

    Raises:
        HTTPError: 400, more fields than :data:`MAX_FIELDS`.
    """

    __slots__ = ("_fields",)

    def __init__(self, text: str = "") -> None:
        self._fields: list[tuple[str, str]] = []
        if text.count("&") >= MAX_FIELDS:
            raise HTTPError(400, f"{text.count('&') + 1} fields in a query or form, limit {MAX_FIELDS}")
        for field in text.split("&"):
            if field:
                name, _, value = field.partition("=")
                self._fields.append((unquote_plus(name), unquote_plus(value)))

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return any(n == name for n, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        """The distinct names, in order of their first appearance."""
        return iter(dict.fromkeys(name for name, _ in self._fields))

    def __len__(self) -> int:
        """How many fields there are, repeated names counted."""
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, Query) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Query({self._fields!r})"

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the name, or the default."""
        for n, value in self._fields:
            if n == name:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Every value of the name, in order."""
        return [value for n, value in self._fields if n == name]

    def items(self) -> list[tuple[str, str]]:
        """Pairs of name and value, repeated names included, in order."""
        return list(self._fields)


def hide_secrets(target: str) -> str:
    """A request target for logs: the values of :data:`SECRET_FIELDS` are replaced by ``...``."""
    path, question, query = target.partition("?")
    if not question:
        return target
    return f"{path}?{'&'.join(map(_hide, query.split('&')))}"


def _hide(field: str) -> str:
    name, equals, _ = field.partition("=")
    return f"{name}=..." if equals and unquote_plus(name) in SECRET_FIELDS else field
