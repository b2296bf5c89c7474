"""Which twin of a module runs: the built one, the Python one where the environment asks for it."""

from __future__ import annotations

import importlib.machinery
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elio import _twins

SOURCE = Path(_twins.__file__).parent.parent
SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)
# Those of this Python: libraries for other versions may lie beside them, and one of the suffixes is a plain ".so".
LIBRARIES = sorted(path for path in SOURCE.rglob("*.*") if path.name.removeprefix(path.name.split(".")[0]) in SUFFIXES)
EXAMPLE = "elio.websocket._native"


def in_new_process(code: str, **environment: str) -> str:
    """What the program prints; the environment is ours, without our own switches, plus the given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ELIO_")}
    variables = {**inherited, "PYTHONPATH": str(SOURCE), **environment}
    run = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def make_package(folder: Path) -> None:
    """A package `elio` with one twin whose built half is any shared library, and our finder."""
    package = folder / "elio" / "websocket"
    package.mkdir(parents=True)
    (folder / "elio" / "__init__.py").write_text("from . import _twins\n_twins.choose()\n")
    (folder / "elio" / "_twins.py").write_text(Path(_twins.__file__).read_text())
    (package / "__init__.py").write_text("")
    (package / "frame.py").write_text("TWIN = 'python'\n")
    for name in ("frame", "_native"):
        (package / f"{name}{SUFFIXES[0]}").write_text("not a library")


REPORT = """
try:
    import elio.websocket.frame as frame
    print(frame.TWIN, end=" ")
except ImportError:
    print("library", end=" ")
from elio._twins import is_compiled
print(is_compiled("elio.websocket.frame"), is_compiled("elio.websocket._native"))
"""


@pytest.mark.parametrize("value", ["", "0"])
def test_the_built_twin_is_taken_by_default(tmp_path: Path, value: str) -> None:
    make_package(tmp_path)
    assert in_new_process(REPORT, PYTHONPATH=str(tmp_path), ELIO_PURE=value) == "library True True"


def test_pure_takes_the_python_file_beside_it(tmp_path: Path) -> None:
    make_package(tmp_path)
    assert in_new_process(REPORT, PYTHONPATH=str(tmp_path), ELIO_PURE="1") == "python False False"


def test_pure_has_no_native_module() -> None:
    code = (
        "from elio import _twins; _twins.choose(); _twins.choose()\n"
        "import sys; assert sys.meta_path.count(_twins._PythonOnly) == 1\n"
        "try:\n    import elio.websocket._native\nexcept ModuleNotFoundError as error:\n    print(error.name)\n"
        "import elio.errors; print(any(_twins.running().values()))"
    )
    assert in_new_process(code, ELIO_PURE="1") == f"{EXAMPLE}\nFalse"


def test_the_finder_leaves_other_packages_alone() -> None:
    assert _twins._PythonOnly.find_spec("json.decoder", json.__path__) is None
    assert _twins._PythonOnly.find_spec("elio", None) is None
    assert _twins._PythonOnly.find_spec("elio.no_such", [str(SOURCE / "elio")]) is None
    spec = _twins._PythonOnly.find_spec("elio.errors", [str(SOURCE / "no_such"), str(SOURCE / "elio")])
    assert spec is not None
    assert spec.origin == str(SOURCE / "elio" / "errors.py")
    with pytest.raises(ModuleNotFoundError, match="is native and ELIO_PURE asks for Python only"):
        _twins._PythonOnly.find_spec(EXAMPLE, [str(SOURCE / "elio" / "websocket")])


def test_choosing_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = [finder for finder in sys.meta_path if finder is not _twins._PythonOnly]
    sys.meta_path[:] = before
    monkeypatch.delenv("ELIO_PURE", raising=False)
    _twins.choose()
    assert sys.meta_path == before
    monkeypatch.setenv("ELIO_PURE", "1")
    _twins.choose()
    _twins.choose()
    assert sys.meta_path == [_twins._PythonOnly, *before]


def test_running_names_each_twin_once() -> None:
    running = _twins.running()
    assert list(running) == [*_twins.NATIVE, *_twins.TWINS]
    assert _twins.is_compiled("elio.errors") is False
    assert _twins.is_compiled("elio.no_such") is False
    assert _twins.is_compiled("elio.no_such.module") is False


def test_every_pxd_belongs_to_a_listed_twin_or_is_inlined_into_them() -> None:
    inlined = {"elio.websocket.digest", "elio.websocket.octets", "elio.http.octets", "elio.sse.received"}
    found = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.pxd")}
    assert found <= {*_twins.TWINS, *_twins.NATIVE, *inlined}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name.partition(".")[0])
def test_a_built_twin_is_not_older_than_its_source(library: Path) -> None:
    stem = library.name.partition(".")[0]
    sources = [path for path in library.parent.glob(f"{stem}.p*") if path.suffix in (".py", ".pyx", ".pxd")]
    sources += SOURCE.rglob("*.h")
    newest = max(path.stat().st_mtime for path in sources)
    assert library.stat().st_mtime >= newest, "stale: python setup.py build_ext --inplace"
