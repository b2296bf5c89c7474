"""When a client comes back, without a clock."""

from __future__ import annotations

from typing import Any

import pytest

from elio.client.backoff import Backoff, Reconnect, is_fatal
from elio.errors import (
    ConfigurationError,
    ConnectError,
    HandshakeError,
    InvalidHeader,
    connection_closed,
)

LOST = connection_closed(1006)


def make(*, chance: float = 1.0, **policy: Any) -> Backoff:
    return Backoff(Reconnect(**policy), chance=lambda: chance, wall_clock=lambda: 1_000_000_000.0)


def refused(status: int, **headers: str) -> HandshakeError:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return HandshakeError("refused", status=status, headers=pairs)


def test_waits_double_up_to_a_ceiling() -> None:
    backoff = make(first_delay=1.0, max_delay=20.0)
    assert [backoff.lost(0.0, ConnectError("no")) for _ in range(7)] == [2, 4, 8, 16, 20, 20, 20]
    assert backoff.attempt == 8


def test_jitter_is_full() -> None:
    waits = [make(chance=chance).lost(0.0, LOST) for chance in (0.0, 0.25, 0.999)]
    assert waits == pytest.approx([0.0, 0.5, 1.998])


def test_only_a_stable_connection_ends_a_row_of_failures() -> None:
    backoff = make(first_delay=1.0, stable_time=10.0)
    for expected in (2, 4, 8):  # accepted and closed right away
        backoff.opened(100.0)
        assert backoff.lost(109.9, LOST) == expected
    backoff.opened(200.0)
    assert backoff.lost(210.0, LOST) == 1.0
    assert backoff.attempt == 1


def test_a_very_long_row_of_failures_does_not_overflow() -> None:
    backoff = make()
    assert [backoff.lost(0.0, LOST) for _ in range(5000)][-1] == 60.0


def test_attempts_in_a_row_have_a_bound() -> None:
    backoff = make(max_attempts=3)
    assert [backoff.lost(0.0, LOST) is None for _ in range(3)] == [False, False, True]
    stable = make(max_attempts=1)
    assert stable.lost(0.0, LOST) is None
    stable.opened(0.0)
    assert stable.lost(100.0, LOST) is not None


def test_retry_after_is_waited_for_and_has_a_ceiling() -> None:
    assert make(chance=0.0).lost(0.0, refused(503, Retry_After="120")) == 120.0
    assert make(chance=0.5).lost(0.0, refused(503, retry_after="120")) == 121.0
    date = "Sun, 09 Sep 2001 01:47:40 GMT"  # 60 s behind the wall clock
    assert make(chance=0.0).lost(0.0, refused(429, Retry_After=date)) == 60.0
    assert make(chance=0.0).lost(0.0, refused(503, Retry_After="9" * 30)) == 3600.0
    assert make(chance=0.0).lost(0.0, refused(503, Retry_After="soon")) == 0.0
    assert make(chance=0.0, max_retry_after=5.0).lost(0.0, refused(503, Retry_After="120")) == 5.0


def test_a_restart_and_an_overload_have_waits_of_their_own() -> None:
    assert [make(chance=chance).lost(0.0, connection_closed(1012)) for chance in (0.0, 1.0)] == [5.0, 30.0]
    assert [make(chance=chance).lost(0.0, connection_closed(1013)) for chance in (0.0, 1.0)] == [30.0, 60.0]
    quick = make(chance=1.0, restart_delay=(0.1, 0.2), first_delay=0.01)
    assert quick.lost(0.0, connection_closed(1012)) == 0.2


def test_what_is_fatal() -> None:
    temporary = {status for status in range(100, 600) if not is_fatal(refused(status))}
    assert temporary == {408, 425, 429, 500, 502, 503, 504}
    assert is_fatal(HandshakeError("not HTTP"))
    assert is_fatal(ConnectError("no", is_certificate=True))
    assert is_fatal(InvalidHeader("no"))
    assert is_fatal(ConfigurationError("no"))
    assert not is_fatal(ConnectError("no"))
    assert not any(is_fatal(connection_closed(code)) for code in (1000, 1001, 1006, 1008, 1012, 4000))


def test_fatal_errors_end_it_and_who_decides_can_be_replaced() -> None:
    assert make().lost(0.0, refused(404)) is None
    assert make(is_fatal=lambda error: False).lost(0.0, refused(404)) is not None
    assert make(is_fatal=lambda error: True).lost(0.0, LOST) is None
    assert make(is_fatal=lambda error: True).lost(0.0, None) is not None  # closed by this side
