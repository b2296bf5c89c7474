"""What the fuzzers found stays found: their corpus, and changed copies of it, through whatever twins run here."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.house import ROOT

FUZZERS = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "fuzzing").glob("fuzz_*.py"))
COPIES = 3


def test_each_fuzzer_has_a_corpus() -> None:
    assert sorted(path.name for path in (ROOT / "fuzzing" / "corpus").iterdir()) == FUZZERS


@pytest.mark.parametrize("name", FUZZERS)
def test_nothing_in_the_corpus_fails(name: str) -> None:
    command = [sys.executable, str(ROOT / "fuzzing" / f"fuzz_{name}.py"), "--replay", str(COPIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(rf"{name}: (\d+) inputs\n", done.stdout)
    assert found is not None
    assert int(found[1]) == (COPIES + 1) * len(list((ROOT / "fuzzing" / "corpus" / name).iterdir()))
