"""Tells when the event loop is blocked, and where: a thread that asks the loop for a sign of life now and then.

A blocked loop answers nobody, and peers take it for dead. The warning names the line that blocks, while it does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from asyncio import AbstractEventLoop
from time import monotonic
from types import FrameType
from typing import Final

from ...causes import LoopBlocked
from ...net.timer import CoarseTimer

__all__ = ["LoopWatch"]

logger = logging.getLogger("elio.server")

_STDLIB: Final = os.path.dirname(os.__file__) + os.sep
_PACKAGES: Final = "site-packages"


class LoopWatch:
    """One thread for one loop.

    Args:
        loop: the running one.
        timer: is told of each blockage once it is over.
        seconds: from how long on a loop counts as blocked.
    """

    def __init__(self, loop: AbstractEventLoop, timer: CoarseTimer, seconds: float) -> None:
        self._loop = loop
        self._timer = timer
        self._seconds = seconds
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._alive = threading.Event()
        self._place = ""
        self._thread = threading.Thread(target=self._run, name="elio-loop-watch", daemon=True)

    def start(self) -> None:
        """Begin, in the thread of the loop."""
        self._thread.start()

    def stop(self) -> None:
        """End. The thread is gone when this returns."""
        self._stopped.set()
        self._alive.set()
        self._thread.join()

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        # A signal that came to this thread would not interrupt what blocks the thread of the loop.
        with contextlib.suppress(AttributeError):  # not everywhere
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not self._stopped.wait(self._seconds / 4):
            self._alive.clear()
            if self._stopped.is_set():  # the sign that stop() gave may just have been cleared
                return
            self._place = ""
            asked = monotonic()
            try:
                self._loop.call_soon_threadsafe(self._sign_of_life, asked)
            except RuntimeError:  # the loop is closed
                return
            if self._alive.wait(self._seconds):
                continue
            # If this thread was late as well, the whole process did not get to run.
            if monotonic() - asked < 2 * self._seconds and not self._stopped.is_set():
                self._warn()
            self._alive.wait()

    def _warn(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is not None:
            self._place = _place_of(frame)
            logger.warning("the event loop is blocked for more than %.3g s in %s", self._seconds, self._place)

    # -- in the loop ---------------------------------------------------------------------------------------------------

    def _sign_of_life(self, asked: float) -> None:
        late = monotonic() - asked
        if late >= self._seconds:
            blockage = LoopBlocked(late, self._place or "an unknown place")
            self._timer.note_blockage(blockage)
            logger.info("the event loop was blocked for %.1f s in %s", late, blockage.place)
        self._alive.set()


def _place_of(frame: FrameType) -> str:
    """File, line and function: the innermost that is not Python's own, since that is where it can be changed."""
    found: FrameType | None = frame
    while found is not None and _is_python(found.f_code.co_filename):
        found = found.f_back
    where = found or frame
    return f"{where.f_code.co_filename}:{where.f_lineno} in {where.f_code.co_name}"


def _is_python(path: str) -> bool:
    return path.startswith("<frozen") or (path.startswith(_STDLIB) and _PACKAGES not in path)
