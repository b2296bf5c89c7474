"""What holds for all tests.

``ELIO_TEST_LOOP`` is the event loop that they run on, ``asyncio`` (as without it) or ``uvloop``. Random examples have
no deadline: on a busy machine any of them may take long.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest
import uvloop
from hypothesis import settings

from support.servers import held_port

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
LOOP: Final = os.environ.get("ELIO_TEST_LOOP") or "asyncio"


settings.register_profile("elio", deadline=None)
settings.load_profile("elio")


def pytest_configure() -> None:
    if LOOP not in LOOPS:
        raise pytest.UsageError(f"ELIO_TEST_LOOP is {LOOP!r}, it must be one of {', '.join(LOOPS)}")


def pytest_report_header() -> str:
    return f"event loop: {LOOP}"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {LOOP: LOOPS[LOOP]}


@pytest.fixture
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 for a server that comes and goes, or never comes: no other test is given it."""
    with held_port() as port:
        yield port
