"""The socket on which a server says what is open."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from elio import ConfigurationError
from elio.server.watch.status import SUFFIX, status_socket


async def ask(folder: Path) -> dict[str, int]:
    reader, writer = await asyncio.open_unix_connection(str(folder / f"{os.getpid()}{SUFFIX}"))
    found: dict[str, int] = json.loads(await reader.read(-1))
    writer.close()
    return found


async def test_whoever_connects_is_told_the_present_state(tmp_path: Path) -> None:
    folder, state = tmp_path / "new" / "status", {"pid": 1}
    async with status_socket(str(folder), lambda: state):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / f"{os.getpid()}{SUFFIX}").stat().st_mode) == 0o600
        assert await ask(folder) == {"pid": 1}
        state["pid"] = 2
        assert await ask(folder) == {"pid": 2}
    assert os.listdir(folder) == []


async def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    names = {f"{gone.pid}{SUFFIX}", f"{os.getppid()}{SUFFIX}", f"mine{SUFFIX}", "other"}
    for name in names:
        (tmp_path / name).touch()
    async with status_socket(str(tmp_path), dict):
        pass
    assert set(os.listdir(tmp_path)) == names - {f"{gone.pid}{SUFFIX}"}


async def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"the status cannot be told in .*file: "):
        async with status_socket(str(tmp_path / "file"), dict):
            pass
