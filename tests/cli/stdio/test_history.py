"""Lines that are remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from elio.cli.stdio.history import History, history_path


def test_lines_outlive_the_session(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    first = History(path)
    assert first.lines == []
    first.add("one")
    first.add("zwei ü")
    assert History(path).lines == ["one", "zwei ü"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_some_lines_are_not_worth_it() -> None:
    history = History(None)
    for line in ("one", "", " secret", "one", "two", "one"):
        history.add(line)
    assert history.lines == ["one", "two", "one"]


def test_a_history_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("".join(f"{number}\n" for number in range(2001)))
    history = History(path)
    assert (len(history.lines), history.lines[-1]) == (1000, "2000")
    assert path.read_text().splitlines() == history.lines
    history.add("new")
    assert (len(history.lines), history.lines[-1]) == (1000, "new")
    assert path.read_text().splitlines()[-2:] == ["2000", "new"]


def test_a_file_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        history = History(path)
        history.add("one")
        assert history.lines == ["one"]


def test_a_history_is_part_of_the_state_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert history_path("ws") == Path("/home/me/.local/state/elio/ws_history")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert history_path("ws") == Path("/state/elio/ws_history")
