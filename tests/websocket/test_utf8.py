"""The check of UTF-8 in pieces, both implementations against the table of the Unicode standard (3.9, table 3-7)."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from types import ModuleType

import pytest

from elio.websocket import utf8
from elio.websocket.utf8 import Utf8Validator, Utf8ValidatorPure
from support.frames import byte_by_byte

BOTH = pytest.mark.parametrize("kind", [Utf8ValidatorPure, Utf8Validator], ids=["pure", "chosen"])
Kind = type[Utf8Validator] | type[Utf8ValidatorPure]

TAIL = (0x80, 0xBF)
# First byte, then the ranges of the bytes that may follow.
WELL_FORMED: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0x00, 0x7F),),
    ((0xC2, 0xDF), TAIL),
    ((0xE0, 0xE0), (0xA0, 0xBF), TAIL),
    ((0xE1, 0xEC), TAIL, TAIL),
    ((0xED, 0xED), (0x80, 0x9F), TAIL),
    ((0xEE, 0xEF), TAIL, TAIL),
    ((0xF0, 0xF0), (0x90, 0xBF), TAIL, TAIL),
    ((0xF1, 0xF3), TAIL, TAIL, TAIL),
    ((0xF4, 0xF4), (0x80, 0x8F), TAIL, TAIL),
)
EDGES = (0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
LEADS = (0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF)


def judge(data: bytes) -> tuple[int, bool]:
    """How many bytes can stand before the first bad one, and whether the last character is complete."""
    position = 0
    while position < len(data):
        row = next((row for row in WELL_FORMED if row[0][0] <= data[position] <= row[0][1]), None)
        if row is None:
            return position, False
        for low, high in row:
            if position == len(data):
                return position, False
            if not low <= data[position] <= high:
                return position, False
            position += 1
    return position, True


def assert_judged(kind: Kind, data: bytes) -> None:
    good, complete = judge(data)
    validator = kind()
    verdicts = [validator.feed(piece) for piece in byte_by_byte(data)]
    assert verdicts == [index < good for index in range(len(data))], data
    assert validator.complete == complete, data
    at_once = kind()
    assert at_once.feed(data) == (good == len(data)), data
    assert at_once.complete == complete, data


@BOTH
def test_nothing_is_complete(kind: Kind) -> None:
    validator = kind()
    assert validator.complete
    assert validator.feed(b"")
    assert validator.complete


@BOTH
def test_every_sequence_of_one_and_two_bytes(kind: Kind) -> None:
    for first in range(256):
        assert_judged(kind, bytes((first,)))
        for second in (*EDGES, first):
            assert_judged(kind, bytes((first, second)))


@BOTH
def test_longer_sequences_at_the_edges_of_every_range(kind: Kind) -> None:
    for lead, *rest in itertools.product(LEADS, EDGES, EDGES):
        assert_judged(kind, bytes((lead, *rest)))
    for lead, second, third in itertools.product((0xF0, 0xF1, 0xF4), (0x80, 0x8F, 0x90, 0xBF), EDGES):
        assert_judged(kind, bytes((lead, second, 0x80, third)))


@BOTH
@pytest.mark.parametrize("text", ["ASCII", "κόσμε", "\ud7ff\ue000", "\uffff", "\U00010000\U0010ffff", "\0"])
def test_text_is_accepted(kind: Kind, text: str) -> None:
    assert_judged(kind, text.encode())


@BOTH
def test_a_failed_check_stays_failed(kind: Kind) -> None:
    validator = kind()
    assert not validator.feed(b"\xff")
    assert not validator.feed(b"good")
    assert not validator.complete


@BOTH
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes_like_objects(kind: Kind, wrap: type[bytes]) -> None:
    validator = kind()
    assert validator.feed(wrap(b"\xce"))
    assert not validator.complete
    assert validator.feed(wrap(b"\xba"))
    assert validator.complete


def load_again(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"elio.websocket.{name}", utf8.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pure_python_where_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELIO_PURE", "1")
    module = load_again("utf8_pure")
    assert module.Utf8Validator is module.Utf8ValidatorPure


def test_the_kernel_where_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELIO_PURE", raising=False)
    kernel = ModuleType("elio.websocket._native")
    vars(kernel)["Utf8Validator"] = native = object()
    monkeypatch.setitem(sys.modules, "elio.websocket._native", kernel)
    assert load_again("utf8_native").Utf8Validator is native
