"""``Identity``: a user, and for how long it is known to be one."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What an ``authenticate`` function returns for a user who is not known for ever.

    Attributes:
        user: whatever the program knows its users by; ``request.user`` is it.
        expires: seconds since 1970 at which it is over, such as the ``exp`` of a JWT; None for never. A WebSocket is
            closed then with 3000, and an event stream ends.
        renew: asked shortly before for a connection that is still open: ``await renew(identity)`` returns an identity
            that lasts longer, or None to end the connection at once.

    Raises:
        ConfigurationError: ``expires`` is no number.
    """

    user: Any
    expires: float | None = None
    renew: Callable[[Identity], Awaitable[Identity | None]] | None = None

    def __post_init__(self) -> None:
        if self.expires is not None and math.isnan(self.expires):
            raise ConfigurationError("the end of an identity is NaN, it must be seconds since 1970 or None")

    @property
    def has_expired(self) -> bool:
        """Whether it is over."""
        return self.expires is not None and self.expires <= time.time()
