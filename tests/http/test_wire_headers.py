from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import InvalidHeader
from elio.headers import Headers
from elio.http.wire_headers import WireHeaders, parse_fields

BLOCK = b"Host: a\r\nX-Many:1\r\nx-many: \t2 , 3\t \r\nEmpty:\r\nName: K\xe4se: Host: b\r\n"
PAIRS = [("Host", "a"), ("X-Many", "1"), ("x-many", "2 , 3"), ("Empty", ""), ("Name", "Käse: Host: b")]


def wire() -> WireHeaders:
    return WireHeaders(b"\r\n" + BLOCK)


def changed() -> WireHeaders:
    headers = wire()
    headers.add("Last", "1")
    del headers["last"]
    return headers


BOTH = pytest.mark.parametrize("make", [wire, changed])


def test_fields_are_split_into_pairs() -> None:
    assert parse_fields(BLOCK) == PAIRS
    assert parse_fields(b"") == []


@BOTH
def test_every_question_has_the_answer_of_ordinary_headers(make: Callable[[], WireHeaders]) -> None:
    headers, ordinary = make(), Headers(PAIRS)
    assert headers == ordinary
    assert headers.items() == PAIRS
    assert list(headers) == list(ordinary)
    assert len(headers) == 5
    assert repr(headers) == repr(ordinary)
    assert headers.encode() == ordinary.encode()
    for name in (
        "host",
        "HOST",
        "x-many",
        "X-MANY",
        "empty",
        "name",
        "none",
        "hos",
        "ost",
        "",
        ":",
        "a\r\nx-many",
        "é",
    ):
        assert headers.get(name) == ordinary.get(name)
        assert headers.get(name, "other") == ordinary.get(name, "other")
        assert headers.get_all(name) == ordinary.get_all(name)
        assert (name in headers) == (name in ordinary)
    assert headers.get_list("x-many") == ["1", "2", "3"]
    assert headers["Host"] == "a"
    assert 5 not in headers


@BOTH
def test_the_value_of_a_header_is_never_taken_for_a_header(make: Callable[[], WireHeaders]) -> None:
    headers = make()
    assert headers.get_all("host") == ["a"]
    assert headers.get("name: käse: host") is None
    assert headers.get("Name: K\xe4se") is None
    assert headers.get_all("x-many:1\r\nx-many") == []


@BOTH
def test_a_missing_header_raises_key_error(make: Callable[[], WireHeaders]) -> None:
    with pytest.raises(KeyError):
        make()["none"]


@BOTH
def test_headers_can_be_changed(make: Callable[[], WireHeaders]) -> None:
    headers = make()
    headers.add("X-Many", "4")
    assert headers.get_all("x-many") == ["1", "2 , 3", "4"]
    headers["host"] = "b"
    assert headers.get("Host") == "b"
    del headers["x-many"]
    assert "X-Many" not in headers
    headers.extend({"A": "1"})
    headers.extend(wire())
    assert headers.get_all("a") == ["1"]
    assert headers.get_all("host") == ["b", "a"]
    assert headers.setdefault("B", "2") == "2"
    assert headers.setdefault("B", "3") == "2"


def test_a_refused_change_leaves_them_as_they_were() -> None:
    headers = wire()
    with pytest.raises(InvalidHeader):
        headers.add("X", "a\r\nb")
    assert headers == Headers(PAIRS)


@BOTH
def test_a_copy_can_be_changed_on_its_own(make: Callable[[], WireHeaders]) -> None:
    headers = make()
    for other in (headers.copy(), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        other.add("X", "1")
        assert headers == Headers(PAIRS)
        assert other == Headers([*PAIRS, ("X", "1")])


def test_looking_up_does_not_take_the_bytes_apart() -> None:
    headers = wire()
    headers.get("host")
    headers.get_list("x-many")
    headers.items()
    assert headers._pairs is None


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "ab", "b"]), st.sampled_from(["", "a", "b:", "a: b"]))), st.text())
def test_any_name_has_the_answer_of_ordinary_headers(pairs: list[tuple[str, str]], name: str) -> None:
    ordinary = Headers(pairs)
    headers = WireHeaders(b"\r\n" + ordinary.encode())
    for asked in (name, "a", "ab", "b", "a: b\r\na"):
        assert headers.get(asked) == ordinary.get(asked)
        assert headers.get_all(asked) == ordinary.get_all(asked)


def test_a_program_may_look_up_more_names_than_are_kept() -> None:
    headers = wire()
    for number in range(1000):
        assert headers.get(f"x-{number}") is None
        assert headers["host"] == "a"
