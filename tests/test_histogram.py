"""Values counted by size."""

from __future__ import annotations

from elio.histogram import Histogram


def test_values_fall_between_the_bounds() -> None:
    histogram = Histogram([0.1, 1.0])
    for value in (0.0, 0.1, 0.2, 1.0, 1.1, 50.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.total == 52.4
    assert repr(histogram) == "<Histogram of 6 values>"
