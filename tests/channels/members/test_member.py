"""One connection in one channel. Over the network: ``test_joining.py``."""

from __future__ import annotations

import asyncio

import pytest

from elio.channels.backend import History, Position
from elio.channels.backlog import Policy
from elio.channels.cursor import cursor_of
from elio.channels.engines.memory import MemoryBackend
from elio.channels.members.formats import as_data
from elio.channels.members.member import Member
from support.deliveries import hub_over, publish
from support.sessions import Session


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_direct_queued_and_direct_again() -> None:
    async with hub_over(MemoryBackend()) as hub:
        session = Session()
        left: list[bool] = []
        member = session.ws.watcher = Member(hub, session.ws, as_data, Policy.BLOCK, left.append)
        await member.join("a", None, 0)
        assert member.is_direct
        await publish(hub, "a", "1")
        await settle()
        session.ws.pause_writing()
        assert not member.is_direct
        await publish(hub, "a", "2", "3")
        assert session.stream.take() == b"\x81\x011"
        session.ws.resume_writing()
        await settle()
        assert member.is_direct
        await publish(hub, "a", "4")
        await settle()
        assert session.stream.take() == b"\x81\x012\x81\x013\x81\x014"
        (feed,) = hub._feeds.values()
        assert feed.users == 1
        await session.lose()
        assert left == [True]
        assert feed.users == 0
        assert not feed.groups
        session.close()


async def test_leaving_is_told_once_in_whatever_state() -> None:
    async with hub_over(MemoryBackend()) as hub:
        session = Session()
        left: list[bool] = []
        member = Member(hub, session.ws, as_data, Policy.BLOCK, left.append)
        session.ws.watcher = member
        await member.join("a", "garbage", 0)
        session.ws.pause_writing()
        member.leave()
        member.leave()
        session.ws.resume_writing()
        assert left == [False]
        assert member.is_over
        await session.lose()
        session.close()


async def test_one_that_waits_for_history_is_not_sent_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else that is sent to the connection may fill it, and be taken, meanwhile."""
    backend = MemoryBackend()
    asked, may_answer = asyncio.Event(), asyncio.Event()
    history = backend.history

    async def slow(channel: str, after: Position | None, limit: int) -> History:
        asked.set()
        await may_answer.wait()
        return await history(channel, after, limit)

    monkeypatch.setattr(backend, "history", slow)
    async with hub_over(backend) as hub:
        session = Session()
        before = backend.position("a")
        await publish(hub, "a", "1", "2")
        member = session.ws.watcher = Member(hub, session.ws, as_data, Policy.BLOCK)
        joining = asyncio.create_task(member.join("a", cursor_of([("a", before)]), 0))
        await asked.wait()
        session.ws.pause_writing()
        session.ws.resume_writing()
        await settle()
        may_answer.set()
        await joining
        await settle()
        assert session.stream.take() == b"\x81\x011\x81\x012"
        assert member.is_direct
        await session.lose()
        session.close()
