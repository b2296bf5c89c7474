"""Cursors as text."""

from __future__ import annotations

import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from elio.channels.backend import Position
from elio.channels.cursor import MAX_CURSOR_SIZE, Cursor, cursor_of, read_cursor

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)
positions = st.builds(Position, st.sampled_from(["e", "f-1", "A_b"]), st.integers(0, 10**18))


def test_one_channel() -> None:
    places = {"news": Position("e", 1)}
    assert cursor_of(places.items()) == "news!1!e"
    assert cursor_of(places.items(), is_whole=False) == "~~news!1!e"
    assert cursor_of(()) == ""


def test_an_epoch_stands_once() -> None:
    places = {"news": Position("e", 1), "räume.*": Position("e", 0), "a~b!c": Position("f", 12)}
    text = cursor_of(places.items())
    assert text == "news!1!e~r'C3'A4ume.'2A!0~a'7Eb'21c!12!f"
    assert read_cursor(text) == Cursor(places)


@given(st.dictionaries(names, positions, min_size=1, max_size=5))
def test_what_is_written_can_be_read(places: dict[str, Position]) -> None:
    text = cursor_of(places.items())
    assert re.fullmatch(r"[A-Za-z0-9_.!~'-]+", text)
    # What encodeURIComponent leaves alone.
    assert quote(text, safe="!~'()*") == text
    assert read_cursor(text) == Cursor(places)


def test_what_finds_no_room_is_left_out_and_the_cursor_says_so() -> None:
    places = {f"channel-{number}": Position("epoch", number) for number in range(1000)}
    text = cursor_of(places.items())
    assert len(text) <= MAX_CURSOR_SIZE
    cursor = read_cursor(text)
    assert cursor is not None
    assert not cursor.is_whole
    assert list(cursor.positions.items()) == list(places.items())[: len(cursor.positions)]
    assert len(cursor.positions) > 200
    short = read_cursor(cursor_of({"a": Position("e", 1)}.items(), is_whole=False))
    assert short == Cursor({"a": Position("e", 1)}, is_whole=False)


@given(st.text(max_size=100))
def test_no_text_is_an_error(text: str) -> None:
    cursor = read_cursor(text)
    assert cursor is None or cursor.positions


def test_what_is_no_cursor() -> None:
    for text in ("", "a", "a!1", "a!1!", "!1!e", "a!-1!e", "a!1!e~", "a!1!e!f", "a!x!e", "a b!1!e", "a!1!" + "e" * 33):
        assert read_cursor(text) is None, text
    assert read_cursor("a!1!e~" * 1000) is None
    assert read_cursor("a!" + "9" * 20 + "!e") is None
