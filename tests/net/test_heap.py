"""Memory that stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
from elio.net.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    assert keep_freed_memory()
held = [bytes(1_000_000) for _ in range(4)]
del held
before = faults()
for _ in range(100):
    _ = bytes(bytearray(b"x")) + bytes(1_000_000)
print(faults() - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, text=True, check=True, timeout=60, env={}
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about the C library of Linux")
def test_blocks_that_are_freed_are_used_again_without_page_faults() -> None:
    assert faults("given back") > 10_000
    assert faults("kept") < 2_000


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_the_environment_has_the_last_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from elio.net.heap import keep_freed_memory

    monkeypatch.setenv(name, "1")
    assert not keep_freed_memory()
