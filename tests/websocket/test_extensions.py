"""The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1)."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elio.errors import RemoteProtocolError
from elio.websocket.extensions import Extension, parse_extensions


def test_no_values_are_no_extensions() -> None:
    assert parse_extensions([]) == []
    assert parse_extensions([""]) == []
    assert parse_extensions([" , ,", ""]) == []


def test_names_and_parameters_in_order() -> None:
    assert parse_extensions(["foo, bar; baz=2; qux, foo"]) == [
        Extension("foo", []),
        Extension("bar", [("baz", "2"), ("qux", None)]),
        Extension("foo", []),
    ]


def test_several_headers_are_one_list() -> None:
    assert parse_extensions(["foo", "bar; a, baz"]) == [("foo", []), ("bar", [("a", None)]), ("baz", [])]


def test_white_space_around_separators_is_dropped() -> None:
    assert parse_extensions(['\tfoo ;\ta = 1 ; b\t=\t"2"  ,  bar ']) == [
        ("foo", [("a", "1"), ("b", "2")]),
        ("bar", []),
    ]


def test_a_parameter_that_comes_twice_is_kept_twice() -> None:
    assert parse_extensions(["foo; a=1; a=2"]) == [("foo", [("a", "1"), ("a", "2")])]


@pytest.mark.parametrize(("text", "value"), [('"10"', "10"), (r'"\1\0"', "10"), (r'"a\b"', "ab")])
def test_quoted_values_are_unquoted(text: str, value: str) -> None:
    assert parse_extensions([f"foo; a={text}; b"]) == [("foo", [("a", value), ("b", None)])]


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "foo;",
        "foo; ",
        "foo;;a",
        "; a",
        "=",
        "foo=1",
        "foo bar",
        "foo; a b",
        "foo; a=",
        "foo; =1",
        "foo; a=1=2",
        "foo; a=1 2",
        "foo; a==1",
        'foo; a="',
        'foo; a="1',
        'foo; a=1"',
        'foo; a=""',
        'foo; a="1 2"',
        'foo; a="1,2"',
        'foo; a="1;2"',
        r'foo; a="1\"',
        r'foo; a="1\\2"',
        r'foo; a="1\"2"',
        'foo; a="1"2',
        'foo; "a"=1',
        '"foo"',
        "foo; \u00e4",
        "f\x00o",
        "foo; a=\n1",
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^malformed Sec-WebSocket-Extensions at ") as caught:
        parse_extensions(["fine", text])
    assert caught.value.status == 400
    assert caught.value.close_code == 0


def test_a_long_malformed_value_is_quoted_in_part() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_extensions(["\x01" * 10_000])
    assert len(str(caught.value)) < 400


def parse_or_none(values: list[str]) -> list[Extension] | None:
    """What they parse to, ``None`` if they are malformed; no other exception is documented."""
    try:
        return parse_extensions(values)
    except RemoteProtocolError as error:
        if error.status != 400:
            raise
        return None


def encode(extension: Extension) -> str:
    parameters = [key if value is None else f'{key}="{value}"' for key, value in extension.parameters]
    return "; ".join([extension.name, *parameters])


@given(st.lists(st.text(alphabet=st.sampled_from('ab01",;=\\ \t\x00é')) | st.text()))
@example(['a; b="\\'])
def test_random_text_parses_or_is_malformed(values: list[str]) -> None:
    extensions = parse_or_none(values)
    if extensions is not None:
        assert parse_extensions([encode(extension) for extension in extensions]) == extensions


@pytest.mark.parametrize("part", ["a; ", 'a;b="\\', ",", '"', "\\", ";", "=", 'a="\\"', " ", "\t,"])
def test_time_is_linear(part: str) -> None:
    def seconds(count: int) -> float:
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            parse_or_none([part * count])
            best = min(best, time.process_time() - start)
        return best

    # Ten times the text: a quadratic parser takes a hundred times as long, and several seconds.
    assert seconds(40_000) < 40 * seconds(4_000) + 0.2
