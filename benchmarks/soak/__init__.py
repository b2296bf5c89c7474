"""Soaks: long or large runs with a verdict, `python -m benchmarks.soak.drain` and `python -m benchmarks.soak.hold`."""
