"""Instructions of one message, counted by callgrind: `python -m benchmarks.instructions echo-1 echo-64k client sync`.

Each case runs twice, the second time for twice as many messages. What the second run counts more, divided by the
messages that it has more, is free of the start, of opening handshakes and of the end. The cases of servers are those of
`python -m benchmarks.run list`; `client`, `sync` and `event-source` are those of the benchmarks of these names. What
the instructions are made of tells `callgrind_annotate` of the file that is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import environment
from .cases import CASES
from .measure import command, free_port, wait_for_port
from .peers import PEERS

__all__ = ["main"]

SECONDS = 4
"""Of load on a server, the first time."""
MESSAGES = 10_000
"""To a client, the first time."""
PATIENCE = 120.0
"""Seconds that a server may take to start: it does so slowly under callgrind."""
FOLDER = environment.LOGS
# The program that is counted, with who answers it: Python, told the number of messages and who is measured.
CLIENTS = {
    "client": "from benchmarks import bench_client as b; b.CASES = {{'': (1, 32, {count} * 5 // 6)}}; "
    "b.child({who!r}, '')",
    "sync": "from benchmarks import bench_sync as b; b.TRIPS = {count} * 10 // 11; b.CLIENTS[{who!r}]({port})",
    "event-source": "import asyncio; from benchmarks import bench_event_source as b; "
    "asyncio.run(b.CLIENTS[{who!r}][0]('http://127.0.0.1:{port}/stream'))",
}
SERVERS = {
    "sync": "from benchmarks import bench_sync as b; exec(b.SERVER)",
    "event-source": "from benchmarks import bench_event_source as b; b.EVENTS = {count}; b.serve()",
}
FACTOR = {"client": 1, "sync": 1, "event-source": 10}
"""Events are cheap: so many times more of them."""


def counted(program: list[str], out: Path, *options: str) -> list[str]:
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options, *program]


def total(out: Path) -> int:
    found = re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"callgrind has counted nothing: {out}")
    return int(found[1])


# -- servers -----------------------------------------------------------------------------------------------------------


def serve(name: str, server: str, seconds: int, out: Path) -> tuple[int, int]:
    """Instructions of the server, and messages of the load."""
    port, peer = free_port(), PEERS[server]
    program = counted(command(CASES[name], peer, port), out, "--instr-atstart=no")
    with log(name).open("wb") as output:
        process = subprocess.Popen(
            program, cwd=environment.ROOT, env=variables(peer.environment), stdout=output, stderr=output
        )
    try:
        wait_for_port(process, port, log(name), PATIENCE)
        subprocess.run(["callgrind_control", "-i", "on", str(process.pid)], check=True, capture_output=True)
        load = [environment.LOAD, *CASES[name].load, "--port", port, "--seconds", seconds, "--warmup", 0]
        figures = json.loads(subprocess.run(list(map(str, load)), check=True, capture_output=True).stdout)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return total(out), int(figures["messages"])


# -- clients -----------------------------------------------------------------------------------------------------------


@contextmanager
def answering(name: str, count: int) -> Iterator[int]:
    """Who answers a client; yields its port, or the one that the client knows."""
    program = [sys.executable, "-c", SERVERS[name].format(count=count)] if name in SERVERS else bare()
    with subprocess.Popen(program, cwd=environment.ROOT, env=variables({}), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()) if name in SERVERS else 0
        finally:
            process.kill()


def bare() -> list[str]:
    from .bench_client import PORT

    return [str(environment.BARE), str(PORT)]


def ask(name: str, who: str, count: int, out: Path) -> tuple[int, int]:
    """Instructions of the client, and messages that it had."""
    with answering(name, count) as port:
        script = CLIENTS[name].format(who=who, port=port, count=count)
        program = counted([str(environment.python()), "-c", script], out)
        subprocess.run(program, cwd=environment.ROOT, env=variables({}), check=True, capture_output=True)
    return total(out), count


# ----------------------------------------------------------------------------------------------------------------------


def variables(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(environment.ROOT / "src"), "PYTHONHASHSEED": "0", **more}


def log(name: str) -> Path:
    return FOLDER / f"instructions-{name}.log"


def measure(name: str, who: str, factor: int) -> tuple[int, int, Path]:
    out = FOLDER / f"callgrind-{name}-{who}.{factor}"
    if name in CLIENTS:
        return *ask(name, who, MESSAGES * FACTOR[name] * factor, out), out
    return *serve(name, who, SECONDS * factor, out), out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("cases", nargs="+", choices=[*CASES, *CLIENTS], metavar="CASE")
    parser.add_argument("--of", default="elio", help="a server, or a client, by the name that its benchmark gives it")
    options = parser.parse_args()
    environment.prepare()
    for name in options.cases:
        once, messages, _ = measure(name, options.of, 1)
        twice, more, out = measure(name, options.of, 2)
        print(f"{name:12} {options.of}: {(twice - once) / (more - messages):10,.0f} instructions; {out}", flush=True)


if __name__ == "__main__":
    main()
