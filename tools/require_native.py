"""Fail unless every twin that has been built for runs compiled: the tests of the native twins must not test Python."""

from __future__ import annotations

import sys
from pathlib import Path

import elio
from elio._twins import NATIVE, is_compiled, running


def has_typing(name: str) -> bool:
    """Whether the module is meant to be compiled: a twin is one as soon as its ``.pxd`` stands beside it."""
    stem = Path(elio.__file__).parent.joinpath(*name.split(".")[1:])
    return name in NATIVE or stem.with_suffix(".pxd").exists()


def main() -> int:
    wanted = [name for name in running() if has_typing(name)]
    missing = [name for name in wanted if not is_compiled(name)]
    print(f"compiled: {', '.join(name for name in wanted if name not in missing) or 'nothing'}")
    if missing:
        print(f"not compiled: {', '.join(missing)}; `make native` builds them", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
