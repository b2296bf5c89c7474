"""``elio tail`` as a program of its own, over a hub of this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from elio import Channels
from elio.channels.engines.local.hub import LocalHub
from support.programs import elio
from support.terminal import on_terminal


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with LocalHub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
async def channels(hub: LocalHub) -> AsyncIterator[Channels]:
    async with Channels(hub.url) as channels:
        yield channels


async def test_messages_are_lines_from_the_newest_on(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    for text in ("zero", "one", "two"):
        await channels.publish("news", text)
    async with elio("tail", "news", "--backlog", "2", "--count", "3", "--channels", hub.url, cwd=tmp_path) as program:
        await program.says("one")
        await program.says("two")
        await channels.publish("news", b"three")
        await program.says("three")
        assert await program.ends() == 0


async def test_channels_are_named_where_there_may_be_several(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    await channels.publish("news.sport", "one")
    await channels.publish("talk", "two")
    options = ["--backlog", "1", "--count", "2"]
    async with elio("tail", "talk", "news.sport", *options, cwd=tmp_path, ELIO_CHANNELS=hub.url) as program:
        assert {(await program.says(".*"))[0] for _ in range(2)} == {"news.sport: one", "talk: two"}
        assert await program.ends() == 0


async def test_a_pattern_goes_on_from_a_cursor(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    async with channels.subscribe("news.*") as subscription:
        await channels.publish("news.sport", "one")
        since = (await subscription.receive()).id
    await channels.publish("news.art", "two")
    async with elio("tail", "news.*", "--since", since, "--count", "1", "--channels", hub.url, cwd=tmp_path) as program:
        await program.says("news.art: two")
        assert await program.ends() == 0


async def test_json_has_the_id_to_go_on_from(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    await channels.publish("news", "one", type="t", key="k")
    options = ["--json", "--count", "1", "--channels", hub.url]
    async with elio("tail", "news", "--backlog", "1", *options, cwd=tmp_path) as program:
        told = json.loads((await program.says(".*"))[0])
        assert (told["channel"], told["data"], told["type"], told["key"]) == ("news", "one", "t", "k")
        assert await program.ends() == 0
    await channels.publish("news", "two")
    async with elio("tail", "news", "--since", told["id"], *options, cwd=tmp_path) as program:
        assert json.loads((await program.says(".*"))[0])["data"] == "two"
        assert await program.ends() == 0


async def test_a_gap_is_told_and_never_silent(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    await channels.publish("news", "one")
    options = ["--since", "news!1!other", "--channels", hub.url]
    async with elio("tail", "news", *options, cwd=tmp_path) as program:
        await program.complains(r"gap in news: messages missing \(epoch\)")
        program.kill(signal.SIGINT)
        assert await program.ends(silently=False) == 130
    async with elio("tail", "news", "--json", *options, cwd=tmp_path) as program:
        assert json.loads((await program.says(".*"))[0])["gap"] == "epoch"
        program.kill(signal.SIGTERM)
        assert await program.ends(silently=False) == 143


async def test_a_hub_that_is_started_anew_is_a_gap(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path / "hub")
    options = ["--json", "--backlog", "1", "--log-level", "error", "--channels", hub.url]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(hub)
        async with Channels(hub.url) as channels:
            await channels.publish("news", "one")
        program = await stack.enter_async_context(elio("tail", "news", *options, cwd=tmp_path))
        assert json.loads((await program.says(".*"))[0])["data"] == "one"
        await hub.close()
        async with LocalHub(tmp_path / "hub"):
            assert json.loads((await program.says(".*"))[0])["gap"] == "epoch"
            program.kill(signal.SIGTERM)
            assert await program.ends() == 143


async def test_a_terminal_obeys_no_message(hub: LocalHub, channels: Channels, tmp_path: Path) -> None:
    await channels.publish("news", "\x1b[2J")
    options = ["--backlog", "1", "--count", "1", "--channels", hub.url]
    async with on_terminal("tail", "news", *options, cwd=tmp_path) as terminal:
        await terminal.shows("\\x1b[2J", "")
        assert await terminal.ends() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["news"], 1, "no engine is named: --channels URL does, or the variable ELIO_CHANNELS"),
        (["a.>.b"], 1, "'>' cannot stand in the name of channel .*"),
        (["news", "--max-time", "0.2", "--channels", "local:hub"], 124, "not at an end within 0.2 seconds"),
    ],
)
async def test_what_goes_wrong_is_one_sentence(
    hub: LocalHub, tmp_path: Path, arguments: list[str], status: int, sentence: str
) -> None:
    async with elio("tail", *arguments, cwd=tmp_path) as program:
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == status
