"""What commands say."""

from __future__ import annotations

import os

import pytest

from elio.cli.terminal import complain, one_line, say


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
