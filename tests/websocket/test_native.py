"""The C kernels against plain Python: masking on every path, and the UTF-8 check against `bytes.decode`."""

from __future__ import annotations

import itertools
import os
import platform
import random
import subprocess
import sys
from typing import Any

import pytest

from elio import _twins

if not _twins.is_compiled("elio.websocket._native"):
    if os.environ.get("ELIO_PURE", "0") != "0" or os.environ.get("ELIO_BUILD_NATIVE") == "0":
        pytest.skip("Python only was asked for", allow_module_level=True)
    pytest.fail("elio.websocket._native is not built: python setup.py build_ext --inplace", pytrace=False)

from elio.websocket import _native
from elio.websocket._native import MessageBuffer, Utf8Validator, apply_mask, apply_mask_in_place

KEY = b"\x37\xfa\x21\x3d"


def masked(data: bytes, key: bytes, offset: int = 0) -> bytes:
    return bytes(byte ^ key[(offset + i) % 4] for i, byte in enumerate(data))


def sample(size: int, seed: int = 0) -> bytes:
    return random.Random(size * 31 + seed).randbytes(size)


# -- masking --


def test_rfc_example_of_a_masked_text_message() -> None:
    assert apply_mask(b"Hello", KEY) == b"\x7f\x9f\x4d\x51\x58"
    assert apply_mask(b"\x7f\x9f\x4d\x51\x58", KEY) == b"Hello"


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 7, 2**31 + 1, 2**63 + 2, 2**64 - 1])
def test_every_length_up_to_300_at_every_offset(offset: int) -> None:
    data = sample(300)
    expected = masked(data, KEY, offset)
    for size in range(301):
        assert apply_mask(data[:size], KEY, offset) == expected[:size]


@pytest.mark.parametrize("path", _native._masking_paths())
@pytest.mark.parametrize("offset", range(4))
def test_every_path_masks_every_length_alike(path: str, offset: int) -> None:
    data = sample(300, offset)
    expected = masked(data, KEY, offset)
    for size in range(32, 301):
        assert _native._apply_mask_by(path, data[:size], KEY, offset) == (expected[:size], False)


@pytest.mark.parametrize("path", _native._masking_paths())
def test_one_byte_above_ascii_is_seen_wherever_it_is(path: str) -> None:
    for size in (32, 33, 63, 64, 127, 128, 129, 160, 255, 300):
        assert _native._apply_mask_by(path, masked(b"a" * size, KEY), KEY) == (b"a" * size, True)
        for position in range(size):
            text = bytearray(b"\x7f" * size)
            text[position] = 0x80
            assert _native._apply_mask_by(path, masked(bytes(text), KEY), KEY) == (bytes(text), False)


def test_paths_of_this_machine() -> None:
    assert _native._masking_paths()[0] == "words"
    with pytest.raises(ValueError, match="no masking path 'none' here"):
        _native._apply_mask_by("none", b"a" * 64, KEY)
    with pytest.raises(ValueError, match="7 bytes, the path 'words' takes no fewer than 8"):
        _native._apply_mask_by("words", b"a" * 7, KEY)


@pytest.mark.parametrize("start", range(33))
def test_every_alignment_of_the_source_and_in_place(start: int) -> None:
    data = sample(400)
    for size in (0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 130, 257, 300):
        expected = masked(data[start : start + size], KEY, start)
        assert apply_mask(memoryview(data)[start : start + size], KEY, start) == expected
        place = bytearray(data)
        apply_mask_in_place(memoryview(place)[start : start + size], KEY, start)
        assert place == data[:start] + expected + data[start + size :]


@pytest.mark.parametrize("size", [4096, 65535, 65536, 65537, 1 << 20, (1 << 20) + 13])
def test_large_payloads(size: int) -> None:
    data = sample(size)
    repeated = int.from_bytes(KEY * (size // 4 + 1), "little") & ((1 << 8 * size) - 1)
    expected = (int.from_bytes(data, "little") ^ repeated).to_bytes(size, "little")
    assert apply_mask(data, KEY) == expected
    place = bytearray(data)
    apply_mask_in_place(place, KEY)
    assert place == expected


def test_pieces_with_a_running_offset_make_the_whole() -> None:
    rng = random.Random(7)
    for _ in range(200):
        data, key = rng.randbytes(rng.randrange(500)), rng.randbytes(4)
        pieces, position = [], 0
        while position < len(data):
            size = rng.randrange(1, 120)
            pieces.append(apply_mask(data[position : position + size], key, position))
            position += size
        assert b"".join(pieces) == masked(data, key)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_contiguous_buffer_is_taken_and_bytes_come_out(kind: Any) -> None:
    result = apply_mask(kind(b"Hello"), KEY)
    assert type(result) is bytes
    assert result == masked(b"Hello", KEY)


def test_what_cannot_be_masked_is_refused() -> None:
    with pytest.raises(ValueError, match="masking key of 3 bytes, must be 4"):
        apply_mask(b"Hello", b"abc")
    with pytest.raises(ValueError, match="masking key of 5 bytes, must be 4"):
        apply_mask_in_place(bytearray(b"Hello"), b"abcde")
    with pytest.raises(OverflowError):
        apply_mask(b"Hello", KEY, -1)
    with pytest.raises(TypeError):
        apply_mask("Hello", KEY)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        apply_mask(b"Hello", None)  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        apply_mask(memoryview(b"Hello")[::2], KEY)
    with pytest.raises(BufferError):
        apply_mask_in_place(b"Hello", KEY)  # type: ignore[arg-type]


# -- UTF-8 --

EDGES = bytes([0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED])
EDGES += bytes([0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFC, 0xFF])


def verdict(data: bytes) -> tuple[bool, bool]:
    """Whether some text begins so, and whether it may end here; by Python's own decoder."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data", False
    return True, True


def checked(*pieces: bytes) -> tuple[bool, bool]:
    validator = Utf8Validator()
    good = [validator.feed(piece) for piece in pieces]
    assert good == sorted(good, reverse=True), "once bad, always bad"
    return good[-1], validator.complete


@pytest.mark.parametrize("size", [1, 2])
def test_every_sequence_of_one_and_two_bytes(size: int) -> None:
    for values in itertools.product(range(256), repeat=size):
        data = bytes(values)
        assert checked(data) == checked(*(bytes([value]) for value in values)) == verdict(data), data


def test_every_sequence_of_three_bytes() -> None:
    for first in range(0xC0, 256):
        for second in range(256):
            start = bytes((first, second))
            if not verdict(start)[0]:
                # Every third byte is refused by the same state.
                assert checked(start, b"\x80") == checked(start, b"a") == (False, False)
                continue
            for third in range(256):
                data = start + bytes([third])
                assert checked(data) == verdict(data), data


def test_sequences_of_four_bytes_at_the_edges_of_each_range() -> None:
    for values in itertools.product(range(0xF0, 0x100), EDGES, EDGES, EDGES):
        data = bytes(values)
        assert checked(data) == verdict(data), data


@pytest.mark.parametrize("position", range(40))
def test_every_character_size_at_every_place_of_a_chunk(position: int) -> None:
    for middle in itertools.product(b"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80a\xed\xff", repeat=2):
        for tail in (b"", b"\xac", b"\x98\x80", b"x" * 20):
            data = b"x" * position + bytes(middle) + tail
            assert checked(data) == verdict(data), data


TEXTS = [
    "",
    "plain",
    "κόσμε",
    "日本語のテキスト" * 3,
    "a𐍈é€\U0010ffff\ud7ff\ue000" * 4,
    "ß" * 17 + "long ascii run " * 5 + "😀",
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_cut_of_good_text_in_two_and_into_bytes(text: str) -> None:
    data = text.encode()
    assert checked(*(data[i : i + 1] for i in range(len(data))), b"") == (True, True)
    for cut in range(len(data) + 1):
        assert checked(data[:cut]) == verdict(data[:cut])
        assert checked(data[:cut], data[cut:]) == (True, True)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"\xf4", b"\x90"),
        (b"\xf0", b"\x8f"),
        (b"\xe0", b"\x9f"),
        (b"\xed", b"\xa0"),
        (b"\xf4\x8f\xbf", b"\xc0"),
        (b"\xce\xba\xe1", b"a"),
        (b"", b"\xc0"),
        (b"", b"\xc1"),
        (b"", b"\xf5"),
        (b"", b"\x80"),
        (b"", b"\xff"),
    ],
)
@pytest.mark.parametrize("before", ["", "x" * 15, "x" * 64, "é" * 9])
def test_the_first_bad_byte_fails_at_once(before: str, good: bytes, bad: bytes) -> None:
    validator = Utf8Validator()
    assert validator.feed(before.encode() + good)
    assert not validator.feed(bad)
    assert not validator.complete
    for byte in range(256):
        assert not validator.feed(bytes([byte]))
    assert not validator.complete


def test_random_bytes_and_random_cuts() -> None:
    rng = random.Random(11)
    alphabet = [chr(c).encode() for c in (0x24, 0x41, 0xA2, 0x20AC, 0xD7FF, 0xE000, 0x10348, 0x10FFFF)]
    for _ in range(3000):
        data = bytearray(b"".join(rng.choices(alphabet, [8, 8, 2, 2, 1, 1, 1, 1], k=rng.randrange(60))))
        if data and rng.random() < 0.5:
            data[rng.randrange(len(data))] = rng.randrange(256)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
        pieces = [bytes(data[a:b]) for a, b in itertools.pairwise([0, *cuts, len(data)])]
        assert checked(*pieces) == checked(bytes(data)) == verdict(bytes(data)), bytes(data)


def test_the_validator_takes_buffers_only() -> None:
    assert Utf8Validator().feed(bytearray(b"ab"))
    assert Utf8Validator().feed(memoryview(b"ab"))
    with pytest.raises(TypeError):
        Utf8Validator().feed("ab")  # type: ignore[arg-type]


# -- messages while they are gathered (more in test_octets.py)


def test_parts_outside_of_the_source_are_refused() -> None:
    for start, end in ((-1, 2), (0, 4), (2, 1), (4, 4)):
        with pytest.raises(ValueError, match="in 3 bytes"):
            MessageBuffer(False).write_part(b"abc", start, end, KEY, 0)
    with pytest.raises(ValueError, match="masking key of 1 bytes"):
        MessageBuffer(False).write_part(b"abc", 0, 3, b"k", 0)
    with pytest.raises(OverflowError):
        MessageBuffer(False).write_part(b"abc", 0, 3, KEY, -1)


COUNT_FAULTS = """
import resource
from elio.websocket.connection import Connection, Role

part = bytes(250_000)
frame = b"\\x82\\x7f" + (1_000_000).to_bytes(8, "big")

def message(connection):
    connection.receive_data(frame)
    for _ in range(3):
        connection.receive_data(part)
    (message,) = connection.receive_data(part)
    assert len(message) == 1_000_000

connection = Connection(Role.CLIENT)
for _ in range(5):
    message(connection)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    message(connection)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the C library of Linux")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer gives memory in its own way")
def test_memory_of_large_messages_is_used_again_without_page_faults() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert int(done.stdout) < 500  # 250 for each message otherwise
