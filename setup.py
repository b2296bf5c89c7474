"""Builds the native twins (`src/elio/_twins.py` names them); everything else stands in `pyproject.toml`.

`ELIO_BUILD_NATIVE=1` requires them, `ELIO_BUILD_NATIVE=0` leaves them out. Unset, they are built where a C compiler and
Cython are at hand, and left out with a warning where not: the package then runs its Python files.
"""

import os
import runpy
import sys
import warnings
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
SOURCE = HERE / "src"
MODE = os.environ.get("ELIO_BUILD_NATIVE", "")
ON_LINUX = sys.platform.startswith("linux")
PROCESSES = len(os.sched_getaffinity(0)) if ON_LINUX else os.cpu_count() or 1

# No debug information, four fifths of the size, unless CFLAGS ask for it. They may also name a level of optimization.
GIVEN = os.environ.get("CFLAGS", "")
FLAGS = [flag for flag, asked in (("-O3", "-O" in GIVEN), ("-g0", "-g" in GIVEN)) if not asked]
if sys.platform == "win32":
    FLAGS = []

DIRECTIVES = {
    "language_level": 3,
    # The annotations are for readers and mypy: an `int` may come from the wire, so the .pxd decides what is narrow.
    "annotation_typing": False,
    # Arithmetic on C integers raises OverflowError instead of wrapping, wherever a wrong length slipped in.
    "overflowcheck": True,
    # None where a typed object is expected raises AttributeError, as in Python, instead of reading address 0.
    "nonecheck": True,
    # Indexing of bytes and lists stays checked and negative indexes keep their meaning: both twins are one language.
    # The hot loops read through pointers whose bounds stand in the source.
    "boundscheck": True,
    "wraparound": True,
    "cdivision": False,
    # Methods are plain descriptors: asyncio calls several for each message, and this halves what a call costs.
    "binding": False,
}


def source_of(name: str) -> Path | None:
    """The file to compile for the module of that name, None where there is nothing to compile."""
    stem = SOURCE.joinpath(*name.split("."))
    if stem.with_suffix(".pyx").exists():
        return stem.with_suffix(".pyx")
    if stem.with_suffix(".py").exists() and stem.with_suffix(".pxd").exists():
        return stem.with_suffix(".py")
    return None


def extension(name: str, source: Path) -> Extension:
    headers = [path.relative_to(HERE) for path in SOURCE.rglob("*.h")]
    return Extension(
        name,
        [str(source.relative_to(HERE))],
        include_dirs=sorted({str(header.parent) for header in headers}),
        depends=[str(header) for header in headers],
        extra_compile_args=FLAGS,
    )


def extensions() -> list[Extension]:
    if MODE == "0" or (sys.implementation.name != "cpython" and MODE != "1"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if MODE == "1":
            raise
        warnings.warn("Cython is not installed: the native twins are left out", stacklevel=1)
        return []
    twins = runpy.run_path(str(SOURCE / "elio" / "_twins.py"))
    names = [name for name in (*twins["NATIVE"], *twins["TWINS"]) if name not in twins["LINUX"] or ON_LINUX]
    found = [(name, source_of(name)) for name in names]
    modules = [extension(name, source) for name, source in found if source is not None]
    return cythonize(
        modules,
        compiler_directives=DIRECTIVES,
        include_path=[str(SOURCE)],
        build_dir="build/cython",
        nthreads=PROCESSES,
    )


class BuildNative(build_ext):
    """Builds all of the twins or none: compiled ones know the types of each other."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or PROCESSES

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            if MODE == "1":
                raise
            warnings.warn(f"the native twins are left out, since building them failed: {error}", stacklevel=1)
            for module in self.extensions:
                Path(self.get_ext_fullpath(module.name)).unlink(missing_ok=True)
            self.extensions = []


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildNative})
