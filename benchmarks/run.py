"""`python -m benchmarks.run CASE ...`: measure a case for all servers and write the tables.

The servers take turns in rounds, in another order each round; each measurement starts its server anew, on one core,
with the load on another. What counts is the CPU time the server spends per message: of all figures the one that other
work on the machine disturbs least. `all` runs every case, `list` names them.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
from collections.abc import Sequence

from . import environment
from .cases import CASES, LATENCY, MEMORY, Case
from .measure import MeasurementFailed, Settings, measure
from .parsing import PARSING, measure_parsing
from .peers import PEERS, Peer
from .report import case_table, write_documents
from .results import Rounds, add_round, judge, save_case

__all__ = ["main"]

SEED = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 if a server could not be measured."""
    options = _read(arguments)
    if options.cases == ["list"]:
        for case in CASES.values():
            print(f"{case.name:15} {case.title}")
        print(f"{PARSING:15} parsing of event streams")
        return 0
    environment.prepare()
    settings = _settings(options)
    names = [*CASES, PARSING] if options.cases == ["all"] else options.cases
    failed = False
    for name in names:
        if name == PARSING:
            measure_parsing(options.rounds, settings.server_core, save=not options.dry)
        else:
            failed |= not _run_case(CASES[name], options, settings)
    if not options.dry:
        write_documents()
    return int(failed)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("cases", nargs="+", metavar="CASE", help="a case, several, `all` or `list`")
    parser.add_argument("--servers", help="only these, separated by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured window of each round")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds of load before it")
    parser.add_argument("--dry", action="store_true", help="print only: neither results.json nor docs/ is written")
    options = parser.parse_args(arguments)
    wrong = {*options.cases} - {*CASES, PARSING, "all", "list"}
    wrong |= {*(options.servers.split(",") if options.servers else [])} - {*PEERS}
    if wrong:
        parser.error(f"no case or server {', '.join(sorted(wrong))}")
    return options


def _settings(options: argparse.Namespace) -> Settings:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("only one core: server and load share it, the figures say little", file=sys.stderr)
    return Settings(options.seconds, options.warmup, cores[0], cores[-1])


def _peers(case: Case, only: str | None) -> list[Peer]:
    names = only.split(",") if only else list(PEERS)
    is_short = case.load[0] == "echo" and case.load[2] == "32" and case.needs == "echo"
    needs = {case.needs, "short"} if is_short or case.load[0] == "handshake" else {case.needs}
    return [PEERS[name] for name in names if PEERS[name].can & needs]


def _run_case(case: Case, options: argparse.Namespace, settings: Settings) -> bool:
    print(f"\n{case.name}: {case.title}", flush=True)
    peers = _peers(case, options.servers)
    rounds: Rounds = {}
    count = 1 if case.metric == MEMORY else options.rounds
    shuffle = random.Random(SEED).sample
    failures: dict[str, str] = {}
    for number in range(1, count + 1):
        for place, peer in enumerate(shuffle(peers, len(peers)), 1):
            if peer.name in failures:
                continue
            try:
                add_round(rounds, peer.name, measure(case, peer, settings))
            except MeasurementFailed as error:
                failures[peer.name] = str(error)
                rounds.pop(peer.name, None)
            _progress(case, f"{number}/{count} {place:2}/{len(peers)}", peer, rounds, failures)
    _print_table(case, rounds, failures)
    if not options.dry:
        save_case(case.name, rounds, {"rounds": count, "seconds": options.seconds})
    return not failures


def _progress(case: Case, where: str, peer: Peer, rounds: Rounds, failures: dict[str, str]) -> None:
    if peer.name in failures:
        print(f"  {where}  {peer.name:20} failed: {failures[peer.name]}", file=sys.stderr, flush=True)
        return
    values = rounds[peer.name][case.metric]
    text = f"{values[-1]:12,.3f}   median {statistics.median(values):12,.3f}"
    print(f"  {where}  {peer.name:20} {text}", file=sys.stderr, flush=True)


def _print_table(case: Case, rounds: Rounds, failures: dict[str, str]) -> None:
    print(case_table(case, rounds, plain=True))
    for verdict in judge(case.aims, rounds):
        what = "median latency " if verdict.aim.metric == LATENCY else ""
        print(f"aim: {verdict.aim.ours} {what}at most {verdict.aim} - {verdict}")
    for name, reason in failures.items():
        print(f"{name} failed: {reason}")


if __name__ == "__main__":
    sys.exit(main())
