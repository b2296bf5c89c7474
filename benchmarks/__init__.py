"""Benchmarks: `python -m benchmarks.run CASE` (see run.py)."""
