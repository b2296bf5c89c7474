"""Run the Autobahn|Testsuite against our server or our client and compare its verdicts with the checked-in ones.

    python tests/conformance/autobahn.py server --sections 1-7,9,10
    python tests/conformance/autobahn.py client --all --update

The suite runs on Python 2.7 only; its environment is made once, in ``.cache/autobahn``, and used again while its
requirements file stays the same. Several of its processes work side by side on parts of the case list.

The expected verdicts stand in ``autobahn_server.json`` and ``autobahn_client.json``: 514 cases OK and 3 that can only
be INFORMATIONAL. A verdict that differs, and a case that is missing from the report, make the exit status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
CACHE: Final = ROOT / ".cache" / "autobahn"
REQUIREMENTS: Final = HERE / "requirements-autobahn.txt"
# The last virtualenv that makes environments for Python 2.7 and carries the wheels they need.
VIRTUALENV: Final = "virtualenv==20.21.1"
START_TIMEOUT: Final = 20.0
COLUMNS: Final = ("OK", "INFORMATIONAL", "NON-STRICT", "FAILED", "UNIMPLEMENTED")

_LIST_CASES: Final = (
    "from autobahntestsuite.case import Cases; print(' '.join(c.__name__[4:].replace('_', '.') for c in Cases))"
)


class Failure(Exception):
    """The suite could not be run; the text says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the suite says of one case."""

    behavior: str
    behavior_close: str
    report: str = ""

    def __str__(self) -> str:
        return f"{self.behavior} (close {self.behavior_close})"


MISSING: Final = Verdict("MISSING", "MISSING")


# -- the environment of Python 2.7


def find_python27() -> str:
    """The first Python 2.7 that runs, in PATH and among the versions of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += [python.parent for python in sorted(pyenv.glob("versions/2.7.*/bin/python2.7"), reverse=True)]
    for folder in folders:
        candidate = folder / "python2.7"
        if candidate.is_file() and runs_python27(candidate):
            return str(candidate)
    raise Failure(
        "the Autobahn suite needs a Python 2.7, and none runs here: put python2.7 into PATH, "
        f"or install it with pyenv (looked in {pyenv / 'versions'})"
    )


def runs_python27(candidate: Path) -> bool:
    """Whether it is what its name says: a shim of pyenv may stand there without a Python behind it."""
    code = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        return subprocess.run([candidate, "-c", code], capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def make_environment() -> Path:
    """Make the environment of the suite unless it stands already, and return its folder of programs."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + VIRTUALENV.encode()).hexdigest()
    home = CACHE / "python27"
    marker = home / ".complete"
    if marker.is_file() and marker.read_text() == wanted:
        return home / "bin"
    python27 = find_python27()
    print("making the environment of the Autobahn suite (about 40 s)", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    tools = CACHE / "tools"
    run_quietly([sys.executable, "-m", "venv", "--clear", str(tools)])
    run_quietly([str(tools / "bin" / "pip"), "install", VIRTUALENV])
    run_quietly([str(tools / "bin" / "virtualenv"), "--no-download", "--python", python27, str(home)])
    run_quietly([str(home / "bin" / "pip"), "install", "--no-cache-dir", "--requirement", str(REQUIREMENTS)])
    marker.write_text(wanted)
    return home / "bin"


def run_quietly(command: list[str]) -> str:
    """Run a command and return what it printed; all of that is shown only if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=foreign_environment()
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise Failure(f"exit status {done.returncode} from: {' '.join(command)}")
    return done.stdout


def foreign_environment() -> dict[str, str]:
    """Our environment without what would lead a Python 2.7 to modules of Python 3; its progress shows at once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONUNBUFFERED": "1"}


def our_environment() -> dict[str, str]:
    """Our environment, in which our package is found."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": path}


# -- cases


def section_of(case: str) -> int:
    return int(case.split(".")[0])


def sort_key(case: str) -> tuple[int, ...]:
    return tuple(int(part) for part in case.split("."))


def parse_sections(text: str) -> set[tuple[int, ...]]:
    """What the names of the cases begin with, of a text such as ``1-7,9,12.1``."""
    prefixes: set[tuple[int, ...]] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            if dash:
                prefixes.update((number,) for number in range(int(first), int(last) + 1))
            else:
                prefixes.add(sort_key(part))
        except ValueError:
            raise Failure(f"sections are numbers and ranges such as 1-7,9,12.1, not {text!r}") from None
    return prefixes


def list_cases(programs: Path, sections: set[tuple[int, ...]] | None) -> list[str]:
    """The names of the suite's cases in those sections, in order; of all cases without sections."""
    names = run_quietly([str(programs / "python"), "-c", _LIST_CASES]).split()
    cases = [name for name in names if sections is None or any(is_in(name, prefix) for prefix in sections)]
    if not cases:
        raise Failure("no case of the suite is in these sections")
    return sorted(cases, key=sort_key)


def is_in(case: str, prefix: tuple[int, ...]) -> bool:
    return sort_key(case)[: len(prefix)] == prefix


# -- the run


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    """Our echo server on a free loopback port; the value is its URL."""
    command = [sys.executable, str(HERE / "echo_server.py")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=our_environment())
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url.startswith("ws://"):
            raise Failure("the echo server did not start; its last words stand above")
        yield url
        if server.poll() is not None:
            raise Failure(f"the echo server ended with exit status {server.returncode} during the run")
    finally:
        server.terminate()
        try:
            server.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def run_suite(programs: Path, url: str, cases: list[str], options: argparse.Namespace) -> dict[str, Verdict]:
    """Let several processes of the suite work on parts of the case list, and merge their reports.

    With the URL of a server they are its clients; without one they are servers, and each gets a client of ours.
    """
    reports = new_reports_folder()
    # Neighbours cost about the same, so dealing the cases out like cards makes equal parts.
    parts = [cases[i :: options.parallel] for i in range(min(options.parallel, len(cases)))]
    folders = [reports / f"part-{number}" for number in range(len(parts))]
    processes: list[subprocess.Popen[bytes]] = []
    suites: list[subprocess.Popen[bytes]] = []
    try:
        for part, folder in zip(parts, folders, strict=True):
            suites.append(start_part(programs, url or free_url(), part, folder, is_server=not url))
            processes.append(suites[-1] if url else start_client(folder))
        wait_for_parts(processes, folders, len(cases), options.timeout)
    finally:
        for process in processes + suites:
            process.kill()
            process.wait()
    verdicts: dict[str, Verdict] = {}
    for folder in folders:
        verdicts.update(read_report(folder, options.what))
    return verdicts


def free_url() -> str:
    """Where a part of the suite can listen."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"ws://127.0.0.1:{sock.getsockname()[1]}"


def start_client(folder: Path) -> subprocess.Popen[bytes]:
    """Our echo client, which runs every case of the part of the suite with that folder."""
    url = json.loads((folder / "spec.json").read_text())["url"]
    return subprocess.Popen([sys.executable, str(HERE / "echo_client.py"), url], env=our_environment())


def new_reports_folder() -> Path:
    """A folder for the reports of this run; those of runs that have ended are removed."""
    for folder in (CACHE / "reports").glob("run-*"):
        if not is_alive(int(folder.name.removeprefix("run-"))):
            shutil.rmtree(folder, ignore_errors=True)
    return CACHE / "reports" / f"run-{os.getpid()}"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def start_part(programs: Path, url: str, cases: list[str], folder: Path, *, is_server: bool) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    mode = "fuzzingserver" if is_server else "fuzzingclient"
    where = {"url": url} if is_server else {"servers": [{"agent": "server", "url": url}]}
    spec = {
        **where,
        "outdir": str(folder),
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    with (folder / "log.txt").open("wb") as log:
        command = [str(programs / "wstest"), "-m", mode, "-u", "0", "-s", str(folder / "spec.json")]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=foreign_environment())


def wait_for_parts(processes: list[subprocess.Popen[bytes]], folders: list[Path], total: int, timeout: float) -> None:
    """Wait for the end of every process and show from time to time how far they are."""
    began = shown = time.monotonic()
    while any(process.poll() is None for process in processes):
        now = time.monotonic()
        if now - began > timeout:
            raise Failure(f"the suite was not through after {timeout:.0f} s; its logs are in {folders[0].parent}")
        if now - shown >= 15:
            started = sum((folder / "log.txt").read_bytes().count(b"Running test case ID") for folder in folders)
            print(f"  {now - began:4.0f} s: {started} of {total} cases begun", flush=True)
            shown = now
        time.sleep(0.2)


def read_report(folder: Path, agent: str) -> dict[str, Verdict]:
    index = folder / "index.json"
    if not index.is_file():
        return {}
    report = json.loads(index.read_text()).get(agent, {})
    return {
        case: Verdict(entry["behavior"], entry["behaviorClose"], str(folder / entry["reportfile"]))
        for case, entry in report.items()
    }


# -- the comparison


def expected_file(what: str) -> Path:
    return HERE / f"autobahn_{what}.json"


def load_expected(what: str) -> dict[str, Verdict]:
    if not expected_file(what).is_file():
        return {}
    content = json.loads(expected_file(what).read_text())
    return {case: Verdict(entry["behavior"], entry["behaviorClose"]) for case, entry in content.items()}


def save_expected(what: str, verdicts: dict[str, Verdict]) -> None:
    """Write one line a case, so that a difference shows as one line."""
    lines = []
    for case in sorted(verdicts, key=sort_key):
        verdict = verdicts[case]
        entry = {"behavior": verdict.behavior, "behaviorClose": verdict.behavior_close}
        lines.append(f"  {json.dumps(case)}: {json.dumps(entry)}")
    expected_file(what).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def print_table(verdicts: dict[str, Verdict]) -> None:
    """How often each verdict was given, section by section."""
    others = sorted({verdict.behavior for verdict in verdicts.values()} - set(COLUMNS))
    columns = [*COLUMNS, *others]
    print("\nsection  cases  " + "  ".join(columns))
    sections = sorted({section_of(case) for case in verdicts})
    rows = [(str(section), [v for case, v in verdicts.items() if section_of(case) == section]) for section in sections]
    for name, row in [*rows, ("all", list(verdicts.values()))]:
        counts = Counter(verdict.behavior for verdict in row)
        cells = "  ".join(f"{counts[column]:>{len(column)}}" for column in columns)
        print(f"{name:>7}  {len(row):>5}  {cells}")


def find_differences(verdicts: dict[str, Verdict], expected: dict[str, Verdict]) -> list[str]:
    """One text for each case whose verdict is not the expected one, with what the suite says of it."""
    differences = []
    for case, verdict in verdicts.items():
        wanted = expected.get(case, MISSING)
        if (verdict.behavior, verdict.behavior_close) != (wanted.behavior, wanted.behavior_close):
            differences.append(f"case {case}: {verdict}, expected {wanted}{explain(verdict)}")
    return differences


def explain(verdict: Verdict) -> str:
    """The suite's own words on a case."""
    if not verdict.report:
        return ""
    report = json.loads(Path(verdict.report).read_text())
    words = [report.get("description", ""), report.get("result", ""), report.get("resultClose", "")]
    return "".join(f"\n    {' '.join(text.split())}" for text in words if text)


def target(options: argparse.Namespace) -> contextlib.AbstractContextManager[str]:
    """The URL of the server that is tested; empty where it is a client."""
    if options.what == "client" or options.url:
        return contextlib.nullcontext(options.url or "")
    return echo_server()


def run(options: argparse.Namespace) -> int:
    """Run the cases, print table and differences, and return the exit status."""
    sections = None if options.all else parse_sections(options.sections)
    programs = make_environment()
    cases = list_cases(programs, sections)
    began = time.monotonic()
    with target(options) as url:
        print(f"{len(cases)} cases against {url or 'our client'}, {options.parallel} processes", flush=True)
        found = run_suite(programs, url, cases, options)
    verdicts = {case: found.get(case, MISSING) for case in cases}
    print_table(verdicts)
    expected = load_expected(options.what)
    if options.update:
        save_expected(options.what, expected | verdicts)
        expected = load_expected(options.what)
    differences = find_differences(verdicts, expected)
    for text in differences:
        print(text)
    print(f"\nautobahn: {len(cases)} cases, {len(differences)} differences, {time.monotonic() - began:.0f} s")
    return 1 if differences or MISSING in verdicts.values() else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run the Autobahn suite and compare its verdicts with the expected ones."
    )
    parser.add_argument(
        "what", choices=["server", "client", "setup"], help="what to test, or only make the environment"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--sections", default="1-7,9,10", help="such as 1-7,9,12.1; without the slow 12 and 13 by default"
    )
    which.add_argument("--all", action="store_true", help="every section: most of 8 minutes")
    parser.add_argument("--update", action="store_true", help="make the verdicts of this run the expected ones")
    parser.add_argument("--parallel", type=int, default=2, metavar="N", help="processes of the suite (2)")
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for the whole run (1800)")
    parser.add_argument("--url", help="a server that runs already, instead of our echo server")
    options = parser.parse_args()
    # Told to end, the command still ends its children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.what == "setup":
            make_environment()
            return 0
        return run(options)
    except Failure as failure:
        print(f"autobahn: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
