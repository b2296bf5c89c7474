"""Bytes to frames and back: literals both ways, every length boundary, every first byte, any cuts."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

import pytest

from elio.errors import ConfigurationError, LocalProtocolError, MessageTooBig
from elio.websocket.codes import Opcode
from elio.websocket.frame import ENDS, MAX_LENGTH, STARTS, WHOLE, FrameDecoder, encode_frame
from elio.websocket.octets import MessageBuffer
from support.frames import KEY, byte_by_byte, frame, header, random_cuts, ways, xor

MIB = 1024 * 1024
CONTROL = (0x8, 0x9, 0xA)


@dataclass(frozen=True)
class Frame:
    head: int
    payload: bytes


def decode(decoder: FrameDecoder, pieces: list[bytes]) -> list[Frame]:
    """The frames in the pieces, each put together from its parts."""
    frames: list[Frame] = []
    parts: list[bytes] = []
    for piece in pieces:
        decoder.feed(piece)
        while decoder.next_part():
            if decoder.part & STARTS:
                parts = []
            parts.append(decoder.payload)
            if decoder.part & ENDS:
                frames.append(Frame(decoder.head, b"".join(parts)))
    return frames


def parts_of(decoder: FrameDecoder, data: bytes) -> list[tuple[int, bytes]]:
    decoder.feed(data)
    parts = []
    while decoder.next_part():
        parts.append((decoder.part, decoder.payload))
    return parts


def fault(data: bytes, *, masked: bool = True, rsv1: bool = False, max_message_size: int | None = None) -> str:
    """What the decoder says of the data, checked to be a protocol error after which nothing comes out."""
    decoder = FrameDecoder(masked=masked, rsv1=rsv1, max_message_size=max_message_size)
    assert decode(decoder, [data]) == []
    assert decoder.error is not None
    assert decoder.error.close_code == 1002
    assert decode(decoder, [frame(0x81, b"more")]) == []
    assert decoder.waiting_size == 0
    return str(decoder.error)


# -- the examples of RFC 6455 5.7 and some more, both ways

LITERALS = [
    ("8105 48656c6c6f", Opcode.TEXT, b"Hello", True, False, None),
    ("8185 37fa213d 7f9f4d5158", Opcode.TEXT, b"Hello", True, False, KEY),
    ("0103 48656c", Opcode.TEXT, b"Hel", False, False, None),
    ("8002 6c6f", Opcode.CONTINUATION, b"lo", True, False, None),
    ("8905 48656c6c6f", Opcode.PING, b"Hello", True, False, None),
    ("8a85 37fa213d 7f9f4d5158", Opcode.PONG, b"Hello", True, False, KEY),
    ("c107 f248cdc9c90700", Opcode.TEXT, bytes.fromhex("f248cdc9c90700"), True, True, None),
    ("4103 f248cd", Opcode.TEXT, bytes.fromhex("f248cd"), False, True, None),
    ("8200", Opcode.BINARY, b"", True, False, None),
    ("8280 37fa213d", Opcode.BINARY, b"", True, False, KEY),
    ("8802 03e8", Opcode.CLOSE, b"\x03\xe8", True, False, None),
    ("8800", Opcode.CLOSE, b"", True, False, None),
    ("827e 0100" + "aa" * 256, Opcode.BINARY, b"\xaa" * 256, True, False, None),
    ("827f 0000000000010000" + "aa" * 65536, Opcode.BINARY, b"\xaa" * 65536, True, False, None),
]


@pytest.mark.parametrize(("wire", "opcode", "payload", "fin", "rsv1", "key"), LITERALS)
def test_literals_both_ways(
    wire: str, opcode: Opcode, payload: bytes, fin: bool, rsv1: bool, key: bytes | None
) -> None:
    data = bytes.fromhex(wire)
    assert encode_frame(opcode, payload, fin=fin, rsv1=rsv1, masking_key=key) == data
    head = opcode | 0x80 * fin | 0x40 * rsv1
    for pieces in ways(data, 1)[:: 1 if len(data) < 1000 else 2]:
        decoder = FrameDecoder(masked=key is not None, rsv1=True)
        assert decode(decoder, pieces) == [Frame(head, payload)]
        assert decoder.error is None
        assert not decoder.inside_frame


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("key", [None, KEY])
def test_bytes_like_payloads(kind: type[bytes], key: bytes | None) -> None:
    encoded = encode_frame(2, kind(b"abc"), masking_key=key)
    assert type(encoded) is bytes
    assert encoded == frame(0x82, b"abc", key)


# -- lengths


@pytest.mark.parametrize("key", [None, KEY], ids=["server", "client"])
@pytest.mark.parametrize(
    ("size", "start"),
    [
        (0, "00"),
        (1, "01"),
        (125, "7d"),
        (126, "7e007e"),
        (127, "7e007f"),
        (65535, "7effff"),
        (65536, "7f0000000000010000"),
        (65537, "7f0000000000010001"),
    ],
)
def test_length_boundaries(size: int, start: str, key: bytes | None) -> None:
    payload = random.Random(size).randbytes(size)
    encoded = encode_frame(2, payload, masking_key=key)
    length = bytearray.fromhex(start)
    length[0] |= 0x80 if key else 0
    assert encoded[1 : 1 + len(length)] == length
    for pieces in ([encoded], [encoded[:3], encoded[3:11], encoded[11:12], encoded[12:]], [encoded[:-1], encoded[-1:]]):
        assert decode(FrameDecoder(masked=key is not None), pieces) == [Frame(0x82, payload)]


@pytest.mark.parametrize("size", [1, 125, 126, 127, 65535, 65536, 65537, 2**31, 2**32 - 1, 2**32, 2**63 - 1])
def test_announced_length_against_the_limit(size: int) -> None:
    """One byte more than the limit fails as soon as the length is in; the limit itself does not."""
    for pieces in ways(header(0x82, size, masked=True) + KEY, 2)[:2]:
        decoder = FrameDecoder(masked=True, max_message_size=size)
        decode(decoder, pieces)
        assert decoder.error is None
        if not size:
            continue
        decoder = FrameDecoder(masked=True, max_message_size=size - 1)
        decode(decoder, pieces)
        assert isinstance(decoder.error, MessageTooBig)
        assert decoder.error.close_code == 1009
        assert (decoder.error.size, decoder.error.limit) == (size, size - 1)
        assert str(decoder.error) == f"message of {size} bytes, limit {size - 1}"


def test_the_longest_length_is_awaited_without_a_limit() -> None:
    decoder = FrameDecoder(masked=False)
    assert parts_of(decoder, header(0x82, MAX_LENGTH, masked=False) + b"abc") == [(STARTS, b"abc")]
    assert parts_of(decoder, b"d") == [(0, b"d")]
    assert decoder.inside_frame


@pytest.mark.parametrize("size", [2**63, 2**63 + 1, 2**64 - 1])
@pytest.mark.parametrize("max_message_size", [None, MIB])
def test_most_significant_bit_of_the_length_must_be_0(size: int, max_message_size: int | None) -> None:
    data = header(0x82, size, masked=True, form=127)
    assert "most significant bit" in fault(data, max_message_size=max_message_size)


@pytest.mark.parametrize(("form", "size"), [(126, 0), (126, 125), (127, 0), (127, 125), (127, 126), (127, 65535)])
@pytest.mark.parametrize("masked", [False, True])
def test_length_must_have_its_shortest_form(form: int, size: int, masked: bool) -> None:
    assert "shortest form" in fault(header(0x82, size, masked=masked, form=form), masked=masked)


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_header_is_not_judged_before_its_length_is_in(cut: int) -> None:
    data = header(0x82, 70_000, masked=True) + KEY
    decoder = FrameDecoder(masked=True, max_message_size=10)
    assert parts_of(decoder, data[:cut]) == []
    assert (decoder.error is None) == (cut < 10)


# -- size limits


def test_limit_of_the_next_frame_is_what_the_layer_above_left() -> None:
    decoder = FrameDecoder(masked=False, max_message_size=100)
    assert parts_of(decoder, frame(0x02, bytes(90), None)) == [(WHOLE, bytes(90))]
    decoder.max_payload_size = 10
    assert parts_of(decoder, frame(0x00, bytes(10), None)) == [(WHOLE, bytes(10))]
    decoder.max_payload_size = 0
    assert parts_of(decoder, frame(0x00, b"", None)) == [(WHOLE, b"")]
    assert parts_of(decoder, frame(0x00, b"x", None)) == []
    assert isinstance(decoder.error, MessageTooBig)
    assert (decoder.error.size, decoder.error.limit) == (101, 100)


@pytest.mark.parametrize("limit", [-1, -(2**63), 2**63, 2**64])
def test_a_limit_that_no_frame_can_have_is_refused(limit: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^max_message_size is {limit}, allowed are 0 to {MAX_LENGTH}"):
        FrameDecoder(masked=True, max_message_size=limit)


def test_control_frames_do_not_count_against_the_limit() -> None:
    decoder = FrameDecoder(masked=False, max_message_size=0)
    assert parts_of(decoder, frame(0x89, bytes(125), None)) == [(WHOLE, bytes(125))]


@pytest.mark.parametrize(("limit", "longest"), [(0, 64), (8, 73), (MIB, MIB + MIB // 8 + 64)])
def test_compressed_frames_may_be_an_eighth_and_64_bytes_over_the_limit(limit: int, longest: int) -> None:
    decoder = FrameDecoder(masked=False, rsv1=True, max_message_size=limit)
    assert parts_of(decoder, header(0xC2, longest, masked=False)) in ([(STARTS, b"")], [])
    assert decoder.error is None
    decoder = FrameDecoder(masked=False, rsv1=True, max_message_size=limit)
    assert parts_of(decoder, header(0xC2, longest + 1, masked=False)) == []
    assert isinstance(decoder.error, MessageTooBig)
    assert (decoder.error.size, decoder.error.limit) == (longest + 1, limit)


def test_continuations_of_a_compressed_message_have_the_same_allowance() -> None:
    decoder = FrameDecoder(masked=False, rsv1=True, max_message_size=100)
    decoder.compressed = True
    parts_of(decoder, header(0x00, 176, masked=False))
    assert decoder.error is None
    decoder = FrameDecoder(masked=False, rsv1=True, max_message_size=100)
    decoder.compressed = True
    parts_of(decoder, header(0x00, 177, masked=False))
    assert isinstance(decoder.error, MessageTooBig)


def test_without_a_limit_any_compressed_frame_may_come() -> None:
    decoder = FrameDecoder(masked=False, rsv1=True)
    assert parts_of(decoder, header(0xC2, MAX_LENGTH, masked=False) + b"x") == [(STARTS, b"x")]


# -- first bytes


@pytest.mark.parametrize("rsv1", [False, True])
def test_every_first_byte(rsv1: bool) -> None:
    """FIN and opcode as RFC 6455 5.2 has them; RSV1 only if negotiated, only on text and binary (RFC 7692 6)."""
    allowed = {0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A} | ({0x41, 0x42, 0xC1, 0xC2} if rsv1 else set())
    for head in range(256):
        data = bytes((head, 0x80)) + KEY
        if head in allowed:
            assert decode(FrameDecoder(masked=True, rsv1=rsv1), [data]) == [Frame(head, b"")]
        else:
            fault(data, rsv1=rsv1)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (0xF1, "reserved bits 111 on a frame with opcode 0x1"),
        (0xC1, "reserved bits 100 on a frame with opcode 0x1"),
        (0xA9, "reserved bits 010 on a frame with opcode 0x9"),
        (0x83, "reserved opcode 0x3"),
        (0x0B, "reserved opcode 0xb"),
        (0x09, "fragmented control frame with opcode 0x9"),
    ],
)
def test_faults_of_the_first_byte_are_named(head: int, message: str) -> None:
    assert fault(bytes((head, 0x80))) == message


@pytest.mark.parametrize("head", [0xC0, 0x40, 0xC8, 0xC9, 0xCA])
def test_rsv1_is_refused_on_continuations_and_control_frames(head: int) -> None:
    assert "reserved bits 100" in fault(bytes((head, 0x80)), rsv1=True)


def test_a_server_refuses_frames_without_a_mask() -> None:
    assert fault(b"\x81\x00", masked=True) == "frame of a client without a mask"


def test_a_client_refuses_masked_frames() -> None:
    assert fault(b"\x81\x80", masked=False) == "frame of a server with a mask"


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("second", [126, 127])
def test_control_frames_over_125_bytes_are_refused(opcode: int, second: int) -> None:
    data = bytes((0x80 | opcode, 0x80 | second))
    assert fault(data) == "control frame of more than 125 bytes"


# -- parts


def test_a_data_frame_comes_out_as_it_arrives() -> None:
    decoder = FrameDecoder(masked=True)
    data = frame(0x81, b"Hello")
    assert parts_of(decoder, data[:6]) == [(STARTS, b"")]
    assert parts_of(decoder, data[6:7]) == [(0, b"H")]
    assert parts_of(decoder, b"") == []
    assert parts_of(decoder, data[7:10]) == [(0, b"ell")]
    assert parts_of(decoder, data[10:] + data) == [(ENDS, b"o"), (WHOLE, b"Hello")]


def test_a_control_frame_comes_out_whole() -> None:
    decoder = FrameDecoder(masked=True)
    data = frame(0x89, b"Hello")
    for byte in byte_by_byte(data[:-1]):
        assert parts_of(decoder, byte) == []
        assert decoder.inside_frame
    assert parts_of(decoder, data[-1:]) == [(WHOLE, b"Hello")]


def test_the_mask_goes_on_over_any_cuts() -> None:
    rng = random.Random(5)
    payload = rng.randbytes(5000)
    for _ in range(20):
        key = rng.randbytes(4)
        pieces = random_cuts(frame(0x82, payload, key), rng, longest=rng.choice([1, 3, 9, 2000]))
        assert decode(FrameDecoder(masked=True), pieces) == [Frame(0x82, payload)]


@pytest.mark.parametrize("masked", [False, True])
def test_many_frames_in_any_cuts(masked: bool) -> None:
    rng = random.Random(6)
    expected = []
    for _ in range(150):
        head = rng.choice([0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A])
        longest = 125 if head & 0x08 else rng.choice([10, 200, 3000])
        expected.append(Frame(head, rng.randbytes(rng.randint(0, longest))))
    data = b"".join(frame(item.head, item.payload, rng.randbytes(4) if masked else None) for item in expected)
    for pieces in ways(data, 7):
        decoder = FrameDecoder(masked=masked)
        assert decode(decoder, pieces) == expected
        assert decoder.error is None
        assert not decoder.inside_frame


def test_input_fed_before_the_last_came_out_stays_behind_it() -> None:
    decoder = FrameDecoder(masked=False)
    decoder.feed(frame(0x81, b"one", None) + frame(0x81, b"two", None)[:3])
    assert decoder.next_part()
    assert decoder.waiting_size == 3
    decoder.feed(frame(0x81, b"two", None)[3:])
    assert decoder.payload == b"one"
    assert decoder.next_part()
    assert decoder.payload == b"two"


def test_frames_before_a_fault_come_out() -> None:
    decoder = FrameDecoder(masked=False)
    assert decode(decoder, [frame(0x81, b"good", None) + b"\x83\x00" + frame(0x81, b"late", None)]) == [
        Frame(0x81, b"good")
    ]
    assert decoder.error is not None


@pytest.mark.parametrize("rest", [b"", b"\x82", header(0x82, 1 << 40, masked=True) + KEY, frame(0x89, b"ping")[:-1]])
def test_what_was_fed_is_not_held_once_it_came_out(rest: bytes) -> None:
    decoder = FrameDecoder(masked=True)
    data = frame(0x82, bytes(100_000)) + rest
    before = sys.getrefcount(data)
    assert parts_of(decoder, data)[0] == (WHOLE, bytes(100_000))
    assert sys.getrefcount(data) == before
    assert decoder.payload == b""
    assert decoder.waiting_size < 14


@pytest.mark.parametrize("key", [None, KEY], ids=["client", "server"])
def test_parts_are_poured_into_the_buffer_of_a_message(key: bytes | None) -> None:
    text = "Grüße, 日本語 " * 50
    data = frame(0x81, text.encode(), key)
    for pieces in ways(data, 9):
        decoder = FrameDecoder(masked=key is not None)
        buffer = MessageBuffer(True)
        size = 0
        for piece in pieces:
            decoder.feed(piece)
            while decoder.next_part():
                assert decoder.pour(buffer)
                size += decoder.size
        assert size == len(text.encode())
        assert buffer.finish() == text


def test_pouring_says_that_text_is_bad() -> None:
    decoder = FrameDecoder(masked=True)
    decoder.feed(frame(0x01, b"\xc3") + frame(0x80, b"\xff"))
    buffer = MessageBuffer(True)
    assert decoder.next_part()
    assert decoder.pour(buffer)
    assert decoder.next_part()
    assert not decoder.pour(buffer)


def test_discard_drops_everything() -> None:
    decoder = FrameDecoder(masked=False)
    decoder.feed(header(0x82, 1000, masked=False) + b"abc")
    assert decoder.next_part()
    decoder.discard()
    assert not decoder.inside_frame
    assert decoder.payload == b""
    assert parts_of(decoder, frame(0x81, b"new", None)) == [(WHOLE, b"new")]


# -- messages of one frame


@pytest.mark.parametrize("key", [None, KEY], ids=["client", "server"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
def test_messages_of_one_frame_are_taken_at_once(size: int, key: bytes | None) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    for data, message in ((text.encode(), text), (b"x" * size, "x" * size)):
        decoder = FrameDecoder(masked=key is not None)
        decoder.feed(frame(0x81, data, key) + frame(0x82, data, key))
        messages: list[str | bytes] = []
        assert decoder.take_messages(messages, 10, 1 << 30) == 2 * size
        assert messages == [message, data]
        assert decoder.waiting_size == 0


def test_taking_stops_after_so_many_messages_or_bytes() -> None:
    decoder = FrameDecoder(masked=True)
    decoder.feed(frame(0x82, b"abc") * 5)
    messages: list[str | bytes] = []
    assert decoder.take_messages(messages, 0, 100) == 0
    assert decoder.take_messages(messages, 1, 100) == 3
    assert decoder.take_messages(messages, 100, 0) == 0
    assert decoder.take_messages(messages, 100, 4) == 6
    assert messages == [b"abc"] * 3
    assert decoder.next_part()
    assert decoder.payload == b"abc"
    assert decoder.take_messages(messages, 100, 100) == 3


@pytest.mark.parametrize(
    "other",
    [
        frame(0x01, b"part"),
        frame(0x80, b"part"),
        frame(0x89, b"ping"),
        frame(0xC1, b"compressed"),
        frame(0x83, b"reserved"),
        frame(0x81, b"not masked", None),
        frame(0x81, b"not UTF-8 \xff"),
        header(0x82, 125, masked=True, form=126) + KEY + bytes(125),
        header(0x82, 65535, masked=True, form=127) + KEY + bytes(65535),
        header(0x82, 2**63, masked=True) + KEY,
        header(0x82, 2**64 - 1, masked=True) + KEY,
        frame(0x82, bytes(1001)),
        header(0x82, 126, masked=True)[:3],
        header(0x82, 65536, masked=True)[:9],
        header(0x82, 20, masked=True) + KEY[:3],
        frame(0x82, b"some")[:-1],
        b"\x82",
    ],
)
def test_anything_else_is_left_for_next_part(other: bytes) -> None:
    decoder = FrameDecoder(masked=True, rsv1=True, max_message_size=1000)
    decoder.feed(frame(0x82, b"abc") + other)
    messages: list[str | bytes] = []
    assert decoder.take_messages(messages, 100, 1000) == 3
    assert messages == [b"abc"]
    assert decoder.waiting_size == len(other)
    assert decoder.error is None
    assert decoder.take_messages(messages, 100, 1000) == 0
    assert decoder.waiting_size == len(other)


def test_nothing_is_taken_inside_a_frame() -> None:
    decoder = FrameDecoder(masked=True)
    data = frame(0x82, frame(0x82, b"abc"))
    decoder.feed(data[:8])
    assert decoder.next_part()
    decoder.feed(data[8:])
    assert decoder.take_messages([], 100, 1000) == 0
    assert decoder.waiting_size == len(data) - 8


# -- encoding


@pytest.mark.parametrize("opcode", CONTROL)
def test_control_frames_over_125_bytes_are_not_encoded(opcode: int) -> None:
    assert len(encode_frame(opcode, bytes(125))) == 127
    with pytest.raises(LocalProtocolError, match="126 bytes"):
        encode_frame(opcode, bytes(126))


@pytest.mark.parametrize("opcode", CONTROL)
def test_control_frames_are_not_encoded_in_fragments(opcode: int) -> None:
    with pytest.raises(LocalProtocolError, match="fragmented control frame; at most 125"):
        encode_frame(opcode, b"", fin=False)


def test_what_is_encoded_is_decoded() -> None:
    rng = random.Random(8)
    for _ in range(200):
        payload, key = rng.randbytes(rng.choice([0, 3, 130, 5000])), rng.randbytes(4)
        encoded = encode_frame(1, payload, fin=False, masking_key=key)
        assert encoded[-len(payload) :] == xor(payload, key) or not payload
        assert decode(FrameDecoder(masked=True), [encoded]) == [Frame(0x01, payload)]


def test_what_has_come_out_is_let_go() -> None:
    decoder = FrameDecoder(masked=False)
    decoder.feed(b"\x82\x05hello\x82\x05he")
    assert decoder.next_part()
    decoder.release()
    assert decoder.waiting_size == 4
    assert decoder.next_part()
    assert decoder.payload == b"he"
    decoder.release()
    assert decoder.waiting_size == 0
    assert decoder.payload == b""
    decoder.feed(b"llo")
    assert decoder.next_part()
    assert decoder.payload == b"llo"
