"""Users, and for how long they are known."""

from __future__ import annotations

import math
import time

import pytest

from elio import ConfigurationError, Identity


def test_an_identity_without_an_end_lasts() -> None:
    assert not Identity("ada").has_expired


def test_it_is_over_at_its_end_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity("ada", expires=1000.0)
    monkeypatch.setattr(time, "time", lambda: 999.9)
    assert not identity.has_expired
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert identity.has_expired


def test_an_end_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="NaN"):
        Identity("ada", expires=math.nan)
