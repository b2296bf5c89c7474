"""Soaks: long or large runs with a verdict, `python -m benchmarks.soak.drain`, `hold`, `slow` and `channels`."""
