"""Names and patterns."""

from __future__ import annotations

import pytest

from elio.channels.names import check_channel, check_pattern, is_pattern, matches
from elio.errors import InvalidChannel


@pytest.mark.parametrize(
    "name", ["a", "news.sport", "räume.7", "a:b/c", "$presence.a", "x" * 200, "*".replace("*", "+")]
)
def test_names(name: str) -> None:
    assert check_channel(name) == name
    assert check_pattern(name) == name
    assert not is_pattern(name)
    assert matches(name, name)


@pytest.mark.parametrize(
    "name", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "a\0", "a\u2028b", "\ud800", "a*", "x" * 201, "ä" * 101, "a.>"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidChannel) as caught:
        check_channel(name)
    assert caught.value.name == name


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        check_channel(b"a")  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["*", ">", "a.*", "a.>", "*.a.*", "*.>", "a.*.b"])
def test_patterns(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
    assert is_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["a*", "*a", "a.>.b", ">.a", "a.b>", "a..*", "*.", ">>", "**", "a b.*", "a." * 150 + "*"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidChannel):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a", ["a"], ["b", "a.b", "aa"]),
        ("*", ["a", "b"], ["a.b", "$a"]),
        (">", ["a", "a.b"], ["$a", "$a.b"]),
        ("a.*", ["a.b"], ["a", "a.b.c", "b.b"]),
        ("a.>", ["a.b", "a.b.c"], ["a", "b.c"]),
        ("*.b", ["a.b"], ["a", "a.b.c", "$a.b"]),
        ("a.*.>", ["a.b.c", "a.b.c.d"], ["a.b", "a"]),
        ("$presence.*", ["$presence.a"], ["presence.a"]),
    ],
)
def test_what_a_pattern_stands_for(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [name for name in (*yes, *no) if matches(pattern, name)] == yes
