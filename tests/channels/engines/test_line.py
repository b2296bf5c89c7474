"""A connection that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from elio.channels.engines.line import Line, answer_within
from elio.errors import EngineLost

DEADLINE = 30.0


class Made:
    """A connection."""

    def __init__(self, on_lost: Callable[[str], object]) -> None:
        self.on_lost = on_lost
        self.aborted = ""

    def abort(self, why: str) -> None:
        self.aborted = why


class Server:
    """Makes connections, or refuses."""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.downs: list[str] = []
        self.refusals = 0
        self.is_unusable = False
        self.line = Line("the engine", self.open, on_up=self.up, on_down=self.downs.append, timeout=5.0)

    async def open(self, on_lost: Callable[[str], object]) -> Made:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionRefusedError("refused")
        self.made.append(Made(on_lost))
        return self.made[-1]

    async def up(self, made: Made) -> None:
        if self.is_unusable:
            self.is_unusable = False
            raise EngineLost("not ready")


async def test_it_comes_back_after_losses_and_refusals() -> None:
    server = Server()
    server.line.start()
    first = await server.line.ready(DEADLINE)
    server.refusals = 2
    first.on_lost("cut")
    assert server.line.connection is None, "who tries again at once must not find the dead one"
    second = await server.line.ready(DEADLINE)
    assert second is not first
    assert server.downs == ["the engine: cut", "the engine: refused", "the engine: refused"]
    await server.line.close()
    assert second.aborted == "closed"
    assert server.line.connection is None


async def test_one_that_cannot_be_used_is_cut_and_made_again() -> None:
    server = Server()
    server.is_unusable = True
    server.line.start()
    await server.line.ready(DEADLINE)
    assert server.made[0].aborted
    assert server.downs == ["the engine: not ready"]
    await server.line.close()


async def test_waiting_for_it_has_an_end() -> None:
    server = Server()
    with pytest.raises(EngineLost, match="no connection to the engine: not connected yet"):
        await server.line.ready(0.0)
    await server.line.close()


async def test_an_answer_within_a_time() -> None:
    async with answer_within(DEADLINE):
        pass
    with pytest.raises(EngineLost) as raised:
        async with answer_within(0.0):
            await asyncio.get_running_loop().create_future()
    assert raised.value.is_unknown
    with pytest.raises(TimeoutError):
        async with answer_within(DEADLINE):
            raise TimeoutError("somebody else's")
