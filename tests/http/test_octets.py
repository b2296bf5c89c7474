"""Searching in bytes."""

from __future__ import annotations

import pytest

from elio.http import octets


@pytest.mark.parametrize(
    ("data", "start", "place"),
    [
        (b"", 0, -1),
        (b"\r\na:", 0, 0),
        (b"\r\na:", 1, -1),
        (b"\r\na", 0, -1),
        (b"x\r\nb: c\r\r\na: d", 0, 8),
        (b"x\r\na:\r\na:", 2, 5),
        (b"x\r\na:\r\na:", 99, -1),
    ],
)
def test_a_line_is_found_by_its_beginning(data: bytes, start: int, place: int) -> None:
    assert octets.find(data, b"\r\na:", start) == place


@pytest.mark.parametrize(
    ("data", "start", "place"),
    [
        (b"", 0, -1),
        (b"\r\nA:", 0, 0),
        (b"\r\na:", 1, -1),
        (b"x\r\nB: a:\r\r\nA: d", 0, 9),
        (b"x\r\n\xc1:\r\n!:", 0, -1),
    ],
)
def test_a_name_is_found_in_any_case(data: bytes, start: int, place: int) -> None:
    assert octets.find_name(data, b"\r\na:", start) == place


def test_octets_are_counted_inside_of_bounds() -> None:
    assert octets.count(b"\na\nb\n", b"\n", 0, 5) == 3
    assert octets.count(b"\na\nb\n", b"\n", 1, 4) == 1
    assert octets.count(b"", b"\n", 0, 0) == 0


@pytest.mark.parametrize("value", [b"a", b" \t a b\xe9 \t", b"", b" "])
def test_a_value_is_read_up_to_the_end_of_its_line(value: bytes) -> None:
    lines = b"\r\nA:" + value + b"\r\nB: c\r\n"
    assert octets.octets_at(lines, 4) == value.strip(b" \t")
    assert octets.value_at(lines, 4) == value.strip(b" \t").decode("latin-1")
