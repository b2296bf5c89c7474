"""Run the whole suite in every configuration that must pass, one after the other, and print a table of what came out.

    python tools/run_matrix.py                        all of them (an hour or two)
    python tools/run_matrix.py '3.13-*' '*-uvloop'    those whose name fits one of the patterns
    python tools/run_matrix.py --list                 their names
    python tools/run_matrix.py '3.12-pure-asyncio' -- tests/sse    only these tests

A configuration is a version of Python, what runs (`native` the compiled twins, `loop` the same on the transports of the
event loop instead of the reactor, `pure` the Python twins) and the event loop. Each version has a virtual environment
of its own in `.cache`, made when it is missing; its interpreter is looked for in PATH and among the versions of pyenv.
The output of each run is kept in `.cache/matrix`. The exit status is 1 unless every run has passed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".cache"
LOGS: Final = CACHE / "matrix"
VERSIONS: Final = ("3.11", "3.12", "3.13")
KINDS: Final = {"native": {}, "loop": {"ELIO_REACTOR": "0"}, "pure": {"ELIO_PURE": "1"}}
LOOPS: Final = ("asyncio", "uvloop")
PARALLEL: Final = ("--numprocesses", "3", "--dist", "loadfile")
"""The suite waits more than it computes."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One run of the suite."""

    version: str
    kind: str
    loop: str

    @property
    def name(self) -> str:
        return f"{self.version}-{self.kind}-{self.loop}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ELIO_")}
        return inherited | KINDS[self.kind] | {"ELIO_TEST_LOOP": self.loop}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run; `text` is pytest's last line, or why there was none."""

    configuration: Configuration
    passed: bool
    seconds: float
    text: str


class Failure(Exception):
    """The suite could not be run; the text says why in one sentence."""


def find_python(version: str) -> str:
    """The interpreter of that version, in PATH or among the versions of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [*map(Path, os.get_exec_path()), *sorted(pyenv.glob(f"versions/{version}.*/bin"), reverse=True)]
    for folder in folders:
        candidate = folder / f"python{version}"
        if candidate.is_file() and is_version(candidate, version):
            return str(candidate)
    raise Failure(f"there is no python{version}, neither in PATH nor in {pyenv / 'versions'}")


def is_version(candidate: Path, version: str) -> bool:
    """Whether it is what its name says: a shim of pyenv may stand there without a Python behind it."""
    code = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    try:
        return subprocess.run([candidate, "-c", code], capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def prepare(version: str, log: Path) -> Path:
    """The interpreter of the version's environment, with the twins built for it."""
    venv = CACHE / f"venv-{version}"
    with log.open("wb") as output:
        for target in ("venv", "native"):
            command = ["make", target, f"VENV={venv.relative_to(ROOT)}", f"PYTHON={find_python(version)}"]
            if subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode != 0:
                raise Failure(f"`{' '.join(command)}` failed, see {log.relative_to(ROOT)}")
    return venv / "bin" / "python"


def run(configuration: Configuration, python: Path, arguments: list[str], timeout: float) -> Outcome:
    log = LOGS / f"{configuration.name}.log"
    started = time.monotonic()
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *PARALLEL, *arguments]
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=configuration.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
            )
            passed, text = done.returncode == 0, last_line(log)
        except subprocess.TimeoutExpired:
            passed, text = False, f"not done after {timeout:g} s: {last_line(log)}"
    return Outcome(configuration, passed, time.monotonic() - started, text)


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return re.sub(r"^=+ | =+$| in [\d.]+s.*$", "", lines[-1]) if lines else "no output"


def table(outcomes: list[Outcome]) -> str:
    width = max(len(outcome.configuration.name) for outcome in outcomes)
    return "\n".join(
        f"{outcome.configuration.name:{width}}  {'passed' if outcome.passed else 'FAILED'}  "
        f"{outcome.seconds:6,.0f} s  {outcome.text}"
        for outcome in outcomes
    )


def chosen(patterns: list[str]) -> list[Configuration]:
    everything = [Configuration(*parts) for parts in product(VERSIONS, KINDS, LOOPS)]
    found = [each for each in everything if not patterns or any(fnmatch(each.name, one) for one in patterns)]
    if not found:
        raise Failure(f"no configuration has a name like {' or '.join(patterns)}; --list shows them")
    return found


def run_all(configurations: list[Configuration], arguments: list[str], timeout: float) -> list[Outcome]:
    outcomes: list[Outcome] = []
    pythons: dict[str, Path] = {}
    for configuration in configurations:
        version = configuration.version
        if version not in pythons:
            print(f"{version}: environment and twins ...", flush=True)
            pythons[version] = prepare(version, LOGS / f"{version}-build.log")
        print(f"{configuration.name} ...", flush=True)
        outcomes.append(run(configuration, pythons[version], arguments, timeout))
        print(table(outcomes[-1:]), flush=True)
    return outcomes


def main() -> int:
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Run the suite in every configuration that must pass.")
    parser.add_argument("patterns", nargs="*", help="names, with * and ?; behind -- options of pytest")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds after which one run has failed (3600)")
    options = parser.parse_args(arguments[:split])
    try:
        configurations = chosen(options.patterns)
        if options.list:
            print("\n".join(each.name for each in configurations))
            return 0
        LOGS.mkdir(parents=True, exist_ok=True)
        outcomes = run_all(configurations, arguments[split + 1 :], options.timeout)
    except Failure as failure:
        print(f"matrix: {failure}", file=sys.stderr)
        return 1
    print("\n" + table(outcomes))
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"matrix: {len(outcomes)} configurations, {failed} of them failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
