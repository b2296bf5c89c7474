"""Tables of plain text."""

from __future__ import annotations

import pytest

from elio.cli.stdio.table import amount, duration, table


def test_texts_stand_to_the_left_and_numbers_to_the_right() -> None:
    rows = [("one", "1", "-"), ("three", "300", "2.5 ms")]
    assert table(("NAME", "COUNT", "TIME"), rows) == [
        "NAME   COUNT    TIME",
        "one        1       -",
        "three    300  2.5 ms",
    ]


def test_no_rows_leave_the_heads_and_what_terminals_obey_is_shown() -> None:
    assert table(("A", "B"), []) == ["A  B"]
    assert table(("A",), [("\x1b[2J",)]) == ["A", "\\x1b[2J"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 << 19, "1.5 MiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 41, "2048.0 GiB"),
    ],
)
def test_bytes_for_people(size: int, text: str) -> None:
    assert amount(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 ms"), (0.01234, "12.3 ms"), (1.0, "1 s"), (119.0, "119 s"), (120.0, "2 min"), (7200.0, "2 h")],
)
def test_seconds_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
