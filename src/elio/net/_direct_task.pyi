import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

__all__ = ["DirectTask"]

_T = TypeVar("_T")

class DirectTask(asyncio.Task[_T]):
    """A task that goes on where what it waits for arrives.

    Args:
        coro: what it runs.
        loop: of which.
        name: by default made when it is asked for.
        eager: whether it begins here and now, if no task is running.
    """

    def __init__(
        self,
        coro: Coroutine[Any, Any, _T],
        *,
        loop: asyncio.AbstractEventLoop,
        name: str | None = None,
        eager: bool = False,
    ) -> None: ...
    def get_context(self) -> Context: ...
    def resume(self) -> None:
        """Go on. No task may be running."""
