"""``elio publish`` as a program of its own, over a hub of this machine."""

from __future__ import annotations

from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from elio import Channels, Message
from elio.channels.engines.local.hub import LocalHub
from support.programs import elio


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with LocalHub(tmp_path / "hub") as hub:
        yield hub.url


async def heard(url: str, count: int) -> list[tuple[str | bytes, str, str | None]]:
    """The newest messages."""
    async with Channels(url) as channels, channels.subscribe("news", backlog=count) as subscription:
        items = [await subscription.receive() for _ in range(count)]
        return [(item.data, item.type, item.key) for item in items if isinstance(item, Message)]


async def test_a_message_is_published(url: str, tmp_path: Path) -> None:
    options = ["--channels", url, "--type", "update", "--key", "7"]
    async with elio("publish", "news", "hello é", *options, cwd=tmp_path) as program:
        assert await program.ends() == 0
    assert await heard(url, 1) == [("hello é", "update", "7")]


async def test_lines_of_the_input_are_messages_as_they_come(url: str, tmp_path: Path) -> None:
    async with elio("publish", "news", "--id", cwd=tmp_path, stdin=PIPE, ELIO_CHANNELS=url) as program:
        program.feed(b"one\n")
        cursor = (await program.says(r"news!1!\w+"))[0]
        program.feed(b"two\r\n\n\xff\xfe")
        await program.feed_eof()
        for number in (2, 3, 4):
            await program.says(rf"news!{number}!\w+")
        assert await program.ends() == 0
    assert [data for data, _, _ in await heard(url, 4)] == ["one", "two", "", b"\xff\xfe"]
    assert cursor


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["news", "x"], "no engine is named: --channels URL does, or the variable ELIO_CHANNELS"),
        (["news", "x", "--channels", "kafka://x"], "'kafka' is no engine for channels, memory, local, .* are"),
        (["a b", "x"], r"' ' cannot stand in the name of channel 'a b'"),
        (["news.*", "x"], r"'\*' cannot stand in the name of channel 'news.\*'"),
        (["$presence.a", "x", "--channels", "local:hub"], r"channel '\$presence.a' belongs to the library; .*"),
    ],
)
async def test_what_cannot_be_is_one_sentence_and_status_1(
    url: str, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    async with elio("publish", *arguments, cwd=tmp_path) as program:
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == 1


async def test_an_engine_that_cannot_be_reached_is_status_3(tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1"
    async with elio("publish", "news", "x", "--channels", url, cwd=tmp_path) as program:
        await program.complains(r"elio: no connection to redis at 127\.0\.0\.1:1: .*")
        assert await program.ends() == 3
