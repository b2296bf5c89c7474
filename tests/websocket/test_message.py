"""Frames to messages: fragments, UTF-8 as it arrives, inflating, limits; any cuts give the same."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest

from elio.errors import ConfigurationError, LimitExceeded, LocalProtocolError, MessageTooBig, RemoteProtocolError
from elio.websocket.deflate import DeflateOptions, PerMessageDeflate
from elio.websocket.message import (
    Close,
    Event,
    MessageDecoder,
    Ping,
    Pong,
    decode_close,
    encode_close,
)
from support.frames import KEY, byte_by_byte, frame, header, random_cuts, ways

KIB = 1024
MIB = 1024 * 1024
HUGE = 1 << 60


def server(**options: object) -> MessageDecoder:
    return MessageDecoder(masked=True, **options)  # type: ignore[arg-type]


def deflate() -> PerMessageDeflate:
    return PerMessageDeflate(DeflateOptions(threshold=0))


def receive(decoder: MessageDecoder, data: bytes) -> list[Event]:
    """One call, without bounds on its work."""
    events: list[Event] = []
    special = decoder.receive(data, events, HUGE, HUGE)
    assert special or not any(not isinstance(event, str | bytes) for event in events)
    return events


def receive_all(decoder: MessageDecoder, pieces: Iterable[bytes]) -> list[Event]:
    """All pieces, and what each leaves for further calls."""
    events: list[Event] = []
    for piece in pieces:
        events += receive(decoder, piece)
        while decoder.more:
            events += receive(decoder, b"")
    return events


def faults(decoder: MessageDecoder, data: bytes) -> tuple[list[Event], RemoteProtocolError]:
    """What comes before the violation, and the violation; nothing comes after it."""
    *before, error = receive_all(decoder, [data])
    assert isinstance(error, RemoteProtocolError)
    # What the error came from would keep the data alive.
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
    assert receive_all(decoder, [frame(0x81, b"late"), frame(0x89)]) == []
    assert not decoder.more
    assert not decoder.inside_message
    return before, error


def assert_violation(data: bytes, code: int, text: str, decoder: MessageDecoder | None = None) -> None:
    before, error = faults(decoder or server(), data)
    assert before == []
    assert error.close_code == code
    assert text in str(error)


# -- messages


def test_a_text_message_is_str_and_a_binary_one_bytes() -> None:
    events = receive(server(), frame(0x81, "größe".encode()) + frame(0x82, b"\x00\xff"))
    assert events == ["größe", b"\x00\xff"]
    assert [type(event) for event in events] == [str, bytes]


def test_a_client_receives_frames_without_mask() -> None:
    assert receive(MessageDecoder(masked=False), frame(0x81, b"hi", None)) == ["hi"]


@pytest.mark.parametrize("head", [0x81, 0x82])
def test_empty_messages(head: int) -> None:
    empty = "" if head == 0x81 else b""
    assert receive(server(), frame(head)) == [empty]
    assert receive(server(), frame(head & 0x7F) + frame(0x00) + frame(0x80)) == [empty]


def test_fragments_are_put_together() -> None:
    for pieces in ways(
        frame(0x01, b"Hel") + frame(0x00) + frame(0x00, b"l") + frame(0x80, b"o") + frame(0x82, b"x"), 1
    ):
        decoder = server()
        assert receive_all(decoder, pieces) == ["Hello", b"x"]
        assert not decoder.inside_message


def test_control_frames_come_out_between_fragments() -> None:
    data = frame(0x02, b"a") + frame(0x89, b"1") + frame(0x00, b"b") + frame(0x8A, b"2") + frame(0x80, b"c")
    for pieces in ways(data, 2):
        assert receive_all(server(), pieces) == [Ping(b"1"), Pong(b"2"), b"abc"]


def test_inside_message_until_its_end() -> None:
    decoder = server()
    assert not decoder.inside_message
    for piece in byte_by_byte(frame(0x01, b"a") + frame(0x80, b"b"))[:-1]:
        assert receive(decoder, piece) == []
        assert decoder.inside_message
    assert not decoder.more


def test_65536_fragments_of_64_bytes_make_one_message() -> None:
    payload = random.Random(3).randbytes(4 * MIB)
    parts = [payload[start : start + 64] for start in range(0, len(payload), 64)]
    data = b"".join(frame(0x02 if i == 0 else 0x80 if i == 65535 else 0x00, part) for i, part in enumerate(parts))
    decoder = server(max_message_size=4 * MIB, max_fragments=65536)
    assert receive_all(decoder, [data[start : start + 65536] for start in range(0, len(data), 65536)]) == [payload]


def test_a_message_of_16_mib_is_held_about_once() -> None:
    payload = random.Random(4).randbytes(16 * MIB)
    data = frame_of_16_mib(payload)
    decoder = server(max_message_size=16 * MIB)
    tracemalloc.start()
    try:
        events: list[Event] = []
        for start in range(0, len(data), 65536):
            events += receive(decoder, data[start : start + 65536])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events == [payload]
    # A growing buffer moves now and then: for a moment the old one is there beside the new one.
    assert peak < 2.3 * 16 * MIB


def frame_of_16_mib(payload: bytes) -> bytes:
    # A key of zeros: the payload stands in the frame as it is, and the test need not mask 16 MiB byte by byte.
    return header(0x82, len(payload), masked=True) + bytes(4) + payload


def test_tiny_pieces_are_held_as_bytes_and_not_as_objects() -> None:
    data = b"".join(frame(0x02 if i == 0 else 0x00, b"x") for i in range(20_000))
    decoder = server()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert receive_all(decoder, byte_by_byte(data[:80_000])) == []
        assert receive_all(decoder, [data[80_000:]]) == []
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert decoder.inside_message
    assert held < 4 * 20_000


# -- the order of frames (RFC 6455 5.4)


@pytest.mark.parametrize("head", [0x80, 0x00])
def test_a_continuation_needs_a_message(head: int) -> None:
    assert_violation(frame(head, b"x"), 1002, "without a message to continue")
    assert_violation(frame(head), 1002, "without a message to continue")
    assert_violation(header(head, 5, masked=True) + KEY, 1002, "without a message to continue")


@pytest.mark.parametrize("head", [0x81, 0x82, 0x01, 0x02])
def test_a_new_message_may_not_begin_inside_a_fragmented_one(head: int) -> None:
    assert_violation(frame(0x01, b"a") + frame(head, b"b"), 1002, "before the end of a fragmented one")


def test_messages_before_a_violation_are_delivered_first() -> None:
    data = frame(0x81, b"good") + frame(0x02, b"a") + frame(0x80, b"b") + frame(0x89, b"p") + b"\x83\x80" + KEY
    for pieces in ways(data, 5):
        *before, error = receive_all(server(), pieces)
        assert before == ["good", b"ab", Ping(b"p")]
        assert isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize("bad", [b"\x83\x80", frame(0x80, b"x"), frame(0x81, b"\xff"), frame(0x88, b"\x03")])
def test_a_violation_comes_in_a_call_of_its_own(bad: bytes) -> None:
    decoder = server()
    assert receive(decoder, frame(0x81, b"good") + bad) == ["good"]
    assert decoder.more
    assert not decoder.inside_message
    (error,) = receive(decoder, frame(0x81, b"dropped"))
    assert isinstance(error, RemoteProtocolError)
    assert not decoder.more
    assert receive(decoder, b"") == []


# -- close frames


def test_nothing_follows_a_close_frame() -> None:
    decoder = server()
    data = frame(0x81, b"a") + frame(0x88, b"\x03\xe8bye") + frame(0x81, b"b") + b"\x83\x80"
    assert receive_all(decoder, [data]) == ["a", Close(1000, "bye")]
    assert receive_all(decoder, [data]) == []


def test_a_close_frame_comes_in_a_call_of_its_own() -> None:
    decoder = server()
    assert receive(decoder, frame(0x89) + frame(0x88)) == [Ping(b"")]
    assert decoder.more
    assert receive(decoder, b"") == [Close(1005, "")]
    assert not decoder.more


def test_a_close_between_fragments_is_a_normal_close() -> None:
    for pieces in ways(frame(0x01, b"a") + frame(0x88, b"\x03\xe8") + frame(0x80, b"b"), 6):
        assert receive_all(server(), pieces) == [Close(1000, "")]


@pytest.mark.parametrize(
    ("payload", "close"),
    [
        (b"", Close(1005, "")),
        (b"\x03\xe8", Close(1000, "")),
        (b"\x03\xe9bye", Close(1001, "bye")),
        (b"\x13\x87" + b"\xc3\xa4" * 61, Close(4999, "ä" * 61)),
    ],
)
def test_close_payloads_both_ways(payload: bytes, close: Close) -> None:
    assert decode_close(payload) == close
    assert encode_close(None if close.code == 1005 else close.code, close.reason) == payload
    for pieces in ways(frame(0x88, payload), 7):
        assert receive_all(server(), pieces) == [close]


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_frame_with_a_code_that_may_not_be_sent(code: int) -> None:
    assert_violation(frame(0x88, code.to_bytes(2, "big") + b"why"), 1002, f"close frame with code {code}")
    with pytest.raises(LocalProtocolError, match=f"close code {code} may not be sent"):
        encode_close(code)


@pytest.mark.parametrize("code", [1000, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_frame_with_a_code_that_may_be_sent(code: int) -> None:
    assert receive(server(), frame(0x88, encode_close(code))) == [Close(code, "")]


@pytest.mark.parametrize("byte", [b"\x00", b"\x03", b"\xff"])
def test_a_close_frame_of_one_byte(byte: bytes) -> None:
    assert_violation(frame(0x88, byte), 1002, "close frame of 1 byte")


@pytest.mark.parametrize("reason", [b"\xff", b"ok\xc3", b"\xed\xa0\x80"])
def test_a_close_reason_must_be_utf8(reason: bytes) -> None:
    assert_violation(frame(0x88, b"\x03\xe8" + reason), 1007, "close reason is not UTF-8")


def test_a_close_reason_has_at_most_123_bytes() -> None:
    assert len(encode_close(1000, "x" * 123)) == 125
    with pytest.raises(LocalProtocolError, match="124 bytes, limit 123"):
        encode_close(1000, "ä" * 62)


def test_a_close_reason_needs_a_code_and_utf8() -> None:
    with pytest.raises(LocalProtocolError, match="without a close code"):
        encode_close(None, "why")
    with pytest.raises(LocalProtocolError, match="not UTF-8"):
        encode_close(1000, "\ud800")


# -- UTF-8 (RFC 6455 8.1)

BAD_TEXT = [
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12),
    (b"\xce\xba\xf4\x90\x80\x80edited", 3),
    (b"ascii\xc0\xaf", 5),
    (b"\xf5", 0),
    (b"\x80", 0),
]


@pytest.mark.parametrize(("text", "first_bad"), BAD_TEXT)
@pytest.mark.parametrize("head", [0x81, 0x01])
def test_bad_text_fails_at_its_first_bad_byte_inside_an_unfinished_frame(
    text: bytes, first_bad: int, head: int
) -> None:
    decoder = server()
    data = header(head, 1000, masked=True) + bytes(4) + text
    start = len(data) - len(text)
    for index, byte in enumerate(byte_by_byte(data)):
        events = receive(decoder, byte)
        if index == start + first_bad:
            break
        assert events == []
    (error,) = events
    assert isinstance(error, RemoteProtocolError)
    assert error.close_code == 1007
    assert str(error) == "text message is not UTF-8"


@pytest.mark.parametrize(("text", "first_bad"), BAD_TEXT)
def test_bad_text_fails_in_the_fragment_that_has_it(text: bytes, first_bad: int) -> None:
    decoder = server()
    if first_bad:
        assert receive(decoder, frame(0x01, text[:first_bad])) == []
    else:
        assert receive(decoder, frame(0x01, b"")) == []
    assert_violation(frame(0x00, text[first_bad:]), 1007, "not UTF-8", decoder)


@pytest.mark.parametrize("text", [text for text, _ in BAD_TEXT] + [b"cut \xc3", b"cut \xf0\x9f\x98"])
def test_bad_text_in_one_frame(text: bytes) -> None:
    assert_violation(frame(0x81, text), 1007, "not UTF-8")
    assert_violation(frame(0x01, text[:-1]) + frame(0x80, text[-1:]), 1007, "not UTF-8")


def test_a_character_may_be_cut_by_fragments_but_not_by_the_end() -> None:
    assert receive(server(), frame(0x01, b"\xf0\x9f") + frame(0x00, b"\x98") + frame(0x80, b"\x80")) == ["😀"]
    assert_violation(frame(0x01, b"\xf0\x9f") + frame(0x00, b"\x98") + frame(0x80), 1007, "not UTF-8")


def test_binary_messages_are_not_checked() -> None:
    assert receive(server(), frame(0x02, b"\xff") + frame(0x80, b"\xfe")) == [b"\xff\xfe"]


# -- size (1009)


@pytest.mark.parametrize("payload", [b"", b"12345"])
def test_a_message_over_the_limit_fails_at_the_header(payload: bytes) -> None:
    before, error = faults(
        server(max_message_size=10), frame(0x81, b"0123456789") + header(0x82, 11, masked=True) + KEY + payload
    )
    assert before == ["0123456789"]
    assert isinstance(error, MessageTooBig)
    assert (error.close_code, error.size, error.limit) == (1009, 11, 10)


def test_the_limit_counts_all_fragments() -> None:
    data = frame(0x02, bytes(4)) + frame(0x00, bytes(4)) + frame(0x89, bytes(100))
    assert receive(server(max_message_size=10), data + frame(0x80, bytes(2))) == [Ping(bytes(100)), bytes(10)]
    before, error = faults(server(max_message_size=10), data + header(0x80, 3, masked=True))
    assert before == [Ping(bytes(100))]
    assert isinstance(error, MessageTooBig)
    assert (error.size, error.limit) == (11, 10)


def test_the_limit_counts_parts_of_frames_that_arrive_late() -> None:
    decoder = server(max_message_size=10)
    assert receive_all(decoder, byte_by_byte(frame(0x02, bytes(9)))) == []
    assert receive_all(decoder, byte_by_byte(frame(0x00, bytes(1)))) == []
    assert receive_all(decoder, [frame(0x00)]) == []
    assert_violation(header(0x80, 1, masked=True), 1009, "message of 11 bytes, limit 10", decoder)


def test_every_message_has_the_whole_limit() -> None:
    data = (frame(0x02, bytes(6)) + frame(0x80, bytes(4)) + frame(0x82, bytes(10))) * 3
    for pieces in ways(data, 8):
        assert receive_all(server(max_message_size=10), pieces) == [bytes(10)] * 6


def test_an_announced_size_allocates_nothing() -> None:
    decoder = server(max_message_size=1 << 40)
    tracemalloc.start()
    try:
        assert receive(decoder, header(0x82, 1 << 40, masked=True) + KEY + b"x") == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * KIB


# -- number of fragments and of empty frames (1008)


@pytest.mark.parametrize("name", ["max_message_size", "max_fragments", "max_empty_frames"])
@pytest.mark.parametrize("value", [-1, 2**63])
def test_a_limit_that_nothing_can_be_compared_with_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is {value}, allowed are 0 to "):
        server(**{name: value})


def test_fragments_are_limited() -> None:
    data = frame(0x02, b"a") + frame(0x00, b"b")
    assert receive_all(server(max_fragments=3), [(data + frame(0x80, b"c")) * 2]) == [b"abc", b"abc"]
    before, error = faults(server(max_fragments=3), data + frame(0x00, b"c") + header(0x80, 5, masked=True) + KEY)
    assert before == []
    assert isinstance(error, LimitExceeded)
    assert (error.close_code, error.size, error.limit) == (1008, 4, 3)
    assert str(error) == "4 fragments of one message, limit 3"


@pytest.mark.parametrize("head", [0x89, 0x8A, 0x00])
def test_frames_without_data_in_a_row_are_limited(head: int) -> None:
    start = frame(0x02, b"a")
    decoder = server(max_empty_frames=5)
    assert b"ab" in receive_all(decoder, [start + frame(head) * 5 + frame(0x80, b"b")])
    before, error = faults(decoder, start + frame(head) * 6)
    assert len(before) == (0 if head == 0x00 else 5)
    assert isinstance(error, LimitExceeded)
    assert (error.close_code, error.size, error.limit) == (1008, 6, 5)
    assert str(error) == "6 frames in a row without data, limit 5"


def test_the_ping_over_the_limit_does_not_come_out() -> None:
    before, _ = faults(server(max_empty_frames=1), frame(0x89, b"1") + frame(0x89, b"2") + frame(0x89, b"3"))
    assert before == [Ping(b"1")]


def test_data_starts_the_count_of_empty_frames_anew() -> None:
    decoder = server(max_empty_frames=2)
    for data in (frame(0x81, b"a"), frame(0x81), frame(0x02, b"a") + frame(0x80), frame(0x01) + frame(0x80)):
        for _ in range(3):
            receive_all(decoder, [frame(0x89), data])
    assert decoder.empty_frames == 0
    receive_all(decoder, byte_by_byte(frame(0x89) * 2 + frame(0x01, b"x") + frame(0x89) * 2))
    assert decoder.empty_frames == 2
    assert_violation(frame(0x00), 1008, "3 frames in a row", decoder)


def test_pongs_that_answer_pings_of_ours_are_not_counted() -> None:
    decoder = server(max_empty_frames=1)
    decoder.pongs_expected = 2
    assert receive(decoder, frame(0x8A) * 3) == [Pong(b"")] * 3
    assert (decoder.pongs_expected, decoder.empty_frames) == (0, 1)


# -- work for one call


def bursts(decoder: MessageDecoder, data: bytes, burst: int, burst_size: int) -> list[list[Event]]:
    lists: list[list[Event]] = []
    while not lists or decoder.more:
        events: list[Event] = []
        decoder.receive(b"" if lists else data, events, burst, burst_size)
        lists.append(events)
    return lists


def test_a_call_stops_after_so_many_frames() -> None:
    data = frame(0x81, b"a") * 5 + frame(0x89)
    assert bursts(server(), data, 2, HUGE) == [["a", "a"], ["a", "a"], ["a", Ping(b"")]]


def test_fragments_count_as_frames() -> None:
    data = frame(0x01, b"a") + frame(0x00, b"b") * 3 + frame(0x80, b"c")
    assert bursts(server(), data, 2, HUGE) == [[], [], ["abbbc"]]


def test_a_call_stops_after_so_many_bytes() -> None:
    data = frame(0x82, bytes(100)) * 5
    assert [len(events) for events in bursts(server(), data, HUGE, 150)] == [2, 2, 1]


def test_inflated_bytes_count() -> None:
    own = deflate()
    data = b"".join(frame(0xC2, own.compress(bytes(10_000))) for _ in range(4))
    assert [len(events) for events in bursts(server(deflate=deflate()), data, HUGE, 10_000)] == [1, 1, 1, 1]


def test_more_may_have_nothing_complete() -> None:
    decoder = server()
    data = frame(0x81, b"a")
    assert bursts(decoder, data + data[:3], 1, HUGE) == [["a"], []]
    assert receive(decoder, data[3:]) == ["a"]


def test_input_may_be_fed_while_there_is_more() -> None:
    decoder = server()
    events: list[Event] = []
    decoder.receive(frame(0x81, b"a") + frame(0x81, b"b"), events, 1, HUGE)
    assert decoder.more
    decoder.receive(frame(0x81, b"c"), events, HUGE, HUGE)
    assert events == ["a", "b", "c"]
    assert not decoder.more


# -- compressed messages (RFC 7692)


class Recorder(PerMessageDeflate):
    """Stands for deflate: "inflates" by doubling every byte, and writes down what it was asked for."""

    def __init__(self) -> None:
        super().__init__(DeflateOptions(threshold=0))
        self.calls: list[tuple[bytes, bool, int | None]] = []

    def decompress(self, data: bytes, *, last: bool, limit: int | None) -> bytes:
        self.calls.append((data, last, limit))
        if limit is not None and 2 * len(data) > limit:
            raise MessageTooBig(size=2 * len(data), limit=limit)
        return bytes(byte for byte in data for _ in range(2))


def test_deflate_gets_the_pieces_and_what_the_limit_has_left() -> None:
    recorder = Recorder()
    decoder = server(deflate=recorder, max_message_size=20)
    data = frame(0x41, b"abc") + frame(0x89) + frame(0x00, b"d") + frame(0x80)
    assert receive_all(decoder, [data[:8], data[8:]]) == [Ping(b""), "aabbccdd"]
    assert recorder.calls == [(b"ab", False, 20), (b"c", False, 16), (b"d", False, 14), (b"", True, 12)]


def test_deflate_gets_no_limit_where_there_is_none() -> None:
    recorder = Recorder()
    assert receive_all(server(deflate=recorder), [frame(0xC2, b"ab")]) == [b"aabb"]
    assert recorder.calls == [(b"ab", True, None)]


def test_inflating_over_the_limit_tells_the_numbers_of_the_message() -> None:
    decoder = server(deflate=Recorder(), max_message_size=10)
    before, error = faults(decoder, frame(0x42, b"abc") + frame(0x80, b"def"))
    assert before == []
    assert isinstance(error, MessageTooBig)
    assert (error.close_code, error.size, error.limit) == (1009, 12, 10)


@pytest.mark.parametrize("head", [0xC1, 0xC2])
def test_a_compressed_message_in_one_frame(head: int) -> None:
    text = "Grüße, " * 50
    data = frame(head, deflate().compress(text.encode()))
    for pieces in ways(data, 9):
        decoder = server(deflate=deflate(), max_message_size=1000)
        assert receive_all(decoder, pieces) == [text if head == 0xC1 else text.encode()]


def test_compressed_and_plain_messages_and_fragments_take_turns() -> None:
    own = deflate()
    rng = random.Random(10)
    data, expected = b"", []
    for turn in range(12):
        payload = rng.randbytes(30) * rng.randint(1, 20)
        if turn % 3 == 0:
            data += frame(0x82, payload)
        elif turn % 3 == 1:
            data += frame(0xC2, own.compress(payload))
        else:
            wire = own.compress(payload)
            data += frame(0x42, wire[:5]) + frame(0x89) + frame(0x00, wire[5:9]) + frame(0x80, wire[9:])
            expected.append(Ping(b""))
        expected.append(payload)  # type: ignore[arg-type]
    for pieces in ways(data, 11):
        assert receive_all(server(deflate=deflate()), pieces) == expected


def test_an_empty_compressed_message() -> None:
    assert receive(server(deflate=deflate()), frame(0xC1, deflate().compress(b""))) == [""]
    assert receive(server(deflate=deflate()), frame(0x41) + frame(0x80, b"\x00")) == [""]


def test_rsv1_without_deflate_is_refused() -> None:
    assert_violation(frame(0xC1, b"\x00"), 1002, "reserved bits 100")


def test_rsv1_on_a_continuation_is_refused() -> None:
    wire = deflate().compress(b"abc")
    assert_violation(frame(0x41, wire[:2]) + frame(0xC0, wire[2:]), 1002, "reserved bits", server(deflate=deflate()))


def test_inflated_text_fails_at_its_first_bad_byte() -> None:
    own = deflate()
    good, bad = own.compress_fragment(b"good " * 100, last=False), own.compress_fragment(b"\xff", last=False)
    decoder = server(deflate=deflate())
    assert receive(decoder, frame(0x41, good)) == []
    assert_violation(header(0x00, len(bad) + 9, masked=True) + bytes(4) + bad, 1007, "not UTF-8", decoder)


def test_inflated_text_in_one_frame_is_checked() -> None:
    assert_violation(frame(0xC1, deflate().compress(b"\xc3")), 1007, "not UTF-8", server(deflate=deflate()))


@pytest.mark.parametrize("fragmented", [False, True])
def test_a_bomb_stops_at_the_limit(fragmented: bool) -> None:
    wire = deflate().compress(bytes(64 * MIB))
    data = frame(0x42, wire[:100]) + frame(0x80, wire[100:]) if fragmented else frame(0xC2, wire)
    decoder = server(deflate=deflate(), max_message_size=MIB)
    tracemalloc.start()
    try:
        _, error = faults(decoder, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, MessageTooBig)
    assert (error.close_code, error.limit) == (1009, MIB)
    assert error.size > MIB
    assert peak < 5 * MIB


def test_a_message_of_the_limit_that_does_not_compress_is_taken() -> None:
    payload = random.Random(12).randbytes(MIB)
    compressor = zlib.compressobj(9, wbits=-15, strategy=zlib.Z_FIXED)
    wire = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(wire) > MIB
    decoder = server(deflate=deflate(), max_message_size=MIB)
    assert receive_all(decoder, random_cuts(masked_by_zeros(0xC2, wire), random.Random(13), 100_000)) == [payload]


def masked_by_zeros(head: int, payload: bytes) -> bytes:
    return header(head, len(payload), masked=True) + bytes(4) + payload


def test_what_cannot_be_inflated_is_invalid_data() -> None:
    assert_violation(frame(0xC2, b"\xff\xff\xff\xff"), 1007, "invalid", server(deflate=deflate()))


# -- all of it


def test_a_long_conversation_in_any_cuts() -> None:
    rng = random.Random(14)
    own = deflate()
    data, expected = conversation(rng, own)
    for pieces in [*ways(data, 15), random_cuts(data, rng, 2000)]:
        decoder = server(deflate=deflate(), max_message_size=20_000)
        assert receive_all(decoder, pieces) == expected
        assert not decoder.inside_message


def conversation(rng: random.Random, own: PerMessageDeflate) -> tuple[bytes, list[Event]]:
    """Messages of every kind with control frames in between, and a close frame at the end."""
    wire: list[bytes] = []
    events: list[Event] = []
    for _ in range(120):
        size = rng.choice([0, 1, 20, 125, 126, 700])
        is_text = rng.random() < 0.5
        text = "".join(rng.choice("aé€😀") for _ in range(size))
        data = text.encode() if is_text else rng.randbytes(size)
        is_compressed = rng.random() < 0.5
        payload = own.compress(data) if is_compressed else data
        head = (0x01 if is_text else 0x02) | (0x40 if is_compressed else 0)
        longest = rng.choice([97, 10_000])
        fragments = [payload[start : start + longest] for start in range(0, len(payload), longest)] or [b""]
        for index, fragment in enumerate(fragments):
            fin = 0x80 if index == len(fragments) - 1 else 0
            wire.append(frame((head if index == 0 else 0) | fin, fragment, rng.randbytes(4)))
            if not fin and rng.random() < 0.3:
                payload_of_ping = rng.randbytes(rng.randint(0, 125))
                wire.append(frame(0x89, payload_of_ping, rng.randbytes(4)))
                events.append(Ping(payload_of_ping))
        events.append(text if is_text else data)
    wire.append(frame(0x88, encode_close(1000, "done")))
    events.append(Close(1000, "done"))
    return b"".join(wire), events
