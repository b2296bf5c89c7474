"""URLs to engines."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...errors import ConfigurationError
from ..backend import Backend
from .local.backend import LocalBackend
from .memory import MemoryBackend
from .nats.backend import NatsBackend
from .redis.backend import RedisBackend
from .redis.url import SCHEMES as REDIS_SCHEMES

__all__ = ["ENVIRONMENT", "EngineOptions", "engine_url", "open_engine"]

ENVIRONMENT: Final = "ELIO_CHANNELS"
"""The variable of the environment with the URL of the engine for channels that name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What every engine is told.

    Attributes:
        history: messages kept of each channel.
        ttl: seconds for which they are kept.
        on_outage: "raise" or "wait": what ``publish`` does while the engine is away.
    """

    history: int = 1000
    ttl: float = 300.0
    on_outage: str = "raise"


def _memory(url: str, options: EngineOptions) -> Backend:
    return MemoryBackend(history=options.history, ttl=options.ttl)


def _local(url: str, options: EngineOptions) -> Backend:
    # How much is kept is the hub's business.
    return LocalBackend(url, on_outage=options.on_outage)


def _redis(url: str, options: EngineOptions) -> Backend:
    return RedisBackend(url, history=options.history, ttl=options.ttl, on_outage=options.on_outage)


def _nats(url: str, options: EngineOptions) -> Backend:
    return NatsBackend(url, history=options.history, ttl=options.ttl, on_outage=options.on_outage)


_ENGINES: Final[dict[str, Callable[[str, EngineOptions], Backend]]] = {
    "memory": _memory,
    "local": _local,
    **dict.fromkeys(REDIS_SCHEMES, _redis),
    **dict.fromkeys(("nats", "tls"), _nats),
}
"""What makes a backend, by the scheme of the URL."""


def engine_url(url: str | None) -> str:
    """The URL as given, else that of the environment, else memory."""
    return url or os.environ.get(ENVIRONMENT) or "memory:"


def open_engine(url: str, options: EngineOptions) -> Backend:
    """Make the backend that a URL names; it is not started.

    Raises:
        ConfigurationError: there is no such engine, or it cannot be used like this.
    """
    scheme = url.partition(":")[0]
    make = _ENGINES.get(scheme)
    if make is None:
        raise ConfigurationError(f"{scheme!r} is no engine for channels, {', '.join(_ENGINES)} are")
    if options.history < 1 or not 0 < options.ttl < float("inf"):
        raise ConfigurationError(f"history of {options.history} for {options.ttl} seconds, both must be above 0")
    if options.on_outage not in ("raise", "wait"):
        raise ConfigurationError(f"on_outage is {options.on_outage!r}, allowed are 'raise' and 'wait'")
    return make(url, options)
