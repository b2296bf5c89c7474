"""The hub that a server brings along for its channels."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import pytest

from elio import Channels, ConfigurationError, Gap
from elio.server.process.hub import OwnHub, hub_beside, hub_for, named_engine


@pytest.fixture(autouse=True)
def nobody_says_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELIO_CHANNELS", raising=False)


async def says(url: str, text: str) -> str:
    """What one program hears of what another one publishes in this engine."""
    async with Channels(url) as one, Channels(url) as two, two.subscribe("a") as subscription:
        await one.publish("a", text)
        return str((await subscription.receive()).data)  # type: ignore[union-attr]


async def test_a_hub_of_its_own_is_for_this_user_alone_and_leaves_nothing() -> None:
    hub = OwnHub()
    url = (await hub.start())["ELIO_CHANNELS"]
    folder = Path(url.removeprefix("local:")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert await says(url, "hello") == "hello"
    await hub.close()
    assert not folder.exists()


async def test_folders_of_hubs_that_were_killed_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living, dead, young = OwnHub(), tmp_path / "elio-channels-dead", tmp_path / "elio-channels-young"
    await living.start()
    (alive,) = os.listdir(tmp_path)
    for folder in (dead, young, tmp_path / "other"):
        folder.mkdir()
    for name in (alive, dead.name, "other"):
        os.utime(tmp_path / name, (0, 0))
    hub = OwnHub()
    await hub.start()
    await hub.close()
    assert set(os.listdir(tmp_path)) == {alive, young.name, "other"}
    await living.close()


async def test_a_path_that_has_a_hub_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    one, two = OwnHub(str(path)), OwnHub(str(path))
    assert await one.start() == await two.start() == {"ELIO_CHANNELS": f"local:{path}"}
    await two.close()
    assert await says(f"local:{path}", "still here") == "still here"
    await one.close()
    assert not path.exists()


async def test_who_stands_by_takes_over_and_that_is_a_gap(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "hub"
    one, two, three = OwnHub(str(path)), OwnHub(str(path)), OwnHub(str(path))
    url = (await one.start())["ELIO_CHANNELS"]
    await two.start()
    await three.start()
    async with asyncio.timeout(60.0), Channels(url, on_outage="wait") as channels, channels.subscribe("a") as heard:
        await channels.publish("a", "1")
        assert (await heard.receive()).data == "1"  # type: ignore[union-attr]
        await one.close()
        await channels.publish("a", "2")
        gap = await heard.receive()
        assert isinstance(gap, Gap)
        assert gap.reason == "epoch"
        assert (await heard.receive()).data == "2"  # type: ignore[union-attr]
    assert caplog.text.count("is this process's now") == 1
    await two.close()
    await three.close()
    assert os.listdir(tmp_path) == []


async def test_who_cannot_take_over_says_so_and_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    one, two = OwnHub(str(folder / "hub")), OwnHub(str(folder / "hub"))
    await one.start()
    await two.start()
    await one.close()
    folder.rmdir()
    async with asyncio.timeout(60.0):
        while "cannot listen" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        folder.mkdir()
        while not (folder / "hub").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await two.close()


async def test_what_a_killed_hub_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    path.touch()
    hub = OwnHub(str(path))
    await hub.start()
    assert await says(f"local:{path}", "new") == "new"
    await hub.close()


async def test_a_path_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200)
    with pytest.raises(ConfigurationError, match="the hub of the channels cannot listen on "):
        await OwnHub(str(path)).start()


def test_workers_get_a_hub_unless_they_have_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_for(4) is not None
    monkeypatch.setenv("ELIO_CHANNELS", "redis://localhost")
    assert hub_for(4) is None
    monkeypatch.setenv("ELIO_CHANNELS", "local:/run/hub")
    assert hub_for(4) is not None


def test_memory_is_not_shared_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_CHANNELS", "memory:")
    assert hub_for(1) is None
    with pytest.raises(ConfigurationError, match="channels in 'memory:' are not shared by 4 workers"):
        hub_for(4)


async def test_one_process_runs_the_hub_that_its_channels_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub"
    async with hub_beside():
        assert not path.exists()
    monkeypatch.setenv("ELIO_CHANNELS", f"local:{path}")
    async with hub_beside():
        assert await says(f"local:{path}", "hello") == "hello"
    assert not path.exists()


def test_channels_that_name_no_engine_are_in_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with named_engine(None):
        assert "ELIO_CHANNELS" not in os.environ
    with named_engine("redis://one"):
        assert os.environ["ELIO_CHANNELS"] == "redis://one"
        with named_engine("nats://two"):
            assert os.environ["ELIO_CHANNELS"] == "nats://two"
        assert os.environ["ELIO_CHANNELS"] == "redis://one"
    assert "ELIO_CHANNELS" not in os.environ


def test_an_engine_that_does_not_exist_is_named_in_vain() -> None:
    with pytest.raises(ConfigurationError, match="'kafka' is no engine for channels"), named_engine("kafka://x"):
        pass


async def test_channels_that_were_made_before_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = Channels()
    monkeypatch.setenv("ELIO_CHANNELS", f"local:{tmp_path / 'hub'}")
    async with hub_beside(), channels, Channels(f"local:{tmp_path / 'hub'}") as other, other.subscribe("a") as heard:
        await channels.publish("a", "hello")
        assert (await heard.receive()).data == "hello"  # type: ignore[union-attr]
