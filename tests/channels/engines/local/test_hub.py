"""The hub: who may come, what is said to strangers, who does not read."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from elio.channels.engines.local import hub as module
from elio.channels.engines.local.backend import LocalBackend
from elio.channels.engines.local.frames import frame
from elio.channels.engines.local.hub import LocalHub
from elio.errors import ConfigurationError
from support.backends import Recorder

DEADLINE = 30.0


class Stranger:
    """Speaks to the hub by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, **head: Any) -> dict[str, Any]:
        self.writer.write(frame(head))
        async with asyncio.timeout(DEADLINE):
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            line = (await self.reader.readexactly(size)).partition(b"\n")[0]
        found: dict[str, Any] = json.loads(line)
        return found


async def test_only_its_user_may_connect_and_its_socket_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    async with LocalHub(path) as hub:
        assert hub.url == f"local:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await LocalHub(tmp_path / "no" / "folder").start()


async def test_one_hub_at_a_time_has_a_path(tmp_path: Path) -> None:
    async with LocalHub(tmp_path / "hub"):
        other = LocalHub(tmp_path / "hub")
        assert not await other.try_start()
        with pytest.raises(ConfigurationError, match="another one does"):
            await other.start()
        await other.close()
        assert (tmp_path / "hub").exists()
    await other.start()
    await other.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [PermissionError("no"), asyncio.CancelledError()])
async def test_what_begins_halfway_leaves_the_path_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", refuse)
        with pytest.raises((ConfigurationError, asyncio.CancelledError)):
            await LocalHub(tmp_path / "hub").start()
    assert os.listdir(tmp_path) == []
    async with LocalHub(tmp_path / "hub"):
        pass


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_just_arriving_when_it_ends_is_cut_off_too(tmp_path: Path, turns: int) -> None:
    hub = LocalHub(tmp_path / "hub")
    await hub.start()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "hub"))
        sock.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE):
            await hub.close()
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""


async def test_requests_that_make_no_sense_are_answered(tmp_path: Path) -> None:
    async with LocalHub(tmp_path / "hub"):
        stranger = Stranger(*await asyncio.open_unix_connection(str(tmp_path / "hub")))
        for head in ({"op": "dance"}, {}, {"op": "publish"}, {"op": "history", "channel": "a", "after": 1}):
            answer = await stranger.ask(id=7, **head)
            assert answer["id"] == 7
            assert "not a request" in answer["error"]
        assert "error" in await stranger.ask(id=8, op="matching", pattern="a.*")
        assert (await stranger.ask(id=9, op="positions", channels=["a"]))["at"][0][1] == 0
        stranger.writer.close()


async def test_who_goes_listens_no_more(tmp_path: Path) -> None:
    async with LocalHub(tmp_path / "hub") as hub:
        one = Stranger(*await asyncio.open_unix_connection(str(tmp_path / "hub")))
        two = Stranger(*await asyncio.open_unix_connection(str(tmp_path / "hub")))
        for stranger in (one, two, one):
            await stranger.ask(id=1, op="listen", pattern="a.*")
        assert hub.listened == {"a.*": 2}
        await one.ask(id=2, op="stop", pattern="a.*")
        await one.ask(id=3, op="stop", pattern="a.*")
        assert hub.listened == {"a.*": 1}
        two.writer.close()
        async with asyncio.timeout(DEADLINE):
            while hub.listened:
                await one.ask(id=4, op="positions", channels=[])
        one.writer.close()


async def test_who_does_not_read_is_cut_off_and_finds_it_in_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 100_000)
    async with LocalHub(tmp_path / "hub") as hub:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "hub"))
        stranger = Stranger(reader, writer)
        await stranger.ask(id=1, op="listen", pattern="a")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        backend = LocalBackend(hub.url)
        await backend.start(Recorder())
        for _ in range(100):
            await backend.publish("a", b"x" * 30_000)
        async with asyncio.timeout(DEADLINE):
            while "a" in hub.listened:
                await backend.positions(["a"])
        await backend.close()
        writer.close()
