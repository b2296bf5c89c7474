"""The bounds: safe defaults, and values that would not work."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
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
