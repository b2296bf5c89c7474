"""The case `parsing`: runs bench_sse_parser.py in the environment of the peers and reports on it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from typing import Any

from .environment import ROOT, python
from .results import save_case

__all__ = ["PARSING", "measure_parsing", "parsing_section"]

PARSING = "parsing"
REFERENCE = "httpx-sse"
AIMS = {"tokens": 1 / 8, "tiny": 1 / 8, "long": 1 / 5}
"""Elio's time per event shall be at most this part of the reference's."""

TITLES = {"tokens": "200 B, as language models send them", "tiny": "2 B", "long": "4 KiB in 64 lines, with ID and type"}


def measure_parsing(rounds: int, core: int, *, save: bool) -> None:
    """Measure, print, and save unless told otherwise."""
    print("\nparsing: parsing of event streams", flush=True)
    done = subprocess.run(
        [str(python()), "-m", "benchmarks.bench_sse_parser", "--json", "--rounds", str(rounds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    figures = json.loads(done.stdout)
    print("\n".join(_rows(figures)))
    if save:
        save_case(PARSING, figures, {"rounds": rounds})


def _rows(figures: dict[str, dict[str, list[float]]]) -> list[str]:
    names = list(next(iter(figures.values())))
    rows = ["| events | chunks | " + " | ".join(names) + " | Elio's part of httpx-sse's time | aim |"]
    rows.append("|---|---:" + "|---:" * (len(names) + 1) + "|---|")
    for key, parsers in figures.items():
        stream, size = key.split("/")
        medians = {name: statistics.median(values) for name, values in parsers.items()}
        cells = [TITLES[stream], size, *(f"{medians[name]:.3g}" for name in names), *_verdict(stream, medians)]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _verdict(stream: str, medians: dict[str, float]) -> list[str]:
    if "elio" not in medians or REFERENCE not in medians:
        return ["", ""]
    part = medians["elio"] / medians[REFERENCE]
    return [f"{part:.3f}", f"1/{1 / AIMS[stream]:.0f}, {'met' if part <= AIMS[stream] else '**missed**'}"]


def parsing_section(entry: dict[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    head = "## Parsing of event streams\n\nCPU time per event in µs, no network; `split` is `bytes.split` alone."
    return "\n\n".join([head, "\n".join(_rows(entry["rounds"]))])
