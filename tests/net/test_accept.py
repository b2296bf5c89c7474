"""The choice between the reactor and the loop's own transports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elio.net import accept
from elio.net.accept import open_reactor
from support.engines import HAS_REACTOR

needs_reactor = pytest.mark.skipif(not HAS_REACTOR, reason="the reactor is not built or switched off")
SOURCE = Path(accept.__file__).parents[2]


class Blind(asyncio.SelectorEventLoop):
    """A loop that watches no descriptors for others, as that of Windows."""

    def add_reader(self, *args: object) -> None:
        raise NotImplementedError


@needs_reactor
async def test_the_reactor_is_taken_where_it_is_built() -> None:
    reactor = open_reactor(asyncio.get_running_loop())
    assert reactor is not None
    reactor.close()


async def test_the_environment_can_switch_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_REACTOR", "0")
    assert open_reactor(asyncio.get_running_loop()) is None


async def test_without_the_built_module_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "IS_BUILT", False)
    assert open_reactor(asyncio.get_running_loop()) is None


def test_a_pure_library_has_none() -> None:
    code = "import asyncio, elio; from elio.net.accept import open_reactor; print(open_reactor(None))"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "ELIO_PURE": "1"}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True) == "None\n"


def test_a_loop_that_watches_no_descriptors_has_none() -> None:
    loop = Blind()
    assert open_reactor(loop) is None
    loop.close()
