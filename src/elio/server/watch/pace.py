"""How fast the body of a request comes. One that drips would hold a connection, and a handler, for days."""

from __future__ import annotations

from collections.abc import Callable

from ...body import Body
from ...causes import RequestTimeout
from ...limits import Limits
from ...net.timer import CoarseTimer

__all__ = ["Pace"]


class Pace:
    """Looks at one body that is still on its way, once in ``body_grace`` seconds; nothing is done for what comes.

    Args:
        body: what comes.
        timer: of the server.
        rate: bytes a second that have to come on the average.
        grace: seconds of one look.
        on_slow: told once if fewer came.
    """

    __slots__ = ("_body", "_bucket", "_grace", "_mark", "_on_slow", "_rate", "_since", "_timer")

    def __init__(
        self, body: Body, timer: CoarseTimer, rate: int, grace: float, on_slow: Callable[[RequestTimeout], object]
    ) -> None:
        self._body = body
        self._timer = timer
        self._rate = rate
        self._grace = grace
        self._on_slow = on_slow
        self._bucket = -1
        self._since = 0.0
        self._mark = 0
        self.begin()
        self._bucket = timer.schedule(self, self._since + grace)

    @classmethod
    def of(
        cls, body: Body, timer: CoarseTimer, limits: Limits, on_slow: Callable[[RequestTimeout], object]
    ) -> Pace | None:
        """One for this body, unless it is complete or the bound is off."""
        if body.is_complete or limits.min_body_rate is None:
            return None
        return cls(body, timer, limits.min_body_rate, limits.body_grace, on_slow)

    def begin(self) -> None:
        """Count from now on: before, this side did not want more."""
        self._since = self._timer.now()
        self._mark = self._body.received

    def stop(self) -> None:
        """Look no more."""
        self._timer.forget(self, self._bucket)

    def check_time(self, now: float) -> None:
        """Called by the coarse timer."""
        if self._body.is_full or self._body.is_withheld:
            self.begin()
        elif now >= self._since + self._grace:
            if self._body.received - self._mark < self._rate * self._grace:
                self._on_slow(RequestTimeout("min_body_rate", self._rate))
                return
            self.begin()
        self._bucket = self._timer.schedule(self, self._since + self._grace)
