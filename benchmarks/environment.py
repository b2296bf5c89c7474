"""What a run needs beside this folder: the virtual environment of the peers, the C programs, a certificate.

All of it lands in .cache/, is made by the first run and again when what it comes from has changed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

__all__ = ["BARE", "CACHE", "CERTIFICATE", "HERE", "KEY", "LOAD", "LOGS", "ROOT", "describe", "prepare", "python"]

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
CACHE = ROOT / ".cache" / "bench"
VENV = ROOT / ".cache" / "bench-venv"
LOGS = CACHE / "logs"
LOAD = CACHE / "load"
BARE = CACHE / "bare"
CERTIFICATE = CACHE / "server.pem"
KEY = CACHE / "server.key"
NATIVE = ("build.sh", "load.c", "bare.c", "native/*.c", "native/*.h")


def python() -> Path:
    """The interpreter of the servers."""
    return VENV / "bin" / "python"


def prepare() -> None:
    """Make everything that is missing or out of date, and say what is being made."""
    LOGS.mkdir(parents=True, exist_ok=True)
    sources = [path for pattern in NATIVE for path in sorted(HERE.glob(pattern))]
    if _changed("native", b"".join(path.read_bytes() for path in sources), LOAD):
        _run("build the load generator and the bare server", ["sh", str(HERE / "build.sh"), str(CACHE)])
        _remember("native", b"".join(path.read_bytes() for path in sources))
    wanted = (HERE / "requirements.txt").read_bytes() + sys.version.encode()
    if _changed("requirements", wanted, python()):
        _make_environment()
        _remember("requirements", wanted)
    if not CERTIFICATE.exists():
        _make_certificate()


def _make_environment() -> None:
    _run("make the virtual environment of the peers", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run("install the peers", [*pip, "-r", str(HERE / "requirements.txt")])


def _make_certificate() -> None:
    command = [str(python()), "-m", "trustme", "--quiet", "--dir", str(CACHE), "--identities", "localhost", "127.0.0.1"]
    _run("make a certificate", command)


def _run(what: str, command: list[str]) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)
    subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr)


def _changed(name: str, content: bytes, product: Path) -> bool:
    stamp = CACHE / f"{name}.sha256"
    return not (product.exists() and stamp.exists() and stamp.read_text() == hashlib.sha256(content).hexdigest())


def _remember(name: str, content: bytes) -> None:
    (CACHE / f"{name}.sha256").write_text(hashlib.sha256(content).hexdigest())


def describe() -> dict[str, str]:
    """The machine and the software, for the tables."""
    pairs = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    model = next((value.strip() for name, value in pairs if name.strip() == "model name"), platform.machine())
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
