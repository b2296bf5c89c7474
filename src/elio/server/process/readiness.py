"""Readiness: the answer to who asks whether requests may be sent here, such as a load balancer.

It is 200 while the server accepts and every check passes, else 503. While the server goes away it is 503 on the
connections that are still there.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from ...net.runtime import Departure
from ...request import Request
from ...response import Response

__all__ = ["Check", "Readiness"]

Check: TypeAlias = Callable[[], object]
"""A plain or an async function. It fails if it raises, returns ``False``, or takes too long."""

logger = logging.getLogger("elio.server")

_NO_STORE: Final = {"Cache-Control": "no-store"}


class Readiness:
    """The handler of a readiness route.

    Args:
        checks: returns the checks by their names.
        timeout: seconds that they get.
    """

    def __init__(self, checks: Callable[[], Mapping[str, Check]], timeout: float) -> None:
        self._checks = checks
        self._timeout = timeout
        self._departure = Departure()

    def on(self, departure: Departure) -> Readiness:
        """The same for the server that goes away with this."""
        bound = Readiness(self._checks, self._timeout)
        bound._departure = departure
        return bound

    async def __call__(self, request: Request) -> Response:
        """Answer."""
        if self._departure.begun:
            return _answer(False, {"server": "going away"})
        checks = self._checks()
        results = await asyncio.gather(*(self._passes(name, check) for name, check in checks.items()))
        return _answer(all(results), {name: "ok" if ok else "failed" for name, ok in zip(checks, results, strict=True)})

    async def _passes(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                result = check()
                if inspect.isawaitable(result):
                    result = await result
        except Exception as error:
            logger.warning("readiness check %r has failed: %s: %s", name, type(error).__name__, error)
            return False
        return result is not False


def _answer(ready: bool, checks: dict[str, str]) -> Response:
    return Response.json({"ready": ready, "checks": checks}, status=200 if ready else 503, headers=_NO_STORE)
