"""Measure each protocol module by its own test module alone: every line and every branch must be covered.

    python tools/own_coverage.py                  every module of the protocol folders
    python tools/own_coverage.py websocket/frame  those whose path contains the text

The Python twin is measured, since compiled code has no lines. Several modules are measured side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "src" / "elio"
FOLDERS: Final = ("websocket", "sse", "http")
RESULTS: Final = ROOT / ".cache" / "coverage"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found out about one module."""

    module: Path
    problems: list[str]
    output: str = ""


def chosen_modules(patterns: list[str]) -> Iterator[Path]:
    """The modules to measure: those with code of their own."""
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).glob("*.py")):
            place = str(path.relative_to(PACKAGE))
            if path.name != "__init__.py" and (not patterns or any(pattern in place for pattern in patterns)):
                yield path


def measure(module: Path) -> Result:
    """Run the module's tests under coverage and say what they leave out."""
    place = module.relative_to(PACKAGE)
    tests = ROOT / "tests" / place.with_name(f"test_{place.stem.lstrip('_')}.py")
    if not tests.exists():
        return Result(module, [f"has no {tests.relative_to(ROOT)}"])
    name = ".".join(("elio", *place.with_suffix("").parts))
    data, report = RESULTS / f"{name}.data", RESULTS / f"{name}.json"
    data.unlink(missing_ok=True)
    # The folder and not the module: to find a module, coverage would import it, and with it the C extensions it needs.
    run = coverage(
        "run", f"--data-file={data}", "--branch", f"--source={module.parent}", "-m", "pytest", "-q", str(tests)
    )
    if run.returncode != 0:
        return Result(module, [f"its tests ended with exit status {run.returncode}"], tail(run.stdout))
    written = coverage("json", f"--data-file={data}", "-q", "-o", str(report), f"--include={module}")
    if written.returncode != 0:
        return Result(module, ["gave no coverage report"], written.stdout)
    return Result(module, list(gaps(json.loads(report.read_text()))))


def tail(text: str) -> str:
    return "\n".join(text.splitlines()[-40:])


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coverage", *arguments],
        cwd=ROOT,
        env=os.environ | {"ELIO_PURE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def gaps(report: dict[str, dict[str, dict[str, list[object]]]]) -> Iterator[str]:
    """What the report of one module says is missing."""
    for file in report["files"].values():
        if file["missing_lines"]:
            yield f"lines {', '.join(map(str, file['missing_lines']))}"
        if file["missing_branches"]:
            yield f"branches {', '.join(f'{start}->{end}' for start, end in file['missing_branches'])}"  # type: ignore[misc]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure each protocol module by its own test module alone.")
    parser.add_argument("patterns", nargs="*", help="only modules whose path contains one of these")
    parser.add_argument("--parallel", type=int, default=2, metavar="N", help="modules measured side by side (2)")
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    chosen = list(chosen_modules(options.patterns))
    failed = 0
    with ThreadPoolExecutor(options.parallel) as pool:
        for result in pool.map(measure, chosen):
            failed += bool(result.problems)
            print(f"{result.module.relative_to(ROOT)}: {'; '.join(result.problems) or '100 %'}", flush=True)
            if result.output:
                print(result.output)
    print(f"own coverage: {len(chosen)} modules, {failed} of them not covered by their own tests")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
