"""The tables: for the terminal, and docs/benchmarks.md with its plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .cases import CASES, CPU, LATENCY, MEMORY, Case
from .environment import HERE, ROOT
from .parsing import PARSING, parsing_section
from .peers import PEERS
from .plot import draw
from .results import Rounds, judge, load_results, summary

__all__ = ["case_table", "write_documents"]

PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.svg"
OURS = "elio"
LIMIT = "c"

INTRODUCTION = """\
# Benchmarks

What a message costs the server, measured against other servers for Python and against a server in C that does nothing
else. This page is written by the command that measures:

```console
$ python -m benchmarks.run all          # everything, about an hour
$ python -m benchmarks.run echo-64      # one case; `list` names them
```

**What is counted.** CPU time of the server's processes, user and system, for each message: of all figures the one that
other work on a machine disturbs least. The load runs on another core, never sleeps, checks every reply byte by byte and
reads the server's CPU clock at both ends of the measured window. Each measurement starts its server anew; the servers
take turns in rounds. A cell is the median of the rounds, with the lowest and the highest beside it. "× C" compares with
the bare server in C (`benchmarks/bare.c`); "Elio is" is the figure of Elio on uvloop divided by that server's: below 1
Elio is the cheaper one. Latency is what the load sees while all its connections are busy, so with 64 connections it
tells of throughput, not of the time one message takes.

**What runs.** Each peer in the fastest settings its documentation names (`benchmarks/servers/`), in the versions of
`benchmarks/requirements.txt`. Elio's handlers are coroutines: `async for message in ws: await ws.send(message)`.
"""


def case_table(case: Case, rounds: Rounds, *, plain: bool = False) -> str:
    """One row for each server, the cheapest first. `plain` is for the terminal."""
    figures = summary(rounds, case.metric)
    order = sorted(figures, key=lambda server: figures[server][0])
    head = ["server", _unit(case), "Elio is"]
    if case.metric == CPU:
        head += ["× C", "lowest - highest"]
    with_latency = case.metric == CPU and any("p50_us" in values for values in rounds.values())
    if with_latency:
        head += ["p50 µs", "p99 µs", f"{_plural(case.per)} / s"]
    rows = [_row(case, rounds, server, with_latency) for server in order]
    if case.needs == "deflate":
        head.append("bytes of a reply")
        rows = [[*row, _number(_median(rounds, server, "wire_bytes"))] for row, server in zip(rows, order, strict=True)]
    return _aligned(head, rows) if plain else _markdown(head, rows)


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _unit(case: Case) -> str:
    return f"bytes / {case.per}" if case.metric == MEMORY else f"CPU µs / {case.per}"


def _row(case: Case, rounds: Rounds, server: str, with_latency: bool) -> list[str]:
    figures = summary(rounds, case.metric)
    value, low, high = figures[server]
    row = [PEERS[server].label, _number(value), _ratio(figures, OURS, server)]
    if case.metric == CPU:
        row += [_ratio(figures, server, LIMIT), f"{_number(low)} - {_number(high)}"]
    if with_latency:
        row += [_number(_median(rounds, server, name)) for name in ("p50_us", "p99_us", "per_second")]
    return row


def _ratio(figures: dict[str, tuple[float, float, float]], server: str, other: str) -> str:
    if server not in figures or figures.get(other, (0.0,))[0] <= 0:
        return ""
    return f"{figures[server][0] / figures[other][0]:.2f}"


def _median(rounds: Rounds, server: str, metric: str) -> float:
    return summary(rounds, metric).get(server, (0.0, 0.0, 0.0))[0]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines).replace("**", "")


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def write_documents() -> None:
    """docs/benchmarks.md and docs/benchmarks.svg from everything in results.json."""
    results = load_results()
    measured = [case for case in CASES.values() if case.name in results]
    if not measured and PARSING not in results:
        return
    parts = [INTRODUCTION, _machines(results), "![What a message costs](benchmarks.svg)", _aims(measured, results)]
    parts += [_section(case, results[case.name]) for case in measured]
    if PARSING in results:
        parts.append(parsing_section(results[PARSING]))
    parts.append(_versions())
    PAGE.write_text("\n\n".join(part.strip() for part in parts if part) + "\n")
    PLOT.write_text(draw([(case, results[case.name]["rounds"]) for case in measured]))


def _machines(results: dict[str, Any]) -> str:
    machines = {"; ".join(entry["machine"].values()) for entry in results.values()}
    return "\n".join(f"**Where.** {machine}." for machine in sorted(machines))


def _aims(cases: Iterable[Case], results: dict[str, Any]) -> str:
    rows = []
    for case in cases:
        for verdict in judge(case.aims, results[case.name]["rounds"]):
            what = f"{verdict.aim.ours}: at most {verdict.aim}"
            kind = ", median latency" if verdict.aim.metric == LATENCY else ""
            rows.append([f"{case.title}{kind}", what, str(verdict)])
    return "## Aims\n\n" + _markdown(["case", "aim", "measured"], rows) if rows else ""


def _section(case: Case, entry: dict[str, Any]) -> str:
    settings = entry["settings"]
    rounds = f"{settings['rounds']} rounds of {settings['seconds']:g} s" if settings["rounds"] > 1 else "one round"
    return f"## {case.title}\n\n`{case.name}`, {rounds}.\n\n{case_table(case, entry['rounds'])}"


def _versions() -> str:
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return "## Versions\n\n" + ", ".join(line.replace("==", " ") for line in lines if "==" in line) + "."
