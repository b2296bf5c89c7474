"""URLs to engines."""

from __future__ import annotations

from typing import Any

import pytest

from elio.channels.engines.choose import EngineOptions, engine_url, open_engine
from elio.channels.engines.local.backend import LocalBackend
from elio.channels.engines.memory import MemoryBackend
from elio.channels.engines.nats.backend import NatsBackend
from elio.channels.engines.redis.backend import RedisBackend
from elio.errors import ConfigurationError

OPTIONS: dict[str, Any] = {"history": 10, "ttl": 60.0, "on_outage": "raise"}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory:", MemoryBackend),
        ("local:/run/hub", LocalBackend),
        ("redis://localhost", RedisBackend),
        ("rediss://localhost", RedisBackend),
        ("unix:///run/redis.sock", RedisBackend),
        ("redis+sentinel://localhost/main", RedisBackend),
        ("redis+cluster://localhost", RedisBackend),
        ("nats://localhost", NatsBackend),
        ("tls://localhost", NatsBackend),
    ],
)
def test_the_scheme_names_the_engine(url: str, kind: type) -> None:
    assert type(open_engine(url, EngineOptions(**OPTIONS))) is kind


@pytest.mark.parametrize("url", ["", "nosuch://x", "MEMORY:", "x"])
def test_other_schemes_are_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        open_engine(url, EngineOptions(**OPTIONS))


@pytest.mark.parametrize(
    "wrong", [{"history": 0}, {"ttl": 0.0}, {"ttl": float("nan")}, {"ttl": float("inf")}, {"on_outage": "ignore"}]
)
def test_options_are_checked_for_every_engine(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        open_engine("memory:", EngineOptions(**{**OPTIONS, **wrong}))


def test_what_is_not_named_stands_in_the_environment_or_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_CHANNELS", "nats://there")
    assert (engine_url("redis://here"), engine_url(None), engine_url("")) == ("redis://here", *["nats://there"] * 2)
    monkeypatch.delenv("ELIO_CHANNELS")
    assert engine_url(None) == "memory:"
