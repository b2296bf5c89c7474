"""The task that a handler runs in: one of our own kind where it is built, asyncio's elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

try:
    from ._direct_task import DirectTask
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = True

__all__ = ["start_task"]

_T = TypeVar("_T")


def start_task(coroutine: Coroutine[Any, Any, _T], loop: asyncio.AbstractEventLoop) -> asyncio.Task[_T]:
    """Run a coroutine in a task. A task of our own kind begins here and now, if no other one is running.

    Args:
        coroutine: what it runs.
        loop: the running one.
    """
    if IS_BUILT:
        return DirectTask(coroutine, loop=loop, eager=True)
    return loop.create_task(coroutine)
