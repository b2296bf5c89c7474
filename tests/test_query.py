"""Tests of elio.query."""

from __future__ import annotations

import pytest

from elio.errors import HTTPError
from elio.query import MAX_FIELDS, Query, hide_secrets


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("a=1&b=2", [("a", "1"), ("b", "2")]),
        ("a=1&a=2", [("a", "1"), ("a", "2")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=1", [("", "1")]),
        ("=", [("", "")]),
        ("&&a=1&", [("a", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("a+b=c+d", [("a b", "c d")]),
        ("a=%2B%26%3D%3B", [("a", "+&=;")]),
        ("%61=%C3%A9", [("a", "é")]),
        ("a=%ff", [("a", "\ufffd")]),
        ("a=%zz%", [("a", "%zz%")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("a[]=1", [("a[]", "1")]),
        ("a=b?c#d", [("a", "b?c#d")]),
    ],
)
def test_fields_are_split_then_decoded(text: str, fields: list[tuple[str, str]]) -> None:
    assert Query(text).items() == fields


def test_it_is_a_mapping_that_keeps_repeated_names() -> None:
    query = Query("a=1&b=&a=2")
    assert query["a"] == "1"
    assert query["b"] == ""
    assert query.get("a") == "1"
    assert query.get("c") is None
    assert query.get("c", "3") == "3"
    assert query.get_all("a") == ["1", "2"]
    assert query.get_all("c") == []
    assert "b" in query
    assert "c" not in query
    assert 1 not in query
    assert list(query) == ["a", "b"]
    assert len(query) == 3
    with pytest.raises(KeyError, match="c"):
        query["c"]


def test_equality_and_repr_show_the_fields() -> None:
    assert Query("a=1") == Query("%61=1")
    assert Query("a=1") != Query("a=2")
    assert Query("a=1") != [("a", "1")]
    assert repr(Query("a=1")) == "Query([('a', '1')])"


def test_the_number_of_fields_is_bounded() -> None:
    assert len(Query("&".join(["a"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(HTTPError, match=r"^400 1001 fields in a query or form, limit 1000$") as caught:
        Query("&".join(["a"] * (MAX_FIELDS + 1)))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/", "/"),
        ("/ticket=1", "/ticket=1"),
        ("/?", "/?"),
        ("/?a=1&ticket=x&b=2", "/?a=1&ticket=...&b=2"),
        ("/?ticket=x=y&ticket=z", "/?ticket=...&ticket=..."),
        ("/?%74icket=x", "/?%74icket=..."),
        ("/?access_token=x&token=y&Ticket=z&ticket", "/?access_token=...&token=...&Ticket=z&ticket"),
    ],
)
def test_what_lets_somebody_in_is_not_shown(target: str, shown: str) -> None:
    assert hide_secrets(target) == shown
