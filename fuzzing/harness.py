"""What the fuzzers share: the way they are started, and cutting input into pieces.

    python fuzzing/fuzz_websocket.py                        a minute
    python fuzzing/fuzz_websocket.py -max_total_time=3600   an hour; any option of libFuzzer may follow

Inputs that led to something new are kept in ``.cache/fuzzing`` and are where the next run begins. One that fails is
written to a file, and that file's path behind the command runs it alone.

A fuzzer imports this module before the package, so that the package runs its Python twins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("ELIO_PURE", "1")  # coverage sees into Python only

try:
    import atheris
except ImportError:
    sys.exit("the fuzzers need atheris: pip install -e '.[fuzz]'")

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".cache" / "fuzzing"
SECONDS: Final = 60


def fuzz(name: str, target: Callable[[bytes], None], seeds: Sequence[bytes]) -> None:
    """Call the target with one input after the other; it raises where an invariant is broken."""
    corpus = CACHE / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = sys.argv[1:] or [f"-max_total_time={SECONDS}"]
    if not any(Path(argument).exists() for argument in arguments):
        arguments.append(str(corpus))
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-artifact_prefix={CACHE}/", *arguments], target)
    atheris.Fuzz()


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """The input in pieces of sizes that the seed decides; 0 is byte by byte."""
    start = 0
    while start < len(data):
        size = 1 if seed == 0 else 1 + (seed := (seed * 1103515245 + 12345) & 0x7FFFFFFF) % 17
        yield data[start : start + size]
        start += size
