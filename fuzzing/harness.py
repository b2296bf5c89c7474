"""What the fuzzers share: the way they are started, their corpus, and cutting input into pieces.

    python fuzzing/fuzz_websocket.py                        a minute
    python fuzzing/fuzz_websocket.py -max_total_time=3600   an hour; any option of libFuzzer may follow
    python fuzzing/fuzz_websocket.py --replay               what is known already, without atheris
    python fuzzing/fuzz_websocket.py --replay 50 .cache/fuzzing/websocket
                                     each input of that folder too, and 50 changed copies of each

``fuzzing/corpus`` has inputs that reach different places; a run begins with them and with what earlier ones kept in
``.cache/fuzzing``. An input that fails is written to a file there, and that file's path behind the command runs it
alone. To keep what a run has found, copy its small files into the corpus.

A fuzzer imports this module before the package. Fuzzing runs the Python twins, since atheris sees into Python only;
replaying runs whatever is built.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CORPUS: Final = ROOT / "fuzzing" / "corpus"
CACHE: Final = ROOT / ".cache" / "fuzzing"
SECONDS: Final = 60
REPLAY: Final = "--replay"

if REPLAY not in sys.argv:
    os.environ.setdefault("ELIO_PURE", "1")


def main(name: str, target: Callable[[bytes], None]) -> None:
    """Call the target with one input after the other, as the command line says; it raises where something is broken."""
    if REPLAY in sys.argv:
        sys.exit(replay(name, target, sys.argv[2:]))
    fuzz(name, target)


def fuzz(name: str, target: Callable[[bytes], None]) -> None:
    """Look for new inputs with atheris."""
    try:
        import atheris
    except ImportError:
        sys.exit("the fuzzers need atheris: pip install -e '.[fuzz]'")
    found = CACHE / name
    found.mkdir(parents=True, exist_ok=True)
    arguments = sys.argv[1:] or [f"-max_total_time={SECONDS}"]
    if not any(Path(argument).exists() for argument in arguments):
        arguments += [str(found), str(CORPUS / name)]
    for function in functions():
        atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], f"-artifact_prefix={CACHE}/{name}-", *arguments], target)
    atheris.Fuzz()


def functions() -> list[FunctionType]:
    """Those of the package: atheris would take minutes for all of the standard library."""
    found = [each for each in gc.get_objects() if isinstance(each, FunctionType)]
    return [each for each in found if (each.__module__ or "").split(".")[0] == "elio"]


def replay(name: str, target: Callable[[bytes], None], arguments: list[str]) -> int:
    """Run the inputs of the corpus and of further folders, and changed copies of them. Always the same ones.

    Args:
        name: the fuzzer's.
        target: what is called.
        arguments: how many changed copies of each (none), then folders.

    Returns:
        The exit status, 0 or 1.
    """
    copies = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 0
    paths = [path for folder in [CORPUS / name, *map(Path, arguments)] for path in sorted(folder.iterdir())]
    inputs = [path.read_bytes() for path in paths]
    count = 0
    for path, data in zip(paths, inputs, strict=True):
        for number in range(copies + 1):
            tried = changed(data, inputs, number) if number else data
            try:
                target(tried)
            except BaseException:
                failed = CACHE / f"{name}-failed"
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.write_bytes(tried)
                print(f"{name}: copy {number} of {path} failed, it is in {failed}", file=sys.stderr)
                raise
            count += 1
    print(f"{name}: {count} inputs")
    return 0 if count else 1


def changed(data: bytes, others: list[bytes], seed: int) -> bytes:
    """The input with a few of its bytes changed, removed, repeated or taken from another input."""
    rng = random.Random(zlib.crc32(data) + seed)
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 1, 2, 4, 16)))
        other = rng.choice(others)
        there = rng.randrange(len(other) + 1)
        middle = rng.choice(
            (
                b"",
                rng.randbytes(end - start),
                data[start:end] * 2,
                other[there : there + rng.randrange(1, 64)],
                bytes(byte ^ 1 << rng.randrange(8) for byte in data[start:end]),
            )
        )
        data = data[:start] + middle + data[end:]
    return data


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """The input in pieces of sizes that the seed decides; 0 is byte by byte."""
    start = 0
    while start < len(data):
        size = 1 if seed == 0 else 1 + (seed := (seed * 1103515245 + 12345) & 0x7FFFFFFF) % 17
        yield data[start : start + size]
        start += size
