"""Header fields: order, case, repetition, and what may not go over the wire (RFC 9110 5)."""

from __future__ import annotations

import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elio.errors import InvalidHeader
from elio.headers import Headers, check_header, is_token, parse_list, split_unquoted

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def example() -> Headers:
    return Headers([("Host", "h"), ("Set-Cookie", "a=1"), ("X-A", "1"), ("set-cookie", "b=2"), ("X-B", "2")])


# -- tokens, names, values


def test_tokens_are_made_of_these_characters() -> None:
    assert {chr(code) for code in range(0x300) if is_token(chr(code))} == set(TOKEN_CHARS)
    assert is_token(TOKEN_CHARS)


@pytest.mark.parametrize("text", ["", " ", "a b", "a\n", "\na", "a:", "a,b", '"a"', "\u00e4", "\u0661"])
def test_anything_else_is_not_a_token(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize("value", ["", "a", "a b\tc", '"\\,;', "\x80\xff", "~!"])
def test_good_values(value: str) -> None:
    check_header("X-A", value)


@pytest.mark.parametrize(
    "char", [*map(chr, [*range(9), *range(10, 32), 127]), "\u0100", "\u2028", "\U0001f600", "\ud800"]
)
def test_control_characters_and_what_is_beyond_latin_1_are_refused(char: str) -> None:
    for value in (char, f"a{char}b", f"a{char}", f"{char}a"):
        with pytest.raises(InvalidHeader, match="of header X-A has a forbidden character") as caught:
            check_header("X-A", value)
        assert (caught.value.name, caught.value.value) == ("X-A", value)


@pytest.mark.parametrize("value", [" ", "\t", " a", "a ", "\ta", "a\t"])
def test_white_space_around_a_value_is_refused(value: str) -> None:
    with pytest.raises(InvalidHeader, match="has white space around it"):
        check_header("X-A", value)


@pytest.mark.parametrize("name", ["", " ", "X A", "X-A:", "X-A\r\n", "X\x00", "\u00e4", "(a)", "a/b"])
def test_names_that_are_not_tokens_are_refused(name: str) -> None:
    with pytest.raises(InvalidHeader, match="is not a token") as caught:
        check_header(name, "1")
    assert (caught.value.name, caught.value.value) == (name, "1")


# -- reading


def test_names_are_compared_without_regard_to_case() -> None:
    headers = example()
    assert headers["HOST"] == headers["host"] == headers.get("hOsT") == "h"
    assert "x-a" in headers
    assert "X-C" not in headers
    assert 1 not in headers


def test_the_first_value_of_a_name() -> None:
    headers = example()
    assert headers["Set-Cookie"] == "a=1"
    assert headers.get("X-C") is None
    assert headers.get("X-C", "default") == "default"
    with pytest.raises(KeyError, match="X-C"):
        headers["X-C"]


def test_all_values_of_a_name_in_order() -> None:
    assert example().get_all("SET-COOKIE") == ["a=1", "b=2"]
    assert example().get_all("X-C") == []


def test_names_once_and_lines_as_they_are() -> None:
    headers = example()
    assert list(headers) == ["host", "set-cookie", "x-a", "x-b"]
    assert len(headers) == 5
    assert headers.items()[3] == ("set-cookie", "b=2")
    assert (len(Headers()), list(Headers()), bool(Headers())) == (0, [], False)


def test_lists_go_over_several_lines() -> None:
    headers = Headers([("Accept", "a, b"), ("accept", ""), ("ACCEPT", ",c ,")])
    assert headers.get_list("Accept") == ["a", "b", "c"]
    assert headers.get_list("Connection") == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("upgrade", True),
        ("keep-alive, Upgrade", True),
        (" ,UPGRADE,", True),
        ("notupgrade", False),
        ("upgrade-insecure", False),
        ("up grade", False),
        ('"upgrade"', False),
        ("", False),
    ],
)
def test_tokens_are_compared_as_a_whole(value: str, expected: bool) -> None:
    headers = Headers.from_trusted([("Connection", value)])
    assert headers.has_token("connection", "Upgrade") is expected


def test_equality_is_that_of_lines_in_order_without_case_of_names() -> None:
    assert Headers({"A": "1"}) == Headers({"a": "1"})
    assert Headers({"A": "x"}) != Headers({"A": "X"})
    assert Headers([("A", "1"), ("B", "2")]) != Headers([("B", "2"), ("A", "1")])
    assert Headers({"A": "1"}) != {"A": "1"}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_representation() -> None:
    assert repr(Headers({"A": "1"})) == "Headers([('A', '1')])"


# -- changing


def test_headers_are_made_of_mappings_pairs_and_headers() -> None:
    expected = [("A", "1"), ("B", "2")]
    assert Headers({"A": "1", "B": "2"}).items() == expected
    assert Headers(expected).items() == expected
    assert Headers(iter(expected)).items() == expected
    assert Headers(Headers(expected)).items() == expected
    assert Headers().items() == Headers(None).items() == Headers(()).items() == []


def test_setting_replaces_every_value_at_the_place_of_the_first() -> None:
    headers = example()
    headers["SET-COOKIE"] = "c=3"
    assert headers.items() == [("Host", "h"), ("SET-COOKIE", "c=3"), ("X-A", "1"), ("X-B", "2")]
    headers["X-C"] = "3"
    assert headers.items()[-1] == ("X-C", "3")
    headers["host"] = "i"
    assert headers.items()[0] == ("host", "i")


def test_deleting_removes_every_value_and_asks_for_none() -> None:
    headers = example()
    del headers["Set-cookie"]
    del headers["X-C"]
    assert headers.items() == [("Host", "h"), ("X-A", "1"), ("X-B", "2")]


def test_adding_keeps_what_is_there() -> None:
    headers = Headers({"A": "1"})
    headers.add("a", "2")
    headers.extend({"b": "3"})
    headers.extend([("A", "4")])
    headers.extend(Headers({"C": "5"}))
    assert headers.items() == [("A", "1"), ("a", "2"), ("b", "3"), ("A", "4"), ("C", "5")]


def test_setdefault_adds_only_what_is_not_there() -> None:
    headers = Headers({"A": "1"})
    assert headers.setdefault("a", "2") == "1"
    assert headers.setdefault("B", "2") == "2"
    assert headers.items() == [("A", "1"), ("B", "2")]


def test_what_is_refused_changes_nothing() -> None:
    headers = example()
    bad = ("X-Bad", "1\r\nX-Injected: 2")
    for change in (
        lambda: headers.add(*bad),
        lambda: headers.setdefault(*bad),
        lambda: headers.__setitem__(*bad),
        lambda: headers.__setitem__("Host", "\n"),
        lambda: headers.extend([("X-Good", "1"), bad]),
        lambda: headers.extend({"X-Good": "1", bad[0]: bad[1]}),
        lambda: Headers([bad]),
    ):
        with pytest.raises(InvalidHeader):
            change()
    assert headers == example()


def test_copies_change_on_their_own() -> None:
    headers = example()
    for duplicate in (headers.copy(), copy.copy(headers), copy.deepcopy(headers), Headers(headers)):
        assert duplicate == headers
        duplicate.add("X-C", "3")
        assert "X-C" not in headers
    pairs = [("A", "1")]
    made = Headers(pairs)
    made.add("B", "2")
    made.items().append(("C", "3"))
    assert (pairs, made.items()) == ([("A", "1")], [("A", "1"), ("B", "2")])


# -- the wire


def test_lines_on_the_wire() -> None:
    assert Headers().encode() == b""
    assert Headers([("Host", "h"), ("X-A", ""), ("X-B", "\u00e4")]).encode() == b"Host: h\r\nX-A: \r\nX-B: \xe4\r\n"


@given(st.text(max_size=5), st.text(max_size=9) | st.text(st.characters(max_codepoint=255), max_size=9))
def test_what_is_taken_makes_one_line(name: str, value: str) -> None:
    try:
        wire = Headers([(name, value)]).encode()
    except InvalidHeader:
        return
    assert wire == f"{name}: {value}\r\n".encode("latin-1")
    assert wire.count(b"\r") == wire.count(b"\n") == 1
    assert wire.partition(b":")[0].decode() == name
    assert b"\x00" not in wire


# -- lists


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("", []),
        (" , \t,", []),
        ("a", ["a"]),
        ("a,b , \tc d\t,", ["a", "b", "c d"]),
        ('"a,b", c', ['"a,b"', "c"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        (r'"a\\", b', [r'"a\\"', "b"]),
        (r"a\,b", ["a\\", "b"]),
        ('a="x,y";b, c', ['a="x,y";b', "c"]),
        ('"a, b', ['"a, b']),
        ('a", b", c"', ['a", b"', 'c"']),
        ('""', ['""']),
    ],
)
def test_lists_split_at_commas_outside_quotes(value: str, items: list[str]) -> None:
    assert parse_list(value) == items


@pytest.mark.parametrize(
    ("text", "separator", "parts"),
    [
        ("", ";", [""]),
        ("a;b", ";", ["a", "b"]),
        (" a ; ", ";", [" a ", " "]),
        ('a;"b;c";d', ";", ["a", '"b;c"', "d"]),
        ('a,"b;c,d"', ";", ['a,"b;c,d"']),
        (r'"\";";x', ";", [r'"\";"', "x"]),
        ('a=b="c="', "=", ["a", "b", '"c="']),
    ],
)
def test_splitting_outside_quotes(text: str, separator: str, parts: list[str]) -> None:
    assert split_unquoted(text, separator) == parts


@given(st.text(st.sampled_from('ab",;\\ ')), st.sampled_from(",;"))
def test_splitting_loses_nothing(text: str, separator: str) -> None:
    parts = split_unquoted(text, separator)
    assert separator.join(parts) == text
    if '"' not in text:
        assert parts == text.split(separator)


@pytest.mark.parametrize("part", [",", '",', '"', '\\"', '"\\"', "a, "])
def test_lists_take_linear_time(part: str) -> None:
    start = time.process_time()
    parse_list(part * 200_000)
    assert time.process_time() - start < 3
