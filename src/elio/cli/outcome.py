"""Runs a client command to its end, whatever ends it, and finds the exit status."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final

from ..errors import (
    ConnectError,
    ConnectionClosed,
    ElioError,
    EngineError,
    EngineLost,
    HandshakeError,
    PublishError,
    RemoteProtocolError,
    StreamTruncated,
)
from .terminal import complain, printable

__all__ = ["STATUSES", "Status", "describe", "run_client", "status_of"]

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGPIPE: Final = 13
_MAX_BODY: Final = 200
"""Characters of the body of a refusal that are shown."""


class Status(IntEnum):
    """How a client command ended. Behind a signal it is 128 and the signal's number."""

    OK = 0
    CANNOT = 1
    UNREACHABLE = 3
    REFUSED = 4
    BROKEN = 5
    TIME_IS_UP = 124  # as of timeout(1)


STATUSES: Final = """Exit status: 0 after an orderly end, 1 if it cannot be done as asked, 2 for a wrong command line,
3 if the server or engine cannot be reached, 4 if it refuses or does not speak the protocol, 5 if the connection ended
in any other way than agreed, 70 for an error in Elio itself, 124 when --max-time is over, 130 after Ctrl+C, 141 when
the reader of the output has left."""


def run_client(main: Callable[[], Coroutine[Any, Any, None]], *, max_time: float | None) -> int:
    """Run a client until it ends, the time is up, or a signal comes.

    Ctrl+C, SIGTERM and SIGHUP cancel it, so that it closes its connection in order; a second one ends it at once.

    Args:
        main: makes the coroutine of the client.
        max_time: seconds; None for no bound.

    Returns:
        The exit status. What was wrong is on stderr, as one sentence.
    """
    return asyncio.run(_run(main, max_time))


async def _run(main: Callable[[], Coroutine[Any, Any, None]], max_time: float | None) -> int:
    signals = _watch_signals()
    try:
        async with asyncio.timeout(max_time) as deadline:
            await main()
    except asyncio.CancelledError:
        if not signals:
            raise
        return 128 + signals[0]
    except TimeoutError:
        if not deadline.expired():
            raise
        complain(f"not at an end within {max_time:g} seconds")
        return Status.TIME_IS_UP
    except BrokenPipeError:
        return 128 + _SIGPIPE
    except ElioError as error:
        status = status_of(error)
        if status is Status.CANNOT:
            raise
        complain(describe(error))
        return status
    return Status.OK


def _watch_signals() -> list[int]:
    """Cancel the present task at the first signal.

    Returns:
        Where the number of that signal will stand.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    seen: list[int] = []

    def signalled(number: int) -> None:
        seen.append(number)
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
        if task is not None:
            task.cancel()

    with suppress(NotImplementedError):  # no such thing on Windows, where Ctrl+C interrupts
        for each in _SIGNALS:
            loop.add_signal_handler(each, signalled, each)
    return seen


def status_of(error: ElioError) -> Status:
    """The exit status that an error means."""
    if isinstance(error, (ConnectError, EngineLost, PublishError)):
        return Status.UNREACHABLE
    if isinstance(error, (HandshakeError, EngineError)):
        return Status.REFUSED
    if isinstance(error, (ConnectionClosed, StreamTruncated, RemoteProtocolError)):
        return Status.BROKEN
    return Status.CANNOT


def describe(error: ElioError) -> str:
    """The text of an error, of a refusal with the beginning of its body, without control characters."""
    text = str(error)
    if isinstance(error, HandshakeError) and error.body:
        body = " ".join(error.body.decode("utf-8", "replace").split())
        text += f": {body[:_MAX_BODY]}{'...' if len(body) > _MAX_BODY else ''}"
    return printable(text)
