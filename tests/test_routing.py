"""Tests of elio.routing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from elio.errors import ConfigurationError
from elio.routing import (
    NOT_FOUND,
    WEBSOCKET,
    Kind,
    Match,
    MethodNotAllowed,
    NotFound,
    Options,
    Route,
    RouteTable,
    join_prefix,
)

Methods = str | Iterable[str] | Kind


def table_of(*routes: tuple[str, Methods, str]) -> RouteTable[str]:
    table: RouteTable[str] = RouteTable()
    for pattern, methods, endpoint in routes:
        table.add(pattern, methods, endpoint)
    return table


def found(
    table: RouteTable[str], path: str, method: str = "GET", *, websocket: bool = False
) -> tuple[str, dict[str, str]]:
    match = table.match(method, path, websocket=websocket)
    assert isinstance(match, Match), match
    return match.endpoint, match.params


# -- patterns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/", "/", {}),
        ("/a", "/a", {}),
        ("/a/", "/a/", {}),
        ("/a//b", "/a//b", {}),
        ("//", "//", {}),
        ("/a:b", "/a:b", {}),
        ("/users/:id", "/users/7", {"id": "7"}),
        ("/users/{id}", "/users/7", {"id": "7"}),
        ("/users/:id/", "/users/7/", {"id": "7"}),
        ("/:a/x/{b_2}", "/1/x/2", {"a": "1", "b_2": "2"}),
        ("/files/*", "/files/", {"*": ""}),
        ("/files/*", "/files/a", {"*": "a"}),
        ("/files/*", "/files/a/b/", {"*": "a/b/"}),
        ("/files/*", "/files//a", {"*": "/a"}),
        ("/files/{name:path}", "/files/a/b", {"name": "a/b"}),
        ("/*", "/", {"*": ""}),
        ("/*", "/a/b", {"*": "a/b"}),
        ("/:a/*", "/x/y/z", {"a": "x", "*": "y/z"}),
    ],
)
def test_a_pattern_matches_and_binds_its_parameters(pattern: str, path: str, params: dict[str, str]) -> None:
    table = table_of((pattern, "GET", "it"))
    assert table.match("GET", path) == Match("it", params, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", ""),
        ("/", "//"),
        ("/a", "/a/"),
        ("/a/", "/a"),
        ("/a", "/A"),
        ("/a", "/a/b"),
        ("/a/b", "/a"),
        ("/users/:id", "/users/"),
        ("/users/:id", "/users"),
        ("/users/:id", "/users/7/"),
        ("/users/:id/x", "/users//x"),
        ("/files/*", "/files"),
        ("/*", "*"),
        ("/*", "example.com:443"),
        ("/a", "a"),
    ],
)
def test_slashes_and_empty_segments_count(pattern: str, path: str) -> None:
    assert table_of((pattern, "GET", "it")).match("GET", path) is NOT_FOUND


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/a/:x", "/a/b%2Fc", {"x": "b/c"}),
        ("/a/:x", "/a/%C3%A9", {"x": "é"}),
        ("/a/:x", "/a/%ff", {"x": "\ufffd"}),
        ("/a/:x", "/a/100%", {"x": "100%"}),
        ("/a/:x", "/a/%zz", {"x": "%zz"}),
        ("/a/:x", "/a/1+2", {"x": "1+2"}),
        ("/a/:x", "/a/%00", {"x": "\0"}),
        ("/a/:x", "/a/%252F", {"x": "%2F"}),
        ("/a/*", "/a/b%2Fc/d", {"*": "b/c/d"}),
        ("/café", "/caf%C3%A9", {}),
        ("/caf%C3%A9", "/caf%c3%a9", {}),
        ("/a%2Fb", "/a%2fb", {}),
        ("/ab", "/%61b", {}),
    ],
)
def test_segments_are_decoded_after_the_path_was_split(pattern: str, path: str, params: dict[str, str]) -> None:
    assert found(table_of((pattern, "GET", "it")), path) == ("it", params)


def test_an_encoded_slash_does_not_split() -> None:
    table = table_of(("/a/b", "GET", "two"), ("/a%2Fb", "GET", "one"))
    assert found(table, "/a/b")[0] == "two"
    assert found(table, "/a%2Fb")[0] == "one"
    assert table_of(("/a/b", "GET", "two")).match("GET", "/a%2Fb") is NOT_FOUND


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "pattern '' must start with a slash"),
        ("a/b", "pattern 'a/b' must start with a slash"),
        ("/a?b=1", "pattern '/a?b=1' must be a path, without '?' and '#'"),
        ("/a#b", "pattern '/a#b' must be a path, without '?' and '#'"),
        ("/a/*/b", "in pattern '/a/*/b' the rest of the path ('*' or ':path') must come last"),
        ("/{a:path}/b", "in pattern '/{a:path}/b' the rest of the path ('*' or ':path') must come last"),
        ("/*/", "in pattern '/*/' the rest of the path ('*' or ':path') must come last"),
        ("/:a/{a}", "pattern '/:a/{a}' has the parameter 'a' twice"),
        ("/:a/{a:path}", "pattern '/:a/{a:path}' has the parameter 'a' twice"),
        ("/a*", "in pattern '/a*' a parameter or '*' must be a whole segment, not part of 'a*'"),
        ("/v{n}", "in pattern '/v{n}' a parameter or '*' must be a whole segment, not part of 'v{n}'"),
        ("/{n", "in pattern '/{n' a parameter or '*' must be a whole segment, not part of '{n'"),
        ("/n}", "in pattern '/n}' a parameter or '*' must be a whole segment, not part of 'n}'"),
        ("/:", "pattern '/:' has the parameter name ''; letters, digits and '_' are allowed"),
        ("/{}", "pattern '/{}' has the parameter name ''; letters, digits and '_' are allowed"),
        ("/:1a", "pattern '/:1a' has the parameter name '1a'; letters, digits and '_' are allowed"),
        ("/:a-b", "pattern '/:a-b' has the parameter name 'a-b'; letters, digits and '_' are allowed"),
        ("/{a:int}", "pattern '/{a:int}' has the unknown kind 'int' of parameter; only 'path' exists"),
        ("/{a:}", "pattern '/{a:}' has the unknown kind '' of parameter; only 'path' exists"),
    ],
)
def test_a_bad_pattern_is_refused_in_one_sentence(pattern: str, sentence: str) -> None:
    table: RouteTable[str] = RouteTable()
    with pytest.raises(ConfigurationError) as caught:
        table.add(pattern, "GET", "it")
    assert str(caught.value) == sentence
    assert table.routes() == []


# -- methods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("methods", ["GET", "get", ["GET"], ("get", "GET"), {"GET"}])
def test_methods_may_be_one_or_several_in_any_case(methods: str | Iterable[str]) -> None:
    table = table_of(("/a", methods, "it"))
    assert found(table, "/a") == ("it", {})
    assert table.routes() == [Route("/a", ("GET",), "it")]


def test_the_method_of_a_request_is_case_sensitive() -> None:
    assert table_of(("/a", "GET", "it")).match("get", "/a") == MethodNotAllowed(("GET", "HEAD", "OPTIONS"))


@pytest.mark.parametrize("methods", [[], ()])
def test_a_route_without_a_method_is_refused(methods: Iterable[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^pattern '/a' is registered without a method$"):
        table_of(("/a", methods, "it"))


@pytest.mark.parametrize("method", ["", "G T", "GET\r\n", ":x"])
def test_what_is_no_token_is_no_method(method: str) -> None:
    with pytest.raises(ConfigurationError, match="which is not a method"):
        table_of(("/a", [method], "it"))


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("/a", "/a", "pattern '/a' is registered for GET already"),
        ("/:x", "/:x", "pattern '/:x' is registered for GET already"),
        ("/:x", "/{y}", "pattern '/{y}' is registered for GET already, as '/:x'"),
        ("/a/*", "/a/{r:path}", "pattern '/a/{r:path}' is registered for GET already, as '/a/*'"),
        ("/%61", "/a", "pattern '/a' is registered for GET already, as '/%61'"),
    ],
)
def test_a_method_is_registered_once_for_a_pattern(first: str, second: str, sentence: str) -> None:
    table = table_of((first, "GET", "one"))
    with pytest.raises(ConfigurationError) as caught:
        table.add(second, ["POST", "GET"], "two")
    assert str(caught.value) == sentence
    assert len(table) == 1
    assert table.match("POST", "/a/b" if "a/" in first else "/a") == MethodNotAllowed(("GET", "HEAD", "OPTIONS"))


def test_a_pattern_may_have_other_methods_under_other_names() -> None:
    table = table_of(("/users/:id", "GET", "get"), ("/users/{name}", "DELETE", "delete"))
    assert found(table, "/users/7") == ("get", {"id": "7"})
    assert found(table, "/users/7", "DELETE") == ("delete", {"name": "7"})


@pytest.mark.parametrize("path", ["/a", "/b/7", "/c/d/e"])
def test_another_method_is_405_with_the_allowed_ones(path: str) -> None:
    table = table_of(("/a", ["POST", "PUT"], "a"), ("/b/:x", ["POST", "PUT"], "b"), ("/c/*", ["POST", "PUT"], "c"))
    assert table.match("GET", path) == MethodNotAllowed(("OPTIONS", "POST", "PUT"))


def test_allow_lists_the_methods_of_every_pattern_that_matches() -> None:
    table = table_of(("/a/b", "POST", "1"), ("/a/:x", "GET", "2"), ("/a/*", "PURGE", "3"), ("/:x", "PUT", "4"))
    assert table.match("DELETE", "/a/b") == MethodNotAllowed(("GET", "HEAD", "OPTIONS", "POST", "PURGE"))


@pytest.mark.parametrize("path", ["/a", "/b/1"])
def test_head_is_served_by_get(path: str) -> None:
    table = table_of(("/a", "GET", "it"), ("/b/:x", "GET", "it"))
    assert found(table, path, "HEAD")[0] == "it"


def test_head_has_its_own_endpoint_if_there_is_one() -> None:
    table = table_of(("/a", "GET", "get"), ("/a", "HEAD", "head"))
    assert found(table, "/a", "HEAD")[0] == "head"


def test_head_is_405_without_get() -> None:
    assert table_of(("/a", "POST", "it")).match("HEAD", "/a") == MethodNotAllowed(("OPTIONS", "POST"))


def test_options_is_answered_by_the_table_or_by_an_endpoint() -> None:
    table = table_of(("/a", "GET", "get"), ("/b", ["GET", "OPTIONS"], "own"))
    assert table.match("OPTIONS", "/a") == Options(("GET", "HEAD", "OPTIONS"))
    assert found(table, "/b", "OPTIONS")[0] == "own"
    assert table.match("OPTIONS", "/c") is NOT_FOUND


def test_options_of_the_whole_server_lists_every_method() -> None:
    table = table_of(("/a", "GET", "1"), ("/b", "PUT", "2"), ("/ws", WEBSOCKET, "3"))
    assert table.match("OPTIONS", "*") == Options(("GET", "HEAD", "OPTIONS", "PUT"))
    assert table.match("GET", "*") is NOT_FOUND


def test_an_empty_table_finds_nothing() -> None:
    table: RouteTable[str] = RouteTable()
    assert table.match("GET", "/") == NotFound()
    assert table.match("OPTIONS", "*") == NotFound()
    assert table.match("GET", "/", websocket=True) == NotFound()


# -- WebSocket endpoints ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "path"), [("/ws", "/ws"), ("/ws/:room", "/ws/1"), ("/ws/*", "/ws/a/b")])
def test_a_websocket_and_a_get_endpoint_share_a_path(pattern: str, path: str) -> None:
    table = table_of((pattern, WEBSOCKET, "ws"), (pattern, "GET", "get"))
    assert found(table, path, websocket=True)[0] == "ws"
    assert found(table, path)[0] == "get"


def test_a_path_with_only_a_websocket_endpoint_is_not_found_for_http() -> None:
    table = table_of(("/ws", WEBSOCKET, "ws"), ("/ws/:room", WEBSOCKET, "room"))
    for path in ("/ws", "/ws/1"):
        for method in ("GET", "POST", "HEAD", "OPTIONS", "websocket", "WEBSOCKET"):
            assert table.match(method, path) is NOT_FOUND


def test_a_websocket_is_not_found_where_there_is_only_http() -> None:
    assert table_of(("/a", "GET", "get")).match("GET", "/a", websocket=True) is NOT_FOUND


def test_the_websocket_endpoint_does_not_appear_in_allow() -> None:
    table = table_of(("/ws", WEBSOCKET, "ws"), ("/ws", "POST", "post"))
    assert table.match("PUT", "/ws") == MethodNotAllowed(("OPTIONS", "POST"))


def test_two_websocket_endpoints_for_one_pattern_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^pattern '/ws' is registered as a WebSocket already$"):
        table_of(("/ws", WEBSOCKET, "1"), ("/ws", WEBSOCKET, "2"))


# -- priorities -------------------------------------------------------------------------------------------------------

ORDERED = [("/a/b", "literal"), ("/a/:x", "parameter"), ("/a/*", "rest"), ("/:x/b", "late"), ("/*", "all")]


@pytest.mark.parametrize("turn", range(len(ORDERED)))
def test_the_more_specific_pattern_wins_in_any_order_of_registration(turn: int) -> None:
    for routes in (ORDERED[turn:] + ORDERED[:turn], list(reversed(ORDERED[turn:] + ORDERED[:turn]))):
        table = table_of(*[(pattern, "GET", endpoint) for pattern, endpoint in routes])
        assert found(table, "/a/b") == ("literal", {})
        assert found(table, "/a/c") == ("parameter", {"x": "c"})
        assert found(table, "/a/c/d") == ("rest", {"*": "c/d"})
        assert found(table, "/z/b") == ("late", {"x": "z"})
        assert found(table, "/z/c") == ("all", {"*": "z/c"})


def test_a_pattern_without_the_method_gives_way_to_the_next() -> None:
    table = table_of(("/a/b", "POST", "literal"), ("/a/:x", "PUT", "parameter"), ("/*", "GET", "rest"))
    assert found(table, "/a/b", "POST") == ("literal", {})
    assert found(table, "/a/b", "PUT") == ("parameter", {"x": "b"})
    assert found(table, "/a/b", "GET") == ("rest", {"*": "a/b"})


def test_parameters_of_a_failed_match_never_leak() -> None:
    table = table_of(("/a/:x/b", "GET", "one"), ("/a/*", "GET", "two"))
    assert found(table, "/a/1/c") == ("two", {"*": "1/c"})


def test_every_match_has_parameters_of_its_own() -> None:
    table = table_of(("/a", "GET", "it"), ("/b/:x", "GET", "it"))
    for path in ("/a", "/b/1"):
        first, second = found(table, path)[1], found(table, path)[1]
        assert first is not second


def test_a_path_of_many_segments_costs_no_more_than_the_patterns_have() -> None:
    table: RouteTable[str] = RouteTable()
    for kinds in itertools.product(("a", ":p{}"), repeat=6):
        table.add("/" + "/".join(kind.format(index) for index, kind in enumerate(kinds)), "GET", "".join(kinds))
    path = "/a" * 4000
    assert table.match("GET", path) is NOT_FOUND
    assert found(table, "/a/a/a/a/a/a")[0] == "aaaaaa"


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_routes_are_listed_in_order_and_can_be_mounted() -> None:
    inner = table_of(("/", "GET", "index"), ("/:id", ["GET", "PUT"], "item"), ("/ws", WEBSOCKET, "ws"))
    outer: RouteTable[str] = RouteTable()
    for route in inner.routes():
        outer.add(join_prefix("/api/:tenant", route.pattern), route.methods, route.endpoint)
    assert found(outer, "/api/t/") == ("index", {"tenant": "t"})
    assert found(outer, "/api/t/7", "PUT") == ("item", {"tenant": "t", "id": "7"})
    assert found(outer, "/api/t/ws", websocket=True) == ("ws", {"tenant": "t"})
    assert [route.pattern for route in outer.routes()] == ["/api/:tenant/", "/api/:tenant/:id", "/api/:tenant/ws"]


@pytest.mark.parametrize(
    ("prefix", "pattern", "joined"),
    [
        ("/api", "/users", "/api/users"),
        ("/api/", "/users", "/api/users"),
        ("/api", "/", "/api/"),
        ("/api", "", "/api"),
        ("/api/", "", "/api"),
        ("/", "/users", "/users"),
        ("", "/users", "/users"),
        ("/", "", "/"),
        ("/:tenant", "/*", "/:tenant/*"),
    ],
)
def test_a_prefix_is_joined_with_one_slash(prefix: str, pattern: str, joined: str) -> None:
    assert join_prefix(prefix, pattern) == joined


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        ("api", "pattern 'api' must start with a slash"),
        ("/*", "prefix '/*' must not end with the rest of a path"),
        ("/{p:path}", "prefix '/{p:path}' must not end with the rest of a path"),
    ],
)
def test_a_bad_prefix_is_refused(prefix: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        join_prefix(prefix, "/a")
    assert str(caught.value) == sentence


def test_repr_says_how_many_routes() -> None:
    assert repr(table_of(("/a", "GET", "it"))) == "<RouteTable with 1 routes>"
