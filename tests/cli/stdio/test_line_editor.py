"""Keys in, lines and a view out."""

from __future__ import annotations

import random

import pytest

from elio.cli.stdio.line_editor import LineEditor

LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ("", "", 0),
        ("abc", "abc", 3),
        ("zwei ü €😀", "zwei ü €😀", 9),
        ("ac" + LEFT + "b", "abc", 2),
        ("ac\x1bODb", "abc", 2),
        ("ac\x02b", "abc", 2),
        ("ab" + LEFT * 5 + RIGHT + "x", "axb", 2),
        ("ab" + RIGHT * 5 + "x", "abx", 3),
        ("ab\x02\x06\x1bOCx", "abx", 3),
        ("bc\x01a", "abc", 1),
        ("bc\x1b[Ha\x1b[Fd", "abcd", 4),
        ("bc\x1bOHa\x1bOFd", "abcd", 4),
        ("bc\x1b[1~a\x1b[4~d\x01\x05e", "abcde", 5),
        ("abc\x7f", "ab", 2),
        ("abc\x08\x7f\x7f\x7f", "", 0),
        ("abc\x01\x1b[3~", "bc", 0),
        ("abc\x01\x04", "bc", 0),
        ("abc\x04", "abc", 3),
        ("abc\x02\x15", "c", 0),
        ("abc\x02\x0b", "ab", 2),
        ("one two \x17", "one ", 4),
        ("one\x17\x17", "", 0),
        ("a\tb", "a\tb", 3),
        ("a\x00\x0c\x1b[5~\x1b[1;5C\x1bx\x1b[?b", "ab", 2),
    ],
)
def test_keys_change_the_line(keys: str, text: str, cursor: int) -> None:
    for cuts in (keys, *[keys[:at] + "|" + keys[at:] for at in range(len(keys))], "|".join(keys)):
        editor = LineEditor()
        for part in cuts.split("|"):
            assert editor.feed(part) == []
        assert (editor.text, editor.cursor, editor.is_ended) == (text, cursor, False)


def test_enter_finishes_lines() -> None:
    editor = LineEditor()
    assert editor.feed("one\rtwo\n\nthr") == ["one", "two", ""]
    assert editor.feed("ee\r") == ["three"]
    assert editor.text == ""


def test_ctrl_d_ends_only_on_an_empty_line() -> None:
    editor = LineEditor()
    assert editor.feed("a\x04\x7f") == []
    assert not editor.is_ended
    assert editor.feed("b\r\x04ignored\r") == ["b"]
    assert editor.is_ended


def test_lines_from_before_can_be_chosen() -> None:
    history = ["one", "two"]
    editor = LineEditor(history)
    for keys, text in (
        ("new", "new"),
        (UP, "two"),
        ("\x10", "one"),
        ("\x1bOA", "one"),
        (DOWN, "two"),
        ("\x0e", "new"),
        ("\x1bOB", "new"),
        (UP + "!", "two!"),
    ):
        editor.feed(keys)
        assert (editor.text, editor.cursor) == (text, len(text))
    assert editor.feed("\r") == ["two!"]
    assert history == ["one", "two"]
    editor.feed(UP)
    assert editor.text == "two"


def test_what_begins_like_a_key_and_does_not_end_is_dropped() -> None:
    editor = LineEditor()
    editor.feed("a\x1b[" + "1;" * 20)
    editor.feed("b")
    assert editor.text == "ab"


@pytest.mark.parametrize(
    ("text", "keys", "width", "view"),
    [
        ("abc", "", 10, ("abc", 3)),
        ("abc", "\x01", 10, ("abc", 0)),
        ("abcdefghij", "", 5, ("ghij", 4)),
        ("abcdefghij", "\x01", 5, ("abcd", 0)),
        ("abcdefghij", LEFT * 2, 5, ("efgh", 4)),
        ("日本語", "", 10, ("日本語", 6)),
        ("日本語", "", 6, ("本語", 4)),
        ("e\u0301x", "", 10, ("e\u0301x", 2)),
        ("a\tb", "", 10, ("a b", 3)),
        ("abc", "", 1, ("", 0)),
        ("abc", "", 0, ("", 0)),
    ],
)
def test_the_cursor_is_always_in_view(text: str, keys: str, width: int, view: tuple[str, int]) -> None:
    editor = LineEditor()
    editor.feed(text + keys)
    assert editor.view(width) == view


def test_any_keys_leave_a_line_with_a_cursor_in_it() -> None:
    chance = random.Random(7)
    keys = [LEFT, RIGHT, UP, DOWN, "\x1b", "[", "\x7f", "\x17", "\x0b", "\x15", "a", "b ", "日", "\r", "\x1b[3~", "\0"]
    for _ in range(200):
        editor = LineEditor(["one", "two"])
        for _ in range(50):
            editor.feed(chance.choice(keys))
            visible, column = editor.view(8)
            assert 0 <= editor.cursor <= len(editor.text)
            assert editor.text.isprintable()
            assert column < 8
            assert len(visible) < 8
