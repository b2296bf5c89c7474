"""Masking and masking keys."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from elio.websocket import mask
from elio.websocket.mask import MaskingKeys, apply_mask, apply_mask_pure, masking_keys
from support.frames import KEY, xor

Masking = Callable[..., bytes]
BOTH = pytest.mark.parametrize("masking", [apply_mask_pure, apply_mask], ids=["pure", "chosen"])


def load_again(name: str) -> ModuleType:
    """A second copy of the module, as the environment has it now."""
    spec = importlib.util.spec_from_file_location(f"elio.websocket.{name}", mask.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@BOTH
def test_example_of_the_rfc(masking: Masking) -> None:
    assert masking(b"Hello", KEY) == bytes.fromhex("7f9f4d5158")


@BOTH
def test_every_size_and_offset(masking: Masking) -> None:
    rng = random.Random(1)
    for size in [*range(70), *range(630, 660), 1023, 1024, 1025, 4099]:
        data, key = rng.randbytes(size), rng.randbytes(4)
        offset = rng.randint(0, 9)
        assert masking(data, key, offset) == xor(bytes(offset) + data, key)[offset:]


@BOTH
def test_masking_twice_gives_the_payload_back(masking: Masking) -> None:
    data = random.Random(2).randbytes(70_000)
    assert masking(masking(data, b"abcd"), b"abcd") == data


@BOTH
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [5, 1001])
def test_bytes_like_objects(masking: Masking, kind: Callable[[bytes], bytes], size: int) -> None:
    data = random.Random(3).randbytes(size)
    masked = masking(kind(data), KEY)
    assert type(masked) is bytes
    assert masked == xor(data, KEY)


@BOTH
def test_pieces_with_their_offset_are_the_whole(masking: Masking) -> None:
    data = random.Random(4).randbytes(3000)
    pieces = [masking(data[start : start + 7], KEY, start) for start in range(0, 3000, 7)]
    assert b"".join(pieces) == masking(data, KEY)


@pytest.mark.parametrize("value", ["1", "yes"])
def test_pure_python_where_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ELIO_PURE", value)
    module = load_again("mask_pure")
    assert module.apply_mask is module.apply_mask_pure


@pytest.mark.parametrize("value", [None, "", "0"])
def test_the_kernel_where_it_is_built(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("ELIO_PURE", raising=False)
    if value is not None:
        monkeypatch.setenv("ELIO_PURE", value)
    kernel = ModuleType("elio.websocket._native")
    vars(kernel)["apply_mask"] = native = object()
    monkeypatch.setitem(sys.modules, "elio.websocket._native", kernel)
    assert load_again("mask_native").apply_mask is native


def test_pure_python_where_no_kernel_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELIO_PURE", raising=False)
    monkeypatch.setitem(sys.modules, "elio.websocket._native", None)
    module = load_again("mask_alone")
    assert module.apply_mask is module.apply_mask_pure


def test_keys_have_four_bytes_and_differ() -> None:
    keys = [masking_keys.next_key() for _ in range(1000)]
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > 990


def test_keys_are_fetched_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def urandom(size: int) -> bytes:
        sizes.append(size)
        return bytes(range(len(sizes), len(sizes) + size))

    monkeypatch.setattr(os, "urandom", urandom)
    keys = MaskingKeys(block=2)
    assert sizes == []
    assert [keys.next_key() for _ in range(3)] == [b"\x01\x02\x03\x04", b"\x05\x06\x07\x08", b"\x02\x03\x04\x05"]
    assert sizes == [8, 8]


def test_reset_forgets_the_keys_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [b"AAAABBBB", b"CCCCDDDD"]
    monkeypatch.setattr(os, "urandom", lambda size: blocks.pop(0))
    keys = MaskingKeys(block=2)
    assert keys.next_key() == b"AAAA"
    keys.reset()
    assert keys.next_key() == b"CCCC"


FORKING = """
import os
from elio.websocket.mask import masking_keys
masking_keys.next_key()
read, write = os.pipe()
child = os.fork()
keys = b"".join(masking_keys.next_key() for _ in range(8))
if child == 0:
    os.write(write, keys)
    os._exit(0)
os.waitpid(child, 0)
print(os.read(read, 32) != keys)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_keys_of_its_own() -> None:
    source = str(Path(mask.__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "-c", FORKING],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "True\n"
