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
