"""What commands say."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from elio.cli.terminal import complain, note, one_line, printable, say


def test_one_line_has_no_line_ends() -> None:
    assert one_line("a\n  b\r\n\tc ") == "a b c"
    assert one_line(ValueError("a\n\nb")) == "a b"
    assert one_line("") == ""


def test_saying_is_on_stdout_and_complaining_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    complain("not\nso")
    assert capsys.readouterr() == ("hello\n", "elio: not so\n")


def test_a_reader_that_has_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    os.close(out)
    with os.fdopen(into, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        say("nobody")
        say("hears it")


def test_a_terminal_obeys_nothing_that_is_printable() -> None:
    assert printable("tab\tline\nü €") == "tab\tline\nü €"
    assert printable("\x1b[2J\r\x00\x7f") == "\\x1b[2J\\r\\x00\\x7f"
    assert printable("\x9b2J \u202eabc \udc80") == "\\x9b2J \\u202eabc \\udc80"


def test_notes_are_on_stderr_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    note("a\n\x1b[2J")
    assert capsys.readouterr() == ("", "a \\x1b[2J\n")


@pytest.mark.parametrize("tell", [note, complain])
def test_a_reader_of_notes_that_has_left_is_no_error(
    tell: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, into = os.pipe()
    os.close(out)
    with os.fdopen(into, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        tell("nobody")
        tell("hears it")


def test_what_is_said_to_a_closed_stream_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as closed:
        closed.setattr("sys.stderr", None)
        complain("x")
    with monkeypatch.context() as closed:
        closed.setattr("sys.stdout", None)
        say("x")
    assert capsys.readouterr() == ("", "")
