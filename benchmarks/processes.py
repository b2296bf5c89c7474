"""What benchmarks and soaks ask the system about processes."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from pathlib import Path

__all__ = ["memory", "raise_limit"]


def raise_limit() -> int:
    """Let this process have as many descriptors as the system allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def memory(pids: Iterable[int]) -> int:
    """Bytes that these processes have, each shared page counted once; those that are gone have none."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total
