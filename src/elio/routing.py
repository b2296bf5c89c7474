"""Method and path to endpoint and parameters; what the endpoints are is not known here (RFC 9110 9, RFC 3986 3.3).

A pattern is written like the path of a URL. Its segments, the parts between the slashes, are

- literal text: ``/users/all``,
- a parameter, ``:name`` or ``{name}``: one segment that is not empty,
- at the end only, the rest of the path, empty or not, slashes included: ``*`` (parameter ``"*"``) or ``{name:path}``.

Slashes count: ``/a`` and ``/a/`` are two paths, and ``/a/*`` matches ``/a/`` but not ``/a``. A path is split at its
slashes first and percent-decoded after, so ``%2F`` stays inside its segment; in the rest of a path the decoded segments
are joined by slashes again.

Where several patterns match a path, they are compared segment by segment: at the first difference a literal goes before
a parameter and a parameter before a rest. Those that differ only in the names of parameters are one pattern, whose
methods are each registered once; so the order of registration never decides anything. The first pattern that has the
method wins.

WebSocket endpoints are chosen apart from the methods, so that one path may have both kinds. Not here: the query, hosts,
redirects from ``/a`` to ``/a/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar, cast
from urllib.parse import unquote

from .errors import ConfigurationError
from .headers import is_token

__all__ = [
    "NOT_FOUND",
    "WEBSOCKET",
    "Kind",
    "Match",
    "MethodNotAllowed",
    "NotFound",
    "Options",
    "Route",
    "RouteTable",
    "join_prefix",
]

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Kind(Enum):
    """Endpoints that are not chosen by a method."""

    WEBSOCKET = "websocket"

    __hash__ = object.__hash__  # Enum's own is a function in Python, and this is a key of dictionaries


WEBSOCKET: Final = Kind.WEBSOCKET


class Match(NamedTuple, Generic[T]):
    """An endpoint was found.

    Attributes:
        endpoint: what was registered.
        params: the parameters, percent-decoded; a dict of its own for every match.
        pattern: the pattern as it was registered, for logs and metrics.
    """

    endpoint: T
    params: dict[str, str]
    pattern: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """No pattern matches the path: 404 (RFC 9110 15.5.5)."""


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """The path is known, but not with this method: 405 (RFC 9110 15.5.6).

    Attributes:
        allow: the methods that it has, sorted, HEAD and OPTIONS included: the value of ``Allow``.
    """

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """OPTIONS for a path that has no endpoint of its own for it: to be answered with ``Allow`` (RFC 9110 9.3.7).

    Attributes:
        allow: as in :class:`MethodNotAllowed`.
    """

    allow: tuple[str, ...]


NOT_FOUND: Final = NotFound()


class Route(NamedTuple, Generic[T]):
    """One registration, as :meth:`RouteTable.routes` lists it.

    Attributes:
        pattern: as registered.
        methods: its methods, or :data:`WEBSOCKET`.
        endpoint: as registered.
    """

    pattern: str
    methods: tuple[str, ...] | Kind
    endpoint: T


class _Target(NamedTuple, Generic[T]):
    """An endpoint with where in the path its parameters stand: ``names[i]`` is the segment ``places[i]``."""

    endpoint: T
    pattern: str
    names: tuple[tuple[int, str], ...]
    rest: tuple[int, str] | None


class _Node(Generic[T]):
    """A position between two segments: what may follow, and the methods of what ends here."""

    __slots__ = ("literals", "parameter", "rest", "targets")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.rest: dict[str | Kind, _Target[T]] = {}
        self.targets: dict[str | Kind, _Target[T]] = {}


class RouteTable(Generic[T]):
    """Patterns and their endpoints.

    Matching a literal path is one dictionary lookup; any other visits each position of the patterns at most once,
    whatever the path.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literals: dict[str, dict[str | Kind, _Target[T]]] = {}
        self._routes: list[Route[T]] = []

    def __len__(self) -> int:
        return len(self._routes)

    def __repr__(self) -> str:
        return f"<RouteTable with {len(self._routes)} routes>"

    def routes(self) -> list[Route[T]]:
        """Every registration in its order; with :func:`join_prefix`, what mounting adds to another table."""
        return list(self._routes)

    def add(self, pattern: str, methods: str | Iterable[str] | Kind, endpoint: T) -> None:
        """Register an endpoint.

        Args:
            pattern: see the top of this module.
            methods: one method or several, written in any case, or :data:`WEBSOCKET`.
            endpoint: what :meth:`match` returns.

        Raises:
            ConfigurationError: the pattern or a method cannot be used, or one of the methods is registered for this
                pattern already. Nothing was added.
        """
        segments = _parse(pattern)
        keys = _method_keys(methods, pattern)
        target = _target(endpoint, pattern, segments)
        node = self._root
        for segment in segments[:-1] if target.rest else segments:
            node = _child(node, segment)
        table = node.rest if target.rest else node.targets
        for key in keys:
            _check_free(table, key, pattern)
        table.update(dict.fromkeys(keys, target))
        if all(segment.name is None for segment in segments) and "%" not in pattern:
            self._literals[pattern] = table
        self._routes.append(Route(pattern, methods if isinstance(methods, Kind) else tuple(map(str, keys)), endpoint))

    def match(
        self, method: str, path: str, *, websocket: bool = False
    ) -> Match[T] | NotFound | MethodNotAllowed | Options:
        """Find the endpoint of a request.

        HEAD is served by GET where there is no endpoint for HEAD (RFC 9110 9.3.2). ``OPTIONS *`` is :class:`Options`
        with every method of the table.

        Args:
            method: as the peer wrote it; methods are case-sensitive.
            path: the path of the request target, still percent-encoded, without the query.
            websocket: look for a WebSocket endpoint; the method then does not count, and nothing but :class:`Match` and
                :class:`NotFound` comes back. Without it a path that has only a WebSocket endpoint is :class:`NotFound`:
                ask a second time to tell that (426) from an unknown path (404).
        """
        key: str | Kind = WEBSOCKET if websocket else method
        table = self._literals.get(path)
        if table is not None:
            target = table.get(key)
            if target is not None:
                return _match(target, {})
        segments = _split(path)
        target = _find(self._root, segments, 0, key)
        if target is not None:
            return _match(target, _params(target, segments))
        if websocket:
            return NOT_FOUND
        seen = {key for table in _walk(self._root, segments, 0) for key in table}
        if path == "*" and method == "OPTIONS":
            seen = {method for route in self._routes if not isinstance(route.methods, Kind) for method in route.methods}
        return _without_endpoint(method, seen)


def join_prefix(prefix: str, pattern: str) -> str:
    """The pattern as it is under a prefix: ``/api`` and ``/users`` make ``/api/users``; ``/api`` and ``/``, ``/api/``.

    Args:
        prefix: a pattern without a rest; a slash at its end is dropped; empty or ``/`` changes nothing.
        pattern: a pattern, or empty for the prefix itself.

    Raises:
        ConfigurationError: the prefix has no slash at the start, or a rest.
    """
    if prefix in ("", "/"):
        return pattern or prefix
    if _parse(prefix)[-1].is_rest:
        raise ConfigurationError(f"prefix {prefix!r} must not end with the rest of a path")
    return prefix.rstrip("/") + pattern


# -- patterns ---------------------------------------------------------------------------------------------------------


class _Segment(NamedTuple):
    """One segment of a pattern: a literal, or the name of a parameter."""

    text: str
    name: str | None = None
    is_rest: bool = False


def _parse(pattern: str) -> list[_Segment]:
    if not pattern.startswith("/"):
        raise ConfigurationError(f"pattern {pattern!r} must start with a slash")
    if "?" in pattern or "#" in pattern:
        raise ConfigurationError(f"pattern {pattern!r} must be a path, without '?' and '#'")
    segments = [_parse_segment(text, pattern) for text in pattern[1:].split("/")]
    if any(segment.is_rest for segment in segments[:-1]):
        raise ConfigurationError(f"in pattern {pattern!r} the rest of the path ('*' or ':path') must come last")
    names = [segment.name for segment in segments if segment.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"pattern {pattern!r} has the parameter {name!r} twice")
    return segments


def _parse_segment(text: str, pattern: str) -> _Segment:
    if text == "*":
        return _Segment(text, "*", is_rest=True)
    if text.startswith(":"):
        return _Segment(text, _parameter_name(text[1:], pattern))
    if text.startswith("{") and text.endswith("}"):
        name, colon, kind = text[1:-1].partition(":")
        if colon and kind != "path":
            raise ConfigurationError(
                f"pattern {pattern!r} has the unknown kind {kind!r} of parameter; only 'path' exists"
            )
        return _Segment(text, _parameter_name(name, pattern), is_rest=bool(colon))
    if any(char in text for char in "*{}"):
        raise ConfigurationError(
            f"in pattern {pattern!r} a parameter or '*' must be a whole segment, not part of {text!r}"
        )
    return _Segment(unquote(text))


def _parameter_name(name: str, pattern: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"pattern {pattern!r} has the parameter name {name!r}; letters, digits and '_' are allowed"
        )
    return name


def _method_keys(methods: str | Iterable[str] | Kind, pattern: str) -> list[str | Kind]:
    if isinstance(methods, Kind):
        return [methods]
    given = [methods] if isinstance(methods, str) else list(methods)
    if not given:
        raise ConfigurationError(f"pattern {pattern!r} is registered without a method")
    for method in given:
        if not is_token(method):
            raise ConfigurationError(f"pattern {pattern!r} is registered for {method!r}, which is not a method")
    return list(dict.fromkeys(method.upper() for method in given))


def _target(endpoint: T, pattern: str, segments: list[_Segment]) -> _Target[T]:
    named = [(index, segment.name) for index, segment in enumerate(segments) if segment.name is not None]
    rest = named.pop() if segments[-1].is_rest else None
    return _Target(endpoint, pattern, tuple(named), rest)


def _child(node: _Node[T], segment: _Segment) -> _Node[T]:
    if segment.name is None:
        return node.literals.setdefault(segment.text, _Node())
    if node.parameter is None:
        node.parameter = _Node()
    return node.parameter


def _check_free(table: dict[str | Kind, _Target[T]], key: str | Kind, pattern: str) -> None:
    taken = table.get(key)
    if taken is None:
        return
    what = "as a WebSocket" if isinstance(key, Kind) else f"for {key}"
    same = "" if taken.pattern == pattern else f", as {taken.pattern!r}"
    raise ConfigurationError(f"pattern {pattern!r} is registered {what} already{same}")


# -- matching ---------------------------------------------------------------------------------------------------------


def _split(path: str) -> list[str]:
    """The decoded segments; none for what is not a path (``*`` and the authority of CONNECT)."""
    if not path.startswith("/"):
        return []
    segments = path[1:].split("/")
    return [unquote(segment) for segment in segments] if "%" in path else segments


def _find(node: _Node[T], segments: list[str], index: int, key: str | Kind) -> _Target[T] | None:
    """The most specific pattern that has the method. No deeper than the longest pattern."""
    if index == len(segments):
        return _pick(node.targets, key)
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None and (target := _find(child, segments, index + 1, key)) is not None:
        return target
    child = node.parameter
    if child is not None and segment and (target := _find(child, segments, index + 1, key)) is not None:
        return target
    return _pick(node.rest, key)


def _pick(table: dict[str | Kind, _Target[T]], key: str | Kind) -> _Target[T] | None:
    target = table.get(key)
    return table.get("GET") if target is None and key == "HEAD" else target


def _walk(node: _Node[T], segments: list[str], index: int) -> Iterator[dict[str | Kind, _Target[T]]]:
    """The tables of all patterns that match, whatever their methods."""
    if index == len(segments):
        yield node.targets
        return
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None:
        yield from _walk(child, segments, index + 1)
    if node.parameter is not None and segment:
        yield from _walk(node.parameter, segments, index + 1)
    if node.rest:
        yield node.rest


def _match(target: _Target[T], params: dict[str, str]) -> Match[T]:
    # A named tuple is made by a function in Python, unless it is made past that.
    return cast("Match[T]", tuple.__new__(Match, (target.endpoint, params, target.pattern)))


def _params(target: _Target[T], segments: list[str]) -> dict[str, str]:
    params = {}
    for index, name in target.names:
        params[name] = segments[index]
    if target.rest is not None:
        index, name = target.rest
        params[name] = "/".join(segments[index:])
    return params


def _without_endpoint(method: str, seen: set[str | Kind]) -> NotFound | MethodNotAllowed | Options:
    """What a path is answered with that has these methods, but not the one that is asked for."""
    found = {key for key in seen if isinstance(key, str)}
    if not found:
        return NOT_FOUND
    if "GET" in found:
        found.add("HEAD")
    allow = tuple(sorted(found | {"OPTIONS"}))
    return Options(allow) if method == "OPTIONS" else MethodNotAllowed(allow)
