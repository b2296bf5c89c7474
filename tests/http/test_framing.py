from __future__ import annotations

import random

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elio.errors import LimitExceeded, RemoteProtocolError
from elio.headers import Headers
from elio.http.framing import (
    BodyDecoder,
    ChunkedDecoder,
    LengthDecoder,
    UntilCloseDecoder,
    body_too_large,
    decode_body,
)
from elio.http.message import END_OF_BODY, EndOfBody
from elio.limits import Limits
from support.frames import ways

KIB = 1024


def chunked(
    limits: Limits | None = None,
    *,
    max_size: int | None = None,
    max_overhead: int | None = None,
    size: int = 0,
    count: int = 0,
) -> ChunkedDecoder:
    return ChunkedDecoder(
        limits or Limits(), max_size=max_size, max_overhead=max_overhead, headers_size=size, header_count=count
    )


def decode(decoder: BodyDecoder, pieces: list[bytes]) -> tuple[bytes, EndOfBody | None, bytes]:
    """Body, end, and what follows it with the pieces that were not needed."""
    body: list[bytes] = []
    for index, piece in enumerate(pieces):
        rest = decode_body(decoder, piece, body.append)
        if decoder.end is not None:
            return b"".join(body), decoder.end, rest + b"".join(pieces[index + 1 :])
        assert rest == b""
    return b"".join(body), None, b""


def refusal(decoder: BodyDecoder, pieces: list[bytes]) -> tuple[int, bytes, int]:
    """The status, the body before it, and how many bytes it took."""
    body: list[bytes] = []
    taken = 0
    for piece in pieces:
        taken += len(piece)
        try:
            assert decode_body(decoder, piece, body.append) == b""
            assert decoder.end is None
        except RemoteProtocolError as error:
            return error.status, b"".join(body), taken
    raise AssertionError(f"{pieces} was not refused")


# -- counted, and up to the close


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_counted_body_ends_at_its_length(rest: bytes) -> None:
    for pieces in ways(b"hello" + rest, seed=1):
        assert decode(LengthDecoder(5), pieces) == (b"hello", END_OF_BODY, rest)


def test_a_counted_body_says_how_much_is_left() -> None:
    decoder = LengthDecoder(5)
    assert decode(decoder, [b"", b"he"]) == (b"he", None, b"")
    assert decoder.remaining == 3
    assert decode(decoder, [b"llo"]) == (b"llo", END_OF_BODY, b"")
    assert decoder.remaining == 0


def test_a_body_in_one_piece_is_not_copied() -> None:
    data = b"x" * 1000
    body: list[bytes] = []
    decode_body(LengthDecoder(1000), data, body.append)
    assert body[0] is data


def test_a_body_up_to_the_close_has_no_end_of_its_own() -> None:
    for pieces in ways(b"hello", seed=2):
        assert decode(UntilCloseDecoder(None), pieces) == (b"hello", None, b"")


def test_a_body_up_to_the_close_has_a_limit() -> None:
    assert decode(UntilCloseDecoder(5), [b"", b"hello"]) == (b"hello", None, b"")
    assert refusal(UntilCloseDecoder(5), [b"hello", b"!"]) == (413, b"hello", 6)


def test_body_too_large_says_its_numbers() -> None:
    error = body_too_large(11, 10)
    assert (error.size, error.limit, error.status) == (11, 10, 413)
    assert str(error) == "body of 11 bytes, limit 10"


# -- chunked

GOOD = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"05\r\nhello\r\n000\r\n\r\n", b"hello"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"A\r\n0123456789\r\n1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", b"0123456789\r\n"),
    (b"5;a\r\nhello\r\n0;b\r\n\r\n", b"hello"),
    (b"5;a=b;c;d=\"e;\\\" \\\\f\"\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello"),
    (b"2\r\n\r\n\r\n2\r\n0\r\r\n0\r\n\r\n", b"\r\n0\r"),
    (b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\n\r\n", b"x" * 4096),
]  # fmt: skip


@pytest.mark.parametrize(("data", "body"), GOOD, ids=repr)
@pytest.mark.parametrize("rest", [b"", b"0\r\n\r\n", b"\r\n", b"GET / HTTP/1.1\r\n"])
def test_chunks(data: bytes, body: bytes, rest: bytes) -> None:
    for pieces in ways(data + rest, seed=len(data)):
        assert decode(chunked(), pieces) == (body, END_OF_BODY, rest)


def test_trailers() -> None:
    trailers = Headers([("X", "1"), ("x-y", "a b"), ("Z", "")])
    for pieces in ways(b"1\r\na\r\n0\r\nX: 1\r\nx-y:a b \r\nZ:\r\n\r\nrest", seed=3):
        assert decode(chunked(), pieces) == (b"a", EndOfBody(trailers), b"rest")


def test_an_unfinished_body_is_waited_for() -> None:
    data = b"5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n"
    for size in range(len(data)):
        for pieces in ways(data[:size], seed=size):
            body, end, _ = decode(chunked(), pieces)
            assert end is None
            assert b"helloabc".startswith(body)


def test_data_come_as_one_object_and_as_early_as_they_can() -> None:
    decoder = chunked()
    body: list[bytes] = []
    decode_body(decoder, b"1\r\na\r\n1;x\r\nb\r\n2\r\nc", body.append)
    assert body == [b"abc"]
    decode_body(decoder, b"d", body.append)
    assert body == [b"abc", b"d"]


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"\r\n", 2),
        (b"x\r\n", 3),
        (b"-5\r\n", 4),
        (b"+5\r\n", 4),
        (b"0x5\r\n", 5),
        (b"5_0\r\n", 5),
        (b"\xb2\r\n", 3),
        (b"\xd9\xa5\r\n", 4),
        (b" 5\r\n", 4),
        (b"5 \r\n", 4),
        (b"5\t\r\n", 4),
        (b"5 ;a\r\n", 6),
        (b"5,\r\n", 4),
        (b"5;\r\n", 4),
        (b"5;a b\r\n", 7),
        (b"5; a\r\n", 6),
        (b"5;a=\r\n", 6),
        (b'5;a="\r\n', 7),
        (b'5;a="b"c\r\n', 10),
        (b"5;a=\x00\r\n", 7),
        (b"00000000000000005\r\n", 19),
        (b"5\n", 2),
        (b"5;a\nhello", 4),
        (b"5;a\rb", 5),
        (b"5\r5", 3),
        (b"5\r\r\n", 3),
        (b"5\r\nhelloX", 9),
        (b"5\r\nhello\n", 9),
        (b"5\r\nhello\rX", 10),
        (b"5\r\nhello0\r\n\r\n", 9),
        (b"5\r\nhell\r\n0\r\n\r\n", 9),
        (b"0\r\nX\r\n", 6),
        (b"0\r\nX : 1\r\n", 10),
        (b"0\r\n X: 1\r\n", 10),
        (b"0\r\nX: 1\r\n 2\r\n", 13),
        (b"0\r\n: 1\r\n", 8),
        (b"0\r\nX: \x00\r\n", 9),
        (b"0\r\nX: 1\n", 8),
        (b"0\r\nX: 1\rY", 9),
        (b"0\r\n\n", 4),
        (b"0\r\n\rX", 5),
    ],
)
def test_malformed_chunks_are_400_at_once(data: bytes, at: int) -> None:
    whole, byte_by_byte, *cut = ways(data, seed=at)
    status, _, taken = refusal(chunked(), byte_by_byte)
    assert (status, taken) == (400, at)
    for pieces in (whole, *cut):
        assert refusal(chunked(), pieces)[0] == 400


def test_what_came_before_a_violation_is_delivered() -> None:
    data = b"5\r\nhello\r\n3;a\r\nabc\r\n5\r\nhelloX"
    for pieces in ways(data, seed=4):
        assert refusal(chunked(), pieces)[:2] == (400, b"helloabchello")


# -- limits


@pytest.mark.parametrize(
    "data", [b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", b"5;a\r\nhello\r\n5;a\r\nworld\r\n0\r\n\r\n"]
)
def test_the_size_of_a_body(data: bytes) -> None:
    for pieces in ways(data, seed=5):
        assert decode(chunked(max_size=10), pieces) == (b"helloworld", END_OF_BODY, b"")
        assert refusal(chunked(max_size=9), pieces)[:2] == (413, b"hello")


def test_a_chunk_is_refused_as_soon_as_it_is_announced() -> None:
    assert refusal(chunked(max_size=9), [b"A\r\n"]) == (413, b"", 3)
    assert refusal(chunked(max_size=9), [b"FFFFFFFFFFFFFFFF\r\n"]) == (413, b"", 18)
    with pytest.raises(LimitExceeded) as caught:
        chunked(max_size=9).decode(b"A\r\n", [])
    assert (caught.value.size, caught.value.limit) == (10, 9)


def test_framing_beyond_the_data_has_a_limit() -> None:
    one = b"1\r\nx\r\n"  # 5 bytes of framing for 1 of data
    limits = Limits(max_body_overhead=40)
    for pieces in ways(one * 10 + b"5\r\nhello\r\n", seed=6):
        assert decode(chunked(limits, max_overhead=40), pieces) == (b"x" * 10 + b"hello", None, b"")
    for pieces in ways(one * 11, seed=7):
        assert refusal(chunked(limits, max_overhead=40), pieces)[:2] == (413, b"x" * 10)


def test_framing_that_does_not_exceed_the_data_is_free() -> None:
    decoder = chunked(max_overhead=40)
    for _ in range(3):
        assert decode(decoder, [b"5\r\nhello\r\n" * 1000])[1] is None


def test_overhead_is_counted_anew_after_64_kib_of_data() -> None:
    decoder = chunked(max_overhead=100)
    big = b"%x\r\n" % (64 * KIB) + b"x" * (64 * KIB) + b"\r\n"
    for _ in range(3):
        decode(decoder, [big + b"1\r\nx\r\n" * 25])
    status, body, _ = refusal(decoder, [big + b"1\r\nx\r\n" * 26])
    assert (status, len(body)) == (413, 64 * KIB + 25)


@pytest.mark.parametrize("overhead", [1000, None])
def test_an_extension_without_end_is_refused(overhead: int | None) -> None:
    limits = Limits(max_body_overhead=1000)
    exact = b"5;" + b"a" * 998 + b"\r\nhello\r\n0\r\n\r\n"
    for pieces in ways(exact, seed=8):
        assert decode(chunked(limits, max_overhead=None), pieces)[0] == b"hello"
    for pieces in ways(b"5;" + b"a" * 5000, seed=9):
        status, _, taken = refusal(chunked(limits, max_overhead=overhead), pieces)
        assert status == 413
        assert taken <= 1000 + max(2, *map(len, pieces))


def test_extensions_of_many_chunks_are_counted_together() -> None:
    one = b"1;" + b"a" * 100 + b"\r\nx\r\n"
    for pieces in ways(one * 200, seed=10):
        status, _, taken = refusal(chunked(max_overhead=16 * KIB), pieces)
        assert status == 413
        assert taken <= max(17 * KIB, len(pieces[0]))


def test_trailers_count_with_the_headers() -> None:
    data = b"0\r\nA: b\r\nC: d\r\n\r\n"  # 6 bytes each
    limits = Limits(max_headers=5, max_headers_size=100)
    for pieces in ways(data, seed=11):
        assert decode(chunked(limits, size=88, count=3), pieces)[1] is not None
        assert refusal(chunked(limits, size=89, count=3), pieces)[0] == 431
        assert refusal(chunked(limits, size=88, count=4), pieces)[0] == 431


def test_a_trailer_without_end_is_refused() -> None:
    limits = Limits(max_headers_size=100)
    for pieces in ways(b"0\r\nA: " + b"b" * 200, seed=12):
        status, _, taken = refusal(chunked(limits, size=40), pieces)
        assert status == 431
        assert taken <= 3 + 60 + max(2, *map(len, pieces))


# -- against the field


def peers(data: bytes) -> tuple[bytes | None, bytes | None]:
    """The body as llhttp and as h11 understand it; ``None`` if they refuse it or wait for more."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    callbacks = Callbacks()
    try:
        httptools.HttpRequestParser(callbacks).feed_data(head + data)
    except httptools.HttpParserError:
        callbacks.complete = False
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(head + data)
    body = b""
    try:
        while (event := peer.next_event()) is not h11.NEED_DATA and not isinstance(event, h11.EndOfMessage):
            body += event.data if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError:
        event = h11.NEED_DATA
    return callbacks.body if callbacks.complete else None, None if event is h11.NEED_DATA else body


class Callbacks:
    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


@pytest.mark.parametrize(("data", "body"), GOOD, ids=repr)
def test_good_chunks_are_the_same_to_llhttp_and_h11(data: bytes, body: bytes) -> None:
    assert peers(data) == (body, body)


PARTS = [b"5\r\nhello\r\n", b"3;a=b\r\nabc\r\n", b"0\r\n", b"\r\n", b"\n", b"\r", b"5", b";", b"a", b" ", b'"', b"\\",
         b"=", b"X: 1\r\n", b"\0", b"\t", b"hello", b"_", b"+"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_what_is_taken_means_the_same_to_llhttp_and_h11(data: bytes) -> None:
    try:
        body, end, rest = decode(chunked(), [data])
    except RemoteProtocolError:
        return
    if end is not None:
        assert peers(data[: len(data) - len(rest)]) == (body, body)


@given(st.binary(max_size=80), st.integers(0, 9))
def test_random_bytes_raise_nothing_else_and_cuts_do_not_matter(data: bytes, seed: int) -> None:
    results = []
    for pieces in ways(data, seed=seed):
        try:
            results.append(decode(chunked(max_size=20, max_overhead=20), pieces))
        except RemoteProtocolError as error:
            results.append((b"", None, bytes([error.status % 256])))
    assert len({(body, end is None, rest) for body, end, rest in results}) == 1


def test_bodies_cut_anywhere_come_out_whole() -> None:
    rng = random.Random(13)
    for seed in range(20):
        chunks = [rng.randbytes(rng.choice([1, 15, 16, 255, 256, 5000])) for _ in range(rng.randint(0, 6))]
        data = b"".join(b"%x%b\r\n%b\r\n" % (len(c), rng.choice([b"", b";a"]), c) for c in chunks) + b"0\r\n\r\nrest"
        for pieces in ways(data, seed=seed)[:: 1 if len(data) < 3000 else 2]:
            assert decode(chunked(), pieces) == (b"".join(chunks), END_OF_BODY, b"rest")
