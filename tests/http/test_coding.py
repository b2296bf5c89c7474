from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import pytest
import zstandard

from elio.errors import RemoteProtocolError
from elio.http import coding
from elio.http.coding import BLOCK_SIZE, ContentDecoder, accept_encoding, make_decoder
from support.event_streams import ways

TEXT = b"".join(b"data: event number %d\n\n" % number for number in range(40))
MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "br": ("br", partial(brotli.compress, quality=5)),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}


@pytest.fixture(params=list(ENCODERS))
def codec(request: pytest.FixtureRequest) -> tuple[str, Callable[[bytes], bytes]]:
    return ENCODERS[request.param]


def decoder(*names: str) -> ContentDecoder:
    made = make_decoder(names)
    assert made is not None
    return made


def decode(reader: ContentDecoder, pieces: list[bytes]) -> bytes:
    out = b""
    for piece in pieces:
        out += reader.receive_data(piece)
        while reader.more:
            out += reader.receive_data()
    reader.receive_eof()
    return out


def test_what_is_installed_is_offered_in_the_order_of_browsers() -> None:
    assert accept_encoding() == "gzip, deflate, br, zstd"


def test_what_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr(coding, "_decoders", coding._decoders.__wrapped__)
    assert accept_encoding() == "gzip, deflate"
    with pytest.raises(RemoteProtocolError, match="content coding 'br', accepted are gzip, deflate"):
        make_decoder(["br"])


def test_a_brotli_that_cannot_bound_its_output_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brotli, "Decompressor", object)
    monkeypatch.setattr(coding, "_decoders", coding._decoders.__wrapped__)
    assert accept_encoding() == "gzip, deflate, zstd"


def test_identity_and_nothing_need_no_decoder() -> None:
    assert make_decoder([]) is None
    assert make_decoder(["identity"]) is None


def test_names_are_compared_without_regard_to_case_and_x_gzip_is_gzip() -> None:
    assert decode(decoder("GZip"), [gzip.compress(b"a")]) == b"a"
    assert decode(decoder("x-gzip"), [gzip.compress(b"a")]) == b"a"


def test_a_body_is_decoded_however_it_is_cut(codec: tuple[str, Callable[[bytes], bytes]]) -> None:
    name, encode = codec
    for pieces in ways(encode(TEXT)):
        assert decode(decoder(name), pieces) == TEXT


def test_what_was_flushed_comes_out_at_once() -> None:
    compressor = zlib.compressobj(wbits=31)
    flushed = compressor.compress(b"data: 1\n\n") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert decoder("gzip").receive_data(flushed) == b"data: 1\n\n"
    br = brotli.Compressor()
    assert decoder("br").receive_data(br.process(b"data: 1\n\n") + br.flush()) == b"data: 1\n\n"
    zstd = zstandard.ZstdCompressor().compressobj()
    part = zstd.compress(b"data: 1\n\n") + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    assert decoder("zstd").receive_data(part) == b"data: 1\n\n"


def test_several_members_or_frames_follow_each_other() -> None:
    twice = gzip.compress(b"one ") + gzip.compress(b"two")
    for pieces in ways(twice):
        assert decode(decoder("gzip"), pieces) == b"one two"
    frames = zstandard.compress(b"one ") + zstandard.compress(b"two")
    for pieces in ways(frames):
        assert decode(decoder("zstd"), pieces) == b"one two"


def test_an_empty_body_is_complete() -> None:
    for name in ("gzip", "deflate", "br", "zstd"):
        assert decode(decoder(name), [b""]) == b""


def test_codings_are_undone_in_reverse_order() -> None:
    body = brotli.compress(gzip.compress(TEXT))
    for pieces in ways(body):
        assert decode(decoder("gzip", "br"), pieces) == TEXT


def test_too_many_codings_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="4 content codings, limit 3"):
        make_decoder(["gzip"] * 4)


def test_corrupt_data_is_the_fault_of_the_peer(codec: tuple[str, Callable[[bytes], bytes]]) -> None:
    name, encode = codec
    source = random.Random(3)
    good = encode(TEXT)
    refused = 0
    for _ in range(60):
        bad = bytearray(good)
        bad[source.randrange(len(bad))] ^= 1 << source.randrange(8)
        try:
            decode(decoder(name), [bytes(bad)])
        except RemoteProtocolError:
            refused += 1
    # Nobody can notice all of it: the time in the head of gzip, text where there is no checksum.
    assert refused >= (30 if name == "gzip" else 1)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_what_is_no_coding_at_all_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"corrupt {name} data"):
        decode(decoder(name), [b"\xff\xff\xff data: plain text\n\n" * 10])


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_data_behind_the_end_is_refused(name: str) -> None:
    encode = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[name]
    for pieces in ([encode(b"a") + b"rubbish"], [encode(b"a"), b"rubbish"]):
        with pytest.raises(RemoteProtocolError, match=f"corrupt {name} data"):
            decode(decoder(name), pieces)


def test_a_body_cut_short_is_noticed(codec: tuple[str, Callable[[bytes], bytes]]) -> None:
    name, encode = codec
    body = encode(TEXT)
    for size in (1, 5, len(body) // 2, len(body) - 1):
        reader = decoder(name)
        reader.receive_data(body[:size])
        with pytest.raises(RemoteProtocolError, match=f"body ended in the middle of its {name} data"):
            reader.receive_eof()


def test_a_bomb_comes_in_blocks_of_bounded_memory(codec: tuple[str, Callable[[bytes], bytes]]) -> None:
    name, encode = codec
    bomb = encode(bytes(64 * MIB))
    # Each step of zstd may exceed the block by what a slice holds.
    largest = 3 * MIB if name == "zstd" else 2 * BLOCK_SIZE
    reader = decoder(name)
    tracemalloc.start()
    try:
        block = reader.receive_data(bomb)
        size = len(block)
        while reader.more:
            block = reader.receive_data()
            assert len(block) <= largest
            size += len(block)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 64 * MIB
    assert peak < 8 * MIB
    reader.receive_eof()


def test_a_bomb_in_a_bomb_comes_in_blocks_too() -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 * MIB)))
    reader = decoder("gzip", "gzip")
    size = len(reader.receive_data(bomb))
    while reader.more:
        block = reader.receive_data()
        assert len(block) <= BLOCK_SIZE
        size += len(block)
    assert size == 64 * MIB


def test_data_that_comes_while_there_is_more_waits_its_turn() -> None:
    text = random.Random(5).randbytes(100) * 5000
    for names in (("gzip",), ("gzip", "gzip")):
        body = text
        for _ in names:
            body = gzip.compress(body)
        reader = decoder(*names)
        out = [reader.receive_data(body[i : i + 200]) for i in range(0, len(body), 200)]
        while reader.more:
            out.append(reader.receive_data())
        reader.receive_eof()
        assert b"".join(out) == text


def test_a_window_over_eight_mebibytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = body.compress(bytes(100)) + body.flush()
    with pytest.raises(RemoteProtocolError, match="corrupt zstd data"):
        decode(decoder("zstd"), [data])
