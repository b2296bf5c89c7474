"""Looks after an identity that expires while its connection is open.

The coarse timer of all connections asks it; connections whose identity never expires have none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from math import inf
from typing import Final

from ..errors import HTTPError
from ..net.runtime import Runtime
from .identity import Identity

__all__ = ["Watch"]

logger = logging.getLogger("elio.server")

_AHEAD: Final = 10.0
"""Seconds before its end at which an identity is renewed, at most; at least a quarter of its time is left alone."""

_LONGEST: Final = 86_400.0
"""Seconds until the clock is looked at again: it may be set, and an end may lie beyond any timer."""


class Watch:
    """One identity of one open connection.

    Args:
        identity: what is known at the beginning.
        runtime: the surroundings of the connection.
        end: called once when it is over.

    Attributes:
        identity: what is known at present.
    """

    __slots__ = ("_ask_at", "_bucket", "_end", "_renewing", "_runtime", "identity")

    def __init__(self, identity: Identity, runtime: Runtime, end: Callable[[], object]) -> None:
        self.identity = identity
        self._ask_at = inf
        self._runtime = runtime
        self._end: Callable[[], object] | None = end
        self._renewing: asyncio.Task[None] | None = None
        self._bucket = -1
        self.renew(identity)

    def renew(self, identity: Identity) -> None:
        """Take another identity, with an end of its own."""
        self.identity = identity
        self._ask_at = inf
        if identity.renew is not None and identity.expires is not None:
            self._ask_at = identity.expires - min(_AHEAD, (identity.expires - time.time()) / 4)
        self._schedule()

    def stop(self) -> None:
        """The connection has ended."""
        self._end = None
        self._runtime.timer.forget(self, self._bucket)
        if self._renewing is not None:
            self._renewing.cancel()

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if self.identity.has_expired:
            self._over()
            return
        if self._ask_at <= time.time():
            self._ask_at = inf
            self._renewing = self._runtime.loop.create_task(self._ask(self.identity))
        self._schedule()

    def _schedule(self) -> None:
        timer = self._runtime.timer
        timer.forget(self, self._bucket)
        if self._end is not None and self.identity.expires is not None:
            left = min(self.identity.expires, self._ask_at) - time.time()
            self._bucket = timer.schedule(self, timer.now() + min(max(left, 0.0), _LONGEST))

    async def _ask(self, identity: Identity) -> None:
        """Ask for a later end. What fails for any other reason than a refusal leaves the present one as it is."""
        if identity.renew is None:
            return
        try:
            renewed = await identity.renew(identity)
        except HTTPError:
            renewed = None
        except Exception as error:
            logger.error("an identity could not be renewed", exc_info=error)
            return
        if self.identity is not identity:  # the program was faster
            return
        if renewed is None:
            self._over()
        else:
            self.renew(renewed)

    def _over(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()
