"""The bounds: safe defaults, and values that would not work."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
from pathlib import Path
from typing import Any

import pytest

from elio import limits
from elio.errors import ConfigurationError
from elio.limits import LARGEST, UNSET, Limits, bound, with_bounds

FIELDS = dataclasses.fields(Limits)
OPTIONAL = {field.name for field in FIELDS if str(field.type).endswith("None")}
ABOVE_ZERO = {
    "body_grace",
    "keep_alive_interval",
    "max_connections",
    "max_connections_per_address",
    "max_queue",
    "min_body_rate",
    "ping_interval",
    "unacknowledged_timeout",
}

CHECKED = {
    "max_request_line_size": ("http/test_collector.py", "a_head_at_its_limits_passes", "a_head_one_over_a_limit"),
    "max_headers": ("http/test_collector.py", "a_head_at_its_limits_passes", "a_head_one_over_a_limit"),
    "max_headers_size": ("http/test_collector.py", "a_head_at_its_limits_passes", "a_head_one_over_a_limit"),
    "max_body_size": ("http/test_http1.py", "the_announced_size_of_a_body", "the_counted_size_of_a_body"),
    "max_body_overhead": ("http/test_framing.py", "framing_that_does_not_exceed", "framing_beyond_the_data"),
    "body_buffer_size": ("test_body.py", "streaming_takes_the_pause_away", "it_is_full_between_pause_and_resume"),
    "headers_timeout": ("server/test_connection.py", "a_connection_serves", "a_head_that_does_not_end_is_408"),
    "body_timeout": ("test_body.py", "read_waits_for_the_end", "silence_for_too_long_is_408"),
    "min_body_rate": ("server/watch/test_pace.py", "as_many_bytes_as_asked_for", "a_body_that_drips_is_slow"),
    "body_grace": ("server/watch/test_pace.py", "time_counts_anew", "a_client_that_drips_gets_408"),
    "keep_alive_timeout": (
        "server/test_connection.py",
        "a_connection_serves",
        "a_kept_connection_that_says_nothing_more",
    ),
    "tls_handshake_timeout": ("server/entry/test_handshakes.py", "a_handshake_in_time", "a_handshake_that_stalls"),
    "open_timeout": ("client/test_http.py", "redirects_are_followed", "silence_ends_in_time"),
    "max_redirects": ("client/test_http.py", "redirects_are_followed", "a_circle_of_redirects_ends"),
    "max_connections": ("server/test_connection.py", "one_connection_too_many", "one_connection_too_many"),
    "max_connections_per_address": ("server/entry/test_addresses.py", "as_many_as_allowed", "as_many_as_allowed"),
    "backlog": ("net/epoll/test_reactor.py", "connections_are_accepted", "a_paused_listener_leaves_connections"),
    "unacknowledged_timeout": ("server/watch/test_silence.py", "who_is_there_is_not", "a_peer_that_vanishes"),
    "max_message_size": ("websocket/test_message.py", "every_message_has_the_whole_limit", "a_message_over_the_limit"),
    "max_fragments": ("websocket/test_message.py", "fragments_are_limited", "fragments_are_limited"),
    "max_queue": ("test_wire.py", "a_burst_that_does_not_fit_stays_raw", "reading_stops_when_the_queue_is_full"),
    "max_empty_frames": ("websocket/test_message.py", "data_starts_the_count", "frames_without_data_in_a_row"),
    "close_timeout": ("test_session.py", "closing_waits_for_the_peer", "what_nobody_takes_behind_our_close"),
    "ping_interval": ("test_wire.py", "the_interval_does_not_grow", "a_ping_goes_out_at_every_interval"),
    "ping_timeout": ("test_wire.py", "any_byte_counts_as_life", "a_peer_that_is_silent_behind_a_ping"),
    "commit_delay": ("test_session.py", "without_a_delay_a_handler", "a_handler_that_does_nothing_has_accepted"),
    "disconnect_grace": (
        "server/test_upgrade.py",
        "a_handler_that_works_on_a_message",
        "a_handler_that_works_on_for_ever",
    ),
    "write_limit": ("test_event_stream.py", "a_sender_waits_for_a_slow_reader", "a_sender_waits_for_a_slow_reader"),
    "max_backlog": ("test_fan_out.py", "everyone_open_gets_it", "one_that_is_too_far_behind_is_cut_off"),
    "send_timeout": ("net/test_outlet.py", "a_peer_that_takes_a_byte_now_and_then", "a_peer_is_stalled"),
    "max_event_size": ("sse/test_parser.py", "data_of_the_limit_is_read", "unfinished_line_over_the_limit"),
    "response_timeout": ("client/test_event_source.py", "redirects_are_followed", "silence_before_the_answer"),
    "liveness_timeout": ("client/test_event_body.py", "signs_of_life_are_no_progress", "silence_is_noticed"),
    "progress_timeout": ("client/test_event_body.py", "events_are_progress", "signs_of_life_are_no_progress"),
    "keep_alive_interval": ("test_event_stream.py", "comments_can_be_switched_off", "comments_keep_an_idle_stream"),
}
"""Where each bound is tested on both sides: the module, how the test within it begins, and the one beyond it."""


def make(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


def documented() -> set[str]:
    """The fields with a docstring below them."""
    body = next(node.body for node in ast.parse(inspect.getsource(limits)).body if isinstance(node, ast.ClassDef))
    return {
        first.target.id
        for first, second in itertools.pairwise(body)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
        if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant)
    }


def test_every_bound_is_tested_on_both_sides() -> None:
    assert CHECKED.keys() == {field.name for field in FIELDS}
    tests = Path(__file__).parent
    texts = {module: (tests / module).read_text("utf-8") for module, _, _ in CHECKED.values()}
    missing = {
        name: start
        for name, (module, *starts) in CHECKED.items()
        for start in starts
        if f"def test_{start}" not in texts[module]
    }
    assert not missing


def test_no_bound_is_off_by_default() -> None:
    assert all(getattr(Limits(), field.name) is not None for field in FIELDS)


def test_every_bound_says_what_it_is() -> None:
    assert documented() == {field.name for field in FIELDS}


def test_sizes_are_whole_numbers_and_durations_floats() -> None:
    for field in FIELDS:
        is_duration = field.name.endswith(("_timeout", "_interval", "_delay", "_grace"))
        assert type(getattr(Limits(), field.name)) is (float if is_duration else int), field.name


def test_the_defaults_that_are_promised() -> None:
    defaults = Limits()
    assert defaults.max_message_size == 1024 * 1024
    assert defaults.max_body_size == 10 * 1024 * 1024
    # RFC 6455 has no bound; the conformance suite sends a legal message of 65,536 fragments.
    assert defaults.max_fragments is not None
    assert defaults.max_fragments > 65_536
    # Proxies cut a silent connection after 60 s.
    assert defaults.ping_interval is not None
    assert defaults.ping_interval < 60
    assert defaults.keep_alive_interval is not None
    assert defaults.keep_alive_interval < 60


def test_limits_are_values() -> None:
    assert Limits() == Limits()
    assert dataclasses.replace(Limits(), max_queue=3) == Limits(max_queue=3) != Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().max_queue = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Limits(8192)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_negative_bounds_are_refused(name: str) -> None:
    lowest = "above 0" if name in ABOVE_ZERO else "at least 0"
    hint = ", or None to switch it off" if name in OPTIONAL else ""
    for value in (-1, -0.5, math.nan):
        with pytest.raises(ConfigurationError) as caught:
            make(name, value)
        assert str(caught.value) == f"{name} is {value}, it must be {lowest}{hint}"


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_zero_is_a_bound_where_something_works_with_it(name: str) -> None:
    if name not in ABOVE_ZERO:
        assert getattr(make(name, 0), name) == 0
        return
    with pytest.raises(ConfigurationError, match=f"^{name} is 0, it must be above 0"):
        make(name, 0)


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_none_switches_off_what_can_be_off(name: str) -> None:
    if name in OPTIONAL:
        assert getattr(make(name, None), name) is None
        return
    with pytest.raises(ConfigurationError, match=f"^{name} is None, it must be (above|at least) 0$"):
        make(name, None)


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(ConfigurationError, match="max_message_size is -1, it must be at least 0, or None"):
        dataclasses.replace(Limits(), max_message_size=-1)


def test_with_bounds_changes_what_is_given() -> None:
    assert with_bounds(None) == Limits()
    changed = with_bounds(Limits(max_queue=3), max_message_size=None, ping_interval=UNSET)
    assert changed == Limits(max_queue=3, max_message_size=None)
    with pytest.raises(ConfigurationError):
        with_bounds(None, max_queue=0)


def test_more_than_can_be_counted_is_refused() -> None:
    assert make("max_message_size", LARGEST).max_message_size == 2**63 - 1
    for name, hint in (("max_message_size", ", or None to switch it off"), ("write_limit", "")):
        with pytest.raises(ConfigurationError) as caught:
            make(name, LARGEST + 1)
        assert str(caught.value) == f"{name} is 9223372036854775808, it must be at most 9223372036854775807{hint}"


def test_a_bound_is_a_number_to_compare_with() -> None:
    assert bound("max_queue", None) == LARGEST
    for value in (0, 1, LARGEST):
        assert bound("max_queue", value) == value
    for value in (-1, LARGEST + 1):
        with pytest.raises(ConfigurationError, match=f"^max_queue is {value}, allowed are 0 to {LARGEST}, or None"):
            bound("max_queue", value)
