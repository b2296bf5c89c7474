"""Figures of all rounds: kept in benchmarks/results.json, reduced to medians, compared with the aims."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cases import Aim, best_of
from .environment import ROOT, describe
from .peers import PYTHON_PEERS

__all__ = ["FILE", "Rounds", "Verdict", "add_round", "judge", "load_results", "save_case", "summary"]

FILE = ROOT / "benchmarks" / "results.json"
METRICS = ("cpu_us", "p50_us", "p99_us", "per_second", "memory", "wire_bytes")
DIGITS = 5

Rounds = dict[str, dict[str, list[float]]]
"""For each server and metric the figure of each round."""


def add_round(rounds: Rounds, server: str, figures: Mapping[str, float]) -> None:
    """Append what one measurement gave."""
    for metric in METRICS:
        if (metric == "memory" and metric in figures) or figures.get(metric):
            value = float(f"{figures[metric]:.{DIGITS}g}")
            rounds.setdefault(server, {}).setdefault(metric, []).append(value)


def save_case(case: str, rounds: Rounds, settings: Mapping[str, Any], file: Path = FILE) -> None:
    """Put the rounds of one case in place of its earlier ones."""
    everything = load_results(file)
    everything[case] = {"machine": describe(), "settings": dict(settings), "rounds": rounds}
    lines = [f'"{name}": {json.dumps(entry)}' for name, entry in sorted(everything.items())]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def load_results(file: Path = FILE) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def summary(rounds: Rounds, metric: str) -> dict[str, tuple[float, float, float]]:
    """Median, lowest and highest value of a metric for each server that has it."""
    series = {server: figures.get(metric) for server, figures in rounds.items()}
    return {name: (statistics.median(values), min(values), max(values)) for name, values in series.items() if values}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an aim: `value` and `limit` in the unit of the aim."""

    aim: Aim
    value: float
    limit: float
    against: str

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        word = "met" if self.met else "**missed**"
        if not self.aim.reference:
            return f"{self.value:,.4g}, {word}"
        return f"{self.value * self.aim.factor / self.limit:.2f} × {self.against}, {word}"


def judge(aims: tuple[Aim, ...], rounds: Rounds) -> list[Verdict]:
    """The verdict on each aim for which both sides were measured."""
    verdicts = []
    for aim in aims:
        figures = {server: values[0] for server, values in summary(rounds, aim.metric).items()}
        against = best_of(figures, PYTHON_PEERS) if aim.reference == "best" else aim.reference
        if aim.ours not in figures or (aim.reference and against not in figures):
            continue
        limit = aim.factor * figures[against] if aim.reference else aim.factor
        verdicts.append(Verdict(aim, figures[aim.ours], limit, against))
    return verdicts
