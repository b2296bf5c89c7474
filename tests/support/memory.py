"""How much memory this process takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MIB", "grows_at_most"]

MIB = 1024 * 1024


@contextmanager
def grows_at_most(size: int) -> Iterator[None]:
    """At no time of the block this process takes so many bytes more than before it."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _read("VmRSS")
    yield
    grown = _read("VmHWM") - before
    if grown > size:
        raise AssertionError(f"memory grew by {grown / MIB:.1f} MiB, {size / MIB:.1f} are allowed")


def _read(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024
