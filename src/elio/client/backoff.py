"""When a client connects again, and when it does not; no I/O and no clock.

Waits grow with each failure up to a ceiling, and each is drawn at random from nothing up to where they have grown (full
jitter), so that the clients of a server that was lost do not all come back at once. Only a connection that has lived
for a while ends a row of failures: one that is accepted and closed right away is one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from random import random
from typing import Final

from ..errors import ConnectError, ConnectionClosed, HandshakeError
from ..sse.reconnection import parse_retry_after
from ..websocket.codes import CloseCode

__all__ = ["Backoff", "Change", "ConnectionState", "Reconnect", "is_fatal"]

_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_DOUBLINGS: Final = 30


class ConnectionState(Enum):
    """What a client that reconnects is doing."""

    CONNECTING = "connecting"
    """An attempt is under way."""
    OPEN = "open"
    """It is connected."""
    WAITING = "waiting"
    """It has no connection and will try again after a while."""
    CLOSED = "closed"
    """It has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a client that reconnects tells of itself.

    Attributes:
        state: what it is doing from now on.
        attempt: number of the present or next attempt since the last stable connection, from 1.
        delay: seconds until that attempt, while it waits.
        error: why it has no connection; None if it never had one, or closed it itself.
    """

    state: ConnectionState
    attempt: int = 0
    delay: float = 0.0
    error: Exception | None = None


def is_fatal(error: Exception) -> bool:
    """Whether trying again is of no use: what decides unless :attr:`Reconnect.is_fatal` says otherwise.

    Fatal are mistakes of this program, a certificate that is not trusted, an answer that is no opening handshake, and
    any status but 408, 425, 429, 500, 502, 503 and 504. A connection that was lost or closed is not, whatever its code.
    """
    if isinstance(error, HandshakeError):
        return error.status not in _TEMPORARY
    if isinstance(error, ConnectError):
        return error.is_certificate
    return not isinstance(error, ConnectionClosed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How a client comes back. Durations are seconds.

    Attributes:
        first_delay: the longest wait behind a stable connection; it doubles with each failure that follows.
        max_delay: what the longest wait grows up to.
        stable_time: how long a connection must live to end a row of failures.
        max_attempts: attempts in a row; None for no bound.
        max_retry_after: ceiling of what a ``Retry-After`` can ask for.
        restart_delay: the wait behind close code 1012, from and to, as its registration asks for.
        overload_delay: the same for 1013, "try again later".
        is_fatal: told each error; whether to give up.
    """

    first_delay: float = 1.0
    max_delay: float = 60.0
    stable_time: float = 10.0
    max_attempts: int | None = None
    max_retry_after: float = 3600.0
    restart_delay: tuple[float, float] = (5.0, 30.0)
    overload_delay: tuple[float, float] = (30.0, 60.0)
    is_fatal: Callable[[Exception], bool] = is_fatal


class Backoff:
    """Counts failures and says how long to wait.

    Args:
        policy: how.
        chance: gives floats from 0 to below 1, evenly.
        wall_clock: seconds since 1970, for dates in ``Retry-After``.
    """

    __slots__ = ("_chance", "_failures", "_opened_at", "_policy", "_wall_clock", "attempt")

    def __init__(
        self,
        policy: Reconnect,
        *,
        chance: Callable[[], float] = random,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._chance = chance
        self._wall_clock = wall_clock
        self._failures = 0
        self._opened_at: float | None = None
        self.attempt = 1

    def opened(self, now: float) -> None:
        """An attempt led to a connection."""
        self._opened_at = now

    def lost(self, now: float, error: Exception | None) -> float | None:
        """The connection ended, or there was none.

        Args:
            now: seconds on a clock that never goes back.
            error: why; None if this side closed it.

        Returns:
            Seconds to wait; None to give up.
        """
        policy = self._policy
        if self._opened_at is not None and now - self._opened_at >= policy.stable_time:
            self._failures = 0
            self.attempt = 0
        else:
            self._failures += 1
        self._opened_at = None
        if error is not None and policy.is_fatal(error):
            return None
        if policy.max_attempts is not None and self.attempt >= policy.max_attempts:
            return None
        self.attempt += 1
        return self._delay(error)

    def _delay(self, error: Exception | None) -> float:
        policy = self._policy
        grown = min(policy.max_delay, policy.first_delay * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
        delay = grown * self._chance()
        if isinstance(error, ConnectionClosed) and error.code == CloseCode.SERVICE_RESTART:
            return max(delay, self._between(policy.restart_delay))
        if isinstance(error, ConnectionClosed) and error.code == CloseCode.TRY_AGAIN_LATER:
            return max(delay, self._between(policy.overload_delay))
        if isinstance(error, HandshakeError):
            return delay + self._asked(error.headers)
        return delay

    def _asked(self, headers: Sequence[tuple[str, str]]) -> float:
        """What a ``Retry-After`` among the headers asks for (RFC 9110 10.2.3)."""
        values = [value for name, value in headers if name.lower() == "retry-after"]
        seconds = parse_retry_after(values[0], unix_time=self._wall_clock()) if values else None
        return min(seconds or 0.0, self._policy.max_retry_after)

    def _between(self, span: tuple[float, float]) -> float:
        return span[0] + (span[1] - span[0]) * self._chance()
