"""Header fields: ordered, case-insensitive, repeatable, validated once (RFC 9110 5).

Not here: what single headers mean. Values are ``str`` of Latin-1 characters, as they stand on the wire (RFC 9110 5.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from .errors import InvalidHeader

__all__ = ["Headers", "HeadersLike", "check_header", "is_token", "parse_list", "split_unquoted"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 5.5: visible characters, space, tab and obs-text; no other control character.
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def is_token(text: str) -> bool:
    """Whether the text is a token (RFC 9110 5.6.2): what methods, header names and subprotocols are made of."""
    return _TOKEN.fullmatch(text) is not None


def check_header(name: str, value: str) -> None:
    """Check one header for the wire.

    Raises:
        InvalidHeader: the name is no token, or the value has a control character (CR, LF, NUL, ...), a character beyond
            Latin-1, or white space around it.
    """
    if _TOKEN.fullmatch(name) is None:
        raise InvalidHeader(f"header name {name!r} is not a token", name=name, value=value)
    if _VALUE.fullmatch(value) is None:
        raise InvalidHeader(f"value {value!r} of header {name} has a forbidden character", name=name, value=value)
    if value != value.strip(" \t"):
        raise InvalidHeader(f"value {value!r} of header {name} has white space around it", name=name, value=value)


class Headers:
    """Header fields in their order, names compared without regard to case.

    ``headers["name"]`` is the first value and raises ``KeyError`` if there is none; ``get_all`` gives every value, and
    ``get_list`` the items of a comma-separated list over all of them (RFC 9110 5.6.1).

    Args:
        items: a mapping, or pairs of name and value. Each is validated once, here.

    Raises:
        InvalidHeader: see :func:`check_header`.
    """

    __slots__ = ("_pairs",)

    def __init__(self, items: HeadersLike | None = None) -> None:
        self._pairs: list[tuple[str, str]] | None = []
        if items is not None:
            self.extend(items)

    @classmethod
    def from_trusted(cls, items: list[tuple[str, str]]) -> Headers:
        """Take over pairs that a strict parser has validated already."""
        return _with_pairs(cls.__new__(cls), items)

    def _fields(self) -> list[tuple[str, str]]:
        """The pairs, to be read."""
        return [] if self._pairs is None else self._pairs

    def _own(self) -> list[tuple[str, str]]:
        """The pairs, to be changed."""
        if self._pairs is None:
            self._pairs = self._fields()
        return self._pairs

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        """Replace every value of the name by this one, at the place of the first."""
        check_header(name, value)
        key = name.lower()
        fields = self._own()
        kept = [(n, v) for n, v in fields if n.lower() != key]
        place = next((i for i, (n, _) in enumerate(fields) if n.lower() == key), len(kept))
        kept.insert(place, (name, value))
        self._pairs = kept

    def __delitem__(self, name: str) -> None:
        """Remove every value of the name; nothing happens if there is none."""
        key = name.lower()
        self._pairs = [(n, v) for n, v in self._own() if n.lower() != key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The distinct names, in lower case, in order of their first appearance."""
        return iter(dict.fromkeys(name.lower() for name, _ in self._fields()))

    def __len__(self) -> int:
        """How many header lines there are, repeated ones counted."""
        return len(self._fields())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(n.lower(), v) for n, v in self._fields()] == [(n.lower(), v) for n, v in other.items()]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._fields()!r})"

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the name, or the default."""
        key = name.lower()
        for n, value in self._fields():
            if n.lower() == key:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Every value of the name, in order."""
        key = name.lower()
        return [value for n, value in self._fields() if n.lower() == key]

    def get_list(self, name: str) -> list[str]:
        """The items of a comma-separated list over every value of the name, without empty ones (RFC 9110 5.6.1)."""
        return [item for value in self.get_all(name) for item in parse_list(value)]

    def has_token(self, name: str, token: str) -> bool:
        """Whether the list of that name has the token, compared without regard to case, as a whole."""
        wanted = token.lower()
        return any(wanted in parse_list(value.lower()) for value in self.get_all(name))

    def add(self, name: str, value: str) -> None:
        """Add one more value; those that are there stay.

        Raises:
            InvalidHeader: see :func:`check_header`; nothing was added.
        """
        check_header(name, value)
        self._own().append((name, value))

    def extend(self, items: HeadersLike) -> None:
        """Add every header of a mapping, of pairs or of other headers.

        Raises:
            InvalidHeader: see :func:`check_header`; nothing was added.
        """
        if isinstance(items, Headers):
            self._own().extend(items.items())
            return
        pairs = list(items.items() if isinstance(items, Mapping) else items)
        for name, value in pairs:
            check_header(name, value)
        self._own().extend(pairs)

    def setdefault(self, name: str, value: str) -> str:
        """The first value of the name; if there is none, this one is added and returned."""
        present = self.get(name)
        if present is not None:
            return present
        self.add(name, value)
        return value

    def items(self) -> list[tuple[str, str]]:
        """Pairs of name and value, repeated names included, in order, names as they were written."""
        return list(self._fields())

    def copy(self) -> Headers:
        """A copy that can be changed on its own."""
        return Headers.from_trusted(self.items())

    __copy__ = copy

    def encode(self) -> bytes:
        """The header lines as they go over the wire, each ended by CRLF, without the empty line behind them."""
        return "".join([f"{name}: {value}\r\n" for name, value in self._fields()]).encode("latin-1")


def _with_pairs(headers: Headers, pairs: list[tuple[str, str]]) -> Headers:
    headers._pairs = pairs
    return headers


HeadersLike: TypeAlias = Headers | Mapping[str, str] | Iterable[tuple[str, str]]


def parse_list(value: str) -> list[str]:
    """Split a comma-separated list and drop empty items (RFC 9110 5.6.1). Quoted commas do not split."""
    if "," not in value:
        item = value.strip(" \t")
        return [item] if item else []
    return [item for part in split_unquoted(value, ",") if (item := part.strip(" \t"))]


def split_unquoted(text: str, separator: str) -> list[str]:
    """Split at every separator outside quoted strings (RFC 9110 5.6.4); white space, quotes and backslashes stay."""
    if '"' not in text:
        return text.split(separator)
    parts: list[str] = []
    start = 0
    quoted = False
    escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts
