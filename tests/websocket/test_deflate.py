"""permessage-deflate: negotiation, compression, inflating within a limit (RFC 7692)."""

from __future__ import annotations

import itertools
import json
import random
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.extensions.permessage_deflate import PerMessageDeflate as Peer
from websockets.frames import Frame, Opcode

from elio.errors import ConfigurationError, HandshakeError, LimitExceeded, MessageTooBig, RemoteProtocolError
from elio.websocket.deflate import DeflateOptions, PerMessageDeflate, accept_answer, accept_offers, offer
from support.frames import byte_by_byte, random_cuts, whole
from support.inflate import distances

LIMITLESS = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)
KIB = 1024
BLOCK = 64 * KIB
"""The most that is inflated at a time."""


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def both_sides(client: DeflateOptions, server: DeflateOptions) -> tuple[PerMessageDeflate, PerMessageDeflate]:
    """Let the two negotiate."""
    accepted = accept_offers([offer(client)], server)
    assert accepted is not None
    answer, of_server = accepted
    of_client = accept_answer([answer], client)
    assert of_client is not None
    return of_client, of_server


def inflate(deflate: PerMessageDeflate, pieces: Iterable[bytes], limit: int | None = None) -> bytes:
    """One message in pieces; the last one stands for itself, so that its end is the message's."""
    *first, last = pieces
    output = [deflate.decompress(piece, last=False, limit=limit) for piece in first]
    return b"".join([*output, deflate.decompress(last, last=True, limit=limit)])


def at_random(data: bytes) -> list[bytes]:
    return random_cuts(data, random.Random(len(data)))


def fixed(data: bytes, *, final: bool) -> bytes:
    """Blocks with fixed codes, the last of them a final one or an empty stored one."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_FIXED)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)


# -- options


def test_default_options_are_allowed() -> None:
    options = DeflateOptions()
    assert not options.server_no_context_takeover
    assert not options.client_no_context_takeover
    assert options.threshold == 128


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("server_max_window_bits", 8, 15), ("client_max_window_bits", 8, 15), ("level", 0, 9), ("mem_level", 1, 9)],
)
def test_options_out_of_range_are_refused(name: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        assert getattr(DeflateOptions(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in (lowest - 1, highest + 1):
        with pytest.raises(ConfigurationError, match=f"^{name} is {value}, allowed are {lowest} to {highest}$"):
            DeflateOptions(**{name: value})  # type: ignore[arg-type]


def test_threshold_is_not_negative() -> None:
    assert DeflateOptions(threshold=0).threshold == 0
    with pytest.raises(ConfigurationError, match="threshold is -1"):
        DeflateOptions(threshold=-1)


# -- server: answers to offers


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
        ('permessage-deflate; client_max_window_bits="8"', "permessage-deflate; client_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits=12; server_max_window_bits=10; client_no_context_takeover; "
            "server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            "client_max_window_bits=12",
        ),
    ],
)
def test_an_offer_is_answered_in_its_own_terms(offered: str, answer: str) -> None:
    accepted = accept_offers([offered], LIMITLESS)
    assert accepted is not None
    assert accepted[0] == answer


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; server_max_window_bits=11"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_max_window_bits=9",
        ),
        (
            "permessage-deflate; client_max_window_bits=11; server_max_window_bits=9; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
            "client_max_window_bits=10",
        ),
    ],
)
def test_the_server_asks_for_less_where_it_may(offered: str, answer: str) -> None:
    options = DeflateOptions(server_no_context_takeover=True, server_max_window_bits=11, client_max_window_bits=10)
    accepted = accept_offers([offered], options)
    assert accepted is not None
    assert accepted[0] == answer


def test_a_client_that_does_not_offer_client_max_window_bits_may_use_the_whole_window() -> None:
    accepted = accept_offers(["permessage-deflate"], DeflateOptions(client_max_window_bits=9))
    assert accepted is not None
    answer, deflate = accepted
    assert "client_max_window_bits" not in answer
    assert deflate.peer_max_window_bits == 15


def test_client_no_context_takeover_can_be_asked_for_without_an_offer() -> None:
    accepted = accept_offers(["permessage-deflate"], DeflateOptions(client_no_context_takeover=True))
    assert accepted is not None
    answer, deflate = accepted
    assert answer == "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"
    assert deflate.peer_no_context_takeover
    assert not deflate.own_no_context_takeover


BAD_PARAMETERS = [
    "foo",
    "foo=1",
    "Server_no_context_takeover",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    'client_no_context_takeover="8"',
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=0",
    "server_max_window_bits=08",
    "server_max_window_bits=010",
    "server_max_window_bits=+9",
    "server_max_window_bits=-9",
    "server_max_window_bits=9.0",
    "server_max_window_bits=1_0",
    "server_max_window_bits=0x9",
    "server_max_window_bits=9; server_max_window_bits=9",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=00000000000000000009",
    "client_max_window_bits=99999999999999999999",
    "client_max_window_bits=9; client_max_window_bits=10",
]


@pytest.mark.parametrize("bad", [*BAD_PARAMETERS, "client_max_window_bits; client_max_window_bits"])
def test_a_bad_offer_is_declined_and_the_next_one_taken(bad: str) -> None:
    assert accept_offers([f"permessage-deflate; {bad}"], LIMITLESS) is None
    good = "permessage-deflate; server_max_window_bits=10"
    for values in ([f"permessage-deflate; {bad}, {good}"], [f"permessage-deflate; {bad}", good]):
        accepted = accept_offers(values, LIMITLESS)
        assert accepted is not None
        assert accepted[0] == good


def test_the_first_acceptable_offer_is_taken() -> None:
    accepted = accept_offers(
        ["foo, bar; a=1", "permessage-deflate; server_max_window_bits=9, permessage-deflate"], LIMITLESS
    )
    assert accepted is not None
    assert accepted[0] == "permessage-deflate; server_max_window_bits=9"


@pytest.mark.parametrize("values", [[], [""], ["foo"], ["permessage-bzip2"], ["x-webkit-deflate-frame", "foo; a=1"]])
def test_other_extensions_are_declined(values: list[str]) -> None:
    assert accept_offers(values, DeflateOptions()) is None


def test_a_malformed_header_is_a_bad_request() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        accept_offers(["permessage-deflate, permessage-deflate; ="], DeflateOptions())
    assert caught.value.status == 400


# -- client: offers and answers to them


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (LIMITLESS, "permessage-deflate; client_max_window_bits"),
        (
            DeflateOptions(server_max_window_bits=15, client_max_window_bits=9),
            "permessage-deflate; client_max_window_bits=9",
        ),
        (
            DeflateOptions(server_no_context_takeover=True, client_no_context_takeover=True, client_max_window_bits=15),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; "
            "client_max_window_bits, "
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
        (
            DeflateOptions(),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, "
            "permessage-deflate; client_max_window_bits=12",
        ),
    ],
)
def test_what_a_client_offers(options: DeflateOptions, value: str) -> None:
    assert offer(options) == value


@pytest.mark.parametrize(
    ("answer", "representation"),
    [
        ("permessage-deflate", "<PerMessageDeflate own 12 bits, peer 15 bits>"),
        ("permessage-deflate; server_max_window_bits=15", "<PerMessageDeflate own 12 bits, peer 15 bits>"),
        ("permessage-deflate; server_max_window_bits=8", "<PerMessageDeflate own 12 bits, peer 8 bits>"),
        ("permessage-deflate; client_max_window_bits=8", "<PerMessageDeflate own 8 bits, peer 15 bits>"),
        # The server could cope with more than is offered (RFC 7692 7.1.2.2).
        ("permessage-deflate; client_max_window_bits=13", "<PerMessageDeflate own 12 bits, peer 15 bits>"),
        ("permessage-deflate; client_max_window_bits=15", "<PerMessageDeflate own 12 bits, peer 15 bits>"),
        (
            'permessage-deflate; client_max_window_bits="12"; server_no_context_takeover; client_no_context_takeover',
            "<PerMessageDeflate own 12 bits anew, peer 15 bits anew>",
        ),
    ],
)
def test_answers_that_fit_the_offer(answer: str, representation: str) -> None:
    assert repr(accept_answer([answer], DeflateOptions())) == representation


def test_no_answer_is_no_compression() -> None:
    assert accept_answer([], DeflateOptions()) is None
    assert accept_answer([""], DeflateOptions()) is None
    assert accept_answer([], None) is None


def test_a_client_may_do_without_context_takeover_by_itself() -> None:
    deflate = accept_answer(["permessage-deflate"], DeflateOptions(client_no_context_takeover=True))
    assert deflate is not None
    assert deflate.own_no_context_takeover


@pytest.mark.parametrize("values", [["permessage-deflate"], ["foo"], ["foo; a=1, bar"]])
def test_an_extension_that_was_not_offered_fails_the_handshake(values: list[str]) -> None:
    with pytest.raises(HandshakeError, match=r"extensions that were not offered: (permessage-deflate|foo|foo, bar)$"):
        accept_answer(values, None)


@pytest.mark.parametrize(
    "values",
    [["foo"], ["permessage-deflate, foo"], ["permessage-deflate", "permessage-deflate"], ["Permessage-Deflate"]],
)
def test_anything_but_one_permessage_deflate_fails_the_handshake(values: list[str]) -> None:
    with pytest.raises(HandshakeError, match="were not offered"):
        accept_answer(values, DeflateOptions())


@pytest.mark.parametrize("bad", [*BAD_PARAMETERS, "client_max_window_bits"])
def test_an_answer_with_invalid_parameters_fails_the_handshake(bad: str) -> None:
    with pytest.raises(HandshakeError, match="invalid parameters"):
        accept_answer([f"permessage-deflate; {bad}"], LIMITLESS)


def test_a_malformed_answer_fails_the_handshake() -> None:
    with pytest.raises(HandshakeError, match="malformed"):
        accept_answer(["permessage-deflate;"], DeflateOptions())


def test_an_answer_without_the_demanded_server_no_context_takeover_fails_the_handshake() -> None:
    options = DeflateOptions(server_no_context_takeover=True)
    with pytest.raises(HandshakeError, match="without the server_no_context_takeover"):
        accept_answer(["permessage-deflate"], options)
    assert accept_answer(["permessage-deflate; server_no_context_takeover"], options) is not None


OPTIONS = [
    DeflateOptions(
        server_no_context_takeover=server_anew,
        client_no_context_takeover=client_anew,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
        mem_level=1,
    )
    for server_anew, client_anew in itertools.product((False, True), repeat=2)
    for server_bits, client_bits in itertools.product((8, 10, 15), repeat=2)
]


def test_any_two_sides_agree() -> None:
    for client, server in itertools.product(OPTIONS, OPTIONS):
        of_client, of_server = both_sides(client, server)
        assert of_client.own_max_window_bits == of_server.peer_max_window_bits
        assert of_client.peer_max_window_bits == of_server.own_max_window_bits
        assert of_client.own_no_context_takeover == of_server.peer_no_context_takeover
        assert of_client.peer_no_context_takeover == of_server.own_no_context_takeover
        for options in (client, server):
            assert of_server.own_max_window_bits <= options.server_max_window_bits
            assert of_client.own_max_window_bits <= options.client_max_window_bits
            assert of_server.own_no_context_takeover >= options.server_no_context_takeover
            assert of_client.own_no_context_takeover >= options.client_no_context_takeover


parameter = st.sampled_from([*BAD_PARAMETERS, "client_max_window_bits", "server_max_window_bits=9", "=", ",", ";", '"'])
header = st.lists(parameter | st.text(max_size=5)).map(lambda parts: "; ".join(["permessage-deflate", *parts]))


@given(st.lists(header | st.text(), max_size=3))
def test_random_offers_and_answers_raise_nothing_undocumented(values: list[str]) -> None:
    refusals = []
    try:
        accepted = accept_offers(values, LIMITLESS)
        assert accepted is None or accept_answer([accepted[0]], LIMITLESS) or "client_max" in accepted[0]
    except RemoteProtocolError as error:
        refusals.append(error.status)
    for options in (None, LIMITLESS):
        try:
            accept_answer(values, options)
        except HandshakeError as error:
            refusals.append(error.status)
    assert set(refusals) <= {0, 400}


# -- the examples of RFC 7692 7.2.3


@pytest.mark.parametrize(
    ("payloads", "messages"),
    [
        (["f2 48 cd c9 c9 07 00"], [b"Hello"]),
        (["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"], [b"Hello", b"Hello"]),
        (["f2 48 cd c9 c9 07 00", "f2 48 cd c9 c9 07 00"], [b"Hello", b"Hello"]),
        (["00 05 00 fa ff 48 65 6c 6c 6f 00"], [b"Hello"]),
        (["f3 48 cd c9 c9 07 00 00"], [b"Hello"]),
        (["f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], [b"Hello"]),
        (["00"], [b""]),
        (["02 00"], [b""]),
        (["00", "00", "f2 48 cd c9 c9 07 00", "00"], [b"", b"", b"Hello", b""]),
    ],
)
@pytest.mark.parametrize("cut", [whole, byte_by_byte, at_random])
def test_examples_of_the_rfc_inflate(cut: Any, payloads: list[str], messages: list[bytes]) -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    assert [inflate(deflate, cut(bytes.fromhex(payload)), 5) for payload in payloads] == messages


def test_examples_of_the_rfc_are_what_is_compressed() -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    assert deflate.compress(b"Hello").hex(" ") == "f2 48 cd c9 c9 07 00"
    assert deflate.compress(b"Hello").hex(" ") == "f2 00 11 00 00"
    assert deflate.compress(b"").hex(" ") == "00"


# -- compression


def test_an_empty_message_is_one_zero_byte() -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    assert [deflate.compress(data) for data in (b"", b"", bytearray(), memoryview(b""))] == [b"\x00"] * 4
    deflate.compress(b"Hello")
    assert deflate.compress(b"") == b"\x00"


def test_bytes_like_data_is_compressed_alike() -> None:
    data = b"Hello, Hello, Hello"
    outputs = {PerMessageDeflate(LIMITLESS).compress(kind(data)) for kind in (bytes, bytearray, memoryview)}
    assert len(outputs) == 1


def test_no_context_takeover_makes_equal_messages_equal() -> None:
    data = json.dumps({"type": "update", "user": "someone"}).encode()
    anew = PerMessageDeflate(LIMITLESS, own_no_context_takeover=True)
    kept = PerMessageDeflate(LIMITLESS)
    first = kept.compress(data)
    assert [anew.compress(data) for _ in range(3)] == [first] * 3
    assert len(kept.compress(data)) < len(first) / 3


def test_without_context_takeover_the_peer_cannot_refer_back() -> None:
    deflate = PerMessageDeflate(LIMITLESS, peer_no_context_takeover=True)
    first, second = "f2 48 cd c9 c9 07 00", "f2 00 11 00 00"
    assert deflate.decompress(bytes.fromhex(first), last=True, limit=9) == b"Hello"
    with pytest.raises(RemoteProtocolError, match="too far back"):
        deflate.decompress(bytes.fromhex(second), last=True, limit=9)


@pytest.mark.parametrize("no_takeover", [False, True])
def test_fragments_are_inflated_as_they_come(no_takeover: bool) -> None:
    sender = PerMessageDeflate(LIMITLESS, own_no_context_takeover=no_takeover)
    receiver = PerMessageDeflate(LIMITLESS, peer_no_context_takeover=no_takeover)
    for fragments in ([b"Hello, ", b"world"], [b"", b"", b"Hello", b""], [b"", b""], [b"Hello", b"", b"Hello"]):
        for index, fragment in enumerate(fragments, 1):
            last = index == len(fragments)
            payload = sender.compress_fragment(fragment, last=last)
            assert receiver.decompress(payload, last=last, limit=100) == fragment
        assert receiver.decompress(sender.compress(b"Hello, world"), last=True, limit=100) == b"Hello, world"


@pytest.mark.parametrize("data", [b"", b"Hello", b"Hello, Hello"])
def test_a_message_compressed_alone_is_the_same_for_every_connection(data: bytes) -> None:
    fresh, used = PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS)
    used.compress(b"Hello, Hello")
    assert used.compress_alone(data) == fresh.compress_alone(data) == PerMessageDeflate(LIMITLESS).compress(data)


def test_behind_a_message_compressed_alone_the_sender_starts_anew() -> None:
    other = PerMessageDeflate(LIMITLESS)
    sender, receiver = PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS)
    messages = [noise(500, number % 3) for number in range(9)]
    for number, data in enumerate(messages):
        if number % 4 == 2:
            payload = other.compress_alone(data)
            sender.restart()
        else:
            payload = sender.compress(data)
        assert receiver.decompress(payload, last=True, limit=500) == data


@pytest.mark.parametrize("size", [1, 100, 16 * KIB, 100_000])
@pytest.mark.parametrize("level", [0, 1, 4, 9])
def test_what_does_not_compress_grows_by_little(size: int, level: int) -> None:
    data = noise(size)
    options = DeflateOptions(level=level)
    payload = PerMessageDeflate(options, own_max_window_bits=12).compress(data)
    assert len(payload) <= size + 6 + size // 200
    assert PerMessageDeflate(options, peer_max_window_bits=12).decompress(payload, last=True, limit=size) == data


@pytest.mark.parametrize("bits", range(8, 16))
def test_no_distance_is_beyond_the_agreed_window(bits: int) -> None:
    chunk = noise(200)
    message = b"".join(chunk + noise(distance, distance) + chunk for distance in (40, 300, 800, 3000, 9000, 20000))
    sender = PerMessageDeflate(LIMITLESS, own_max_window_bits=bits)
    payload = sender.compress(message) + b"\x00\x00\xff\xff"
    assert max(distances(payload), default=0) <= 1 << bits


def test_the_reader_of_distances_sees_them() -> None:
    data = noise(200) + noise(30_000, 2) + noise(200)
    payload = PerMessageDeflate(DeflateOptions(level=9, mem_level=9)).compress(data) + b"\x00\x00\xff\xff"
    assert max(distances(payload)) == 30_200
    assert distances(fixed(b"abcabcabcabc", final=True)) == {3}
    assert distances(fixed(b"a" * 1000, final=False)) == {1}
    assert distances(PerMessageDeflate(DeflateOptions(level=0)).compress(bytes(9)) + b"\x00\x00\xff\xff") == set()


# -- inflating within a limit


@pytest.mark.parametrize("cut", [whole, byte_by_byte, at_random])
@pytest.mark.parametrize("size", [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_message_may_have_just_the_limit_and_not_a_byte_more(cut: Any, size: int) -> None:
    payload = PerMessageDeflate(LIMITLESS).compress(bytes(size))
    deflate = PerMessageDeflate(LIMITLESS)
    assert inflate(deflate, cut(payload), size) == bytes(size)
    if cut is whole:
        with pytest.raises(MessageTooBig, match=f"^inflated message of {size} bytes, limit {size - 1}$") as caught:
            PerMessageDeflate(LIMITLESS).decompress(payload, last=True, limit=size - 1)
        assert caught.value.close_code == 1009
        assert (caught.value.size, caught.value.limit) == (size, size - 1)


def test_an_empty_message_fits_in_no_room_at_all() -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    for limit in (0, -1):
        assert deflate.decompress(b"\x00", last=True, limit=limit) == b""
    with pytest.raises(MessageTooBig, match="of 1 bytes, limit 0"):
        deflate.decompress(PerMessageDeflate(LIMITLESS).compress(b"a"), last=True, limit=-1)


def test_the_limit_is_the_one_of_each_piece() -> None:
    sender, receiver = PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS)
    for _ in range(3):
        assert receiver.decompress(sender.compress_fragment(b"0123456789", last=False), last=False, limit=10)
    with pytest.raises(MessageTooBig):
        receiver.decompress(sender.compress_fragment(b"0123456789", last=True), last=True, limit=9)


@pytest.mark.parametrize("size", [10, BLOCK, 10 * BLOCK])
def test_without_a_limit_everything_comes_out(size: int) -> None:
    payload = PerMessageDeflate(LIMITLESS).compress(bytes(size))
    assert PerMessageDeflate(LIMITLESS).decompress(payload, last=True, limit=None) == bytes(size)


@pytest.mark.parametrize("last", [True, False])
def test_output_that_waits_inside_zlib_belongs_to_its_piece(last: bool) -> None:
    # All input is consumed when the block is just full.
    for size in range(BLOCK - 300, BLOCK + 300, 7):
        sender, receiver = PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS)
        payload = sender.compress_fragment(bytes(size), last=last)
        assert len(receiver.decompress(payload, last=last, limit=size)) == size


@pytest.mark.parametrize("limit", [0, KIB, 256 * KIB, KIB * KIB])
def test_a_bomb_takes_no_more_memory_than_the_limit_and_some_blocks(limit: int) -> None:
    bomb = PerMessageDeflate(LIMITLESS).compress(bytes(64 * KIB * KIB))
    deflate = PerMessageDeflate(LIMITLESS)
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooBig) as caught:
            deflate.decompress(bomb, last=True, limit=limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.size == limit + 1
    assert peak < limit + 5 * BLOCK


def test_large_messages_of_any_kind_pass() -> None:
    sender, receiver = PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS)
    for data in (noise(3 * KIB * KIB), bytes(3 * KIB * KIB), noise(1000) * 3000):
        payload = sender.compress(data)
        middle = len(payload) // 2
        assert inflate(receiver, [payload[:middle], payload[middle:]], len(data)) == data
        assert receiver.decompress(sender.compress(data), last=True, limit=len(data)) == data


# -- payloads that are not sound


@pytest.mark.parametrize(
    "payload",
    [
        "07",  # a block of the reserved type
        "00 05 00 fa fe 48",  # a stored block whose length does not agree with its complement
        "f2 48 cd c9 c9 07 00 f2 00 f1 ff 00",  # a distance beyond the beginning
        "ff ff ff ff",
        "f3 48 cd c9 c9 07",  # nothing behind a final block for the tail to complete
        "f2 48 cd c9 c9 07 00 00 00 ff ff",  # the tail was not removed
        "",
    ],
)
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_what_is_not_deflate_is_inconsistent_data(cut: Any, payload: str) -> None:
    data = bytes.fromhex(payload)
    with pytest.raises(RemoteProtocolError, match=r"^compressed message (is invalid|ends inside a block)") as caught:
        inflate(PerMessageDeflate(LIMITLESS), cut(data) or [b""], 100)
    assert caught.value.close_code == 1007


def test_a_message_cut_short_is_noticed() -> None:
    data = json.dumps([{"number": number} for number in range(100)]).encode()
    payload = PerMessageDeflate(LIMITLESS).compress(data)
    for size in range(len(payload)):
        with pytest.raises(RemoteProtocolError) as caught:
            PerMessageDeflate(LIMITLESS).decompress(payload[:size], last=True, limit=None)
        assert caught.value.close_code == 1007


def test_a_distance_beyond_the_agreed_window_is_invalid() -> None:
    data = noise(600) + noise(3000, 2) + noise(600)
    payload = PerMessageDeflate(LIMITLESS).compress(data)
    deflate = PerMessageDeflate(LIMITLESS, peer_max_window_bits=9)
    deflate.decompress(b"\x00", last=True, limit=None)
    pieces = [payload[:2000], payload[2000:]]
    with pytest.raises(RemoteProtocolError, match="too far back"):
        inflate(deflate, pieces)


@given(st.binary(max_size=200), st.booleans(), st.integers(0, 1000))
def test_random_bytes_raise_nothing_undocumented(data: bytes, last: bool, limit: int) -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    for piece in (data, data[::-1]):
        try:
            assert len(deflate.decompress(piece, last=last, limit=limit)) <= limit
        except RemoteProtocolError as error:
            assert error.close_code in (1007, 1008, 1009)  # noqa: PT017
            return


# -- final blocks inside the stream (RFC 7692 7.2.3.4)


@pytest.mark.parametrize("cut", [whole, byte_by_byte, at_random])
def test_messages_behind_a_final_block_are_whole_and_refer_back(cut: Any) -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    text = noise(300)
    sender = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = sender.compress(text) + sender.flush(zlib.Z_FINISH)
    assert inflate(deflate, cut(first + b"\x00"), 300) == text
    sender = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=text)
    second = (sender.compress(text) + sender.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(second) < 20
    assert inflate(deflate, cut(second), 300) == text


@pytest.mark.parametrize("cut", [whole, byte_by_byte, at_random])
def test_final_blocks_in_the_middle_of_a_message(cut: Any) -> None:
    payload, window = b"", b""
    for number in range(20):
        text = noise(40) + bytes([number]) * 10
        sender = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=window)
        payload += sender.compress(text) + sender.flush(zlib.Z_FINISH if number % 3 else zlib.Z_SYNC_FLUSH)
        window += text
    for deflate in (PerMessageDeflate(LIMITLESS), PerMessageDeflate(LIMITLESS, peer_no_context_takeover=True)):
        assert inflate(deflate, cut(payload + b"\x00"), len(window)) == window


def test_the_limit_holds_across_final_blocks() -> None:
    payload = fixed(bytes(100), final=True) * 3 + b"\x00"
    assert PerMessageDeflate(LIMITLESS).decompress(payload, last=True, limit=300) == bytes(300)
    with pytest.raises(MessageTooBig, match="of 300 bytes, limit 299"):
        PerMessageDeflate(LIMITLESS).decompress(payload, last=True, limit=299)


@pytest.mark.parametrize("cut", [whole, at_random])
def test_final_blocks_are_counted_in_each_message(cut: Any) -> None:
    deflate = PerMessageDeflate(LIMITLESS)
    for _ in range(3):
        assert deflate.decompress(b"\x03\x00" * 256 + b"\x00", last=True, limit=0) == b""
    with pytest.raises(LimitExceeded, match="more than 256 final blocks in one compressed message") as caught:
        inflate(deflate, cut(b"\x03\x00" * 600 + b"\x00"), 0)
    assert caught.value.close_code == 1008
    assert (caught.value.size, caught.value.limit) == (257, 256)


# -- memory


def memory_of(make: Any, count: int = 50) -> float:
    """Bytes that one of the made objects keeps."""
    tracemalloc.start()
    try:
        made = [make() for _ in range(count)]
        return tracemalloc.get_traced_memory()[0] / len(made)
    finally:
        tracemalloc.stop()


def test_an_unused_connection_keeps_no_zlib_object() -> None:
    assert memory_of(lambda: PerMessageDeflate(DeflateOptions())) < 500


def test_a_connection_that_only_receives_keeps_a_window_and_no_more() -> None:
    payload = PerMessageDeflate(LIMITLESS).compress(bytes(100_000))

    def make() -> PerMessageDeflate:
        deflate = PerMessageDeflate(LIMITLESS, peer_max_window_bits=12)
        deflate.decompress(payload, last=True, limit=None)
        return deflate

    assert 4096 < memory_of(make) < 4096 + 500


def test_without_context_takeover_nothing_is_kept_between_messages() -> None:
    options = DeflateOptions()

    def make() -> PerMessageDeflate:
        deflate = PerMessageDeflate(options, own_no_context_takeover=True, peer_no_context_takeover=True)
        deflate.decompress(deflate.compress(noise(10_000)), last=True, limit=None)
        return deflate

    assert memory_of(make) < 500


def test_the_default_compressor_keeps_what_the_documentation_says() -> None:
    def make() -> PerMessageDeflate:
        deflate = PerMessageDeflate(DeflateOptions(), own_max_window_bits=12)
        deflate.compress(noise(10_000))
        return deflate

    assert 36 * KIB < memory_of(make) < 40 * KIB


# -- with each other and with another implementation

messages = st.lists(
    st.binary(max_size=300)
    | st.builds(lambda data, count: data * count, st.binary(min_size=1, max_size=50), st.integers(0, 2000)),
    max_size=6,
)
options_of_any_kind = st.builds(
    DeflateOptions,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(8, 15),
    client_max_window_bits=st.integers(8, 15),
    level=st.integers(0, 9),
    mem_level=st.integers(1, 9),
)


@given(options_of_any_kind, options_of_any_kind, messages, st.randoms(use_true_random=False))
def test_round_trips_with_random_options_and_cuts(
    client: DeflateOptions, server: DeflateOptions, data: list[bytes], chance: random.Random
) -> None:
    sides = both_sides(client, server)
    for message in data:
        sender, receiver = sides if chance.random() < 0.5 else sides[::-1]
        cuts = sorted(chance.randint(0, len(message)) for _ in range(chance.randint(0, 3)))
        fragments = [message[start:end] for start, end in itertools.pairwise([0, *cuts, len(message)])]
        last = fragments.pop()
        payload = b"".join(sender.compress_fragment(fragment, last=False) for fragment in fragments)
        payload += sender.compress_fragment(last, last=True)
        middle = chance.randint(0, len(payload))
        assert inflate(receiver, [payload[:middle], payload[middle:]], len(message)) == message


def exchange(ours: PerMessageDeflate, peer: Peer) -> None:
    chance = random.Random(7)
    for size in (0, 1, 100, 0, 40_000, 5000):
        data = bytes(chance.choice(b"abc") for _ in range(size))
        theirs = peer.encode(Frame(Opcode.BINARY, data))
        assert ours.decompress(bytes(theirs.data), last=True, limit=size) == data
        decoded = peer.decode(Frame(Opcode.BINARY, ours.compress(data), rsv1=True))
        assert bytes(decoded.data) == data


def to_pairs(value: str) -> list[tuple[str, str | None]]:
    pairs = [parameter.strip().partition("=") for parameter in value.split(";")[1:]]
    return [(name, number or None) for name, _, number in pairs]


PEER_SETTINGS = [
    (server_anew, client_anew, server_bits, client_bits)
    for server_anew, client_anew in itertools.product((False, True), repeat=2)
    for server_bits, client_bits in itertools.product((None, 9, 15), repeat=2)
]


@pytest.mark.parametrize("settings", PEER_SETTINGS)
def test_a_foreign_client_and_our_server(settings: tuple[bool, bool, int | None, int | None]) -> None:
    factory = ClientPerMessageDeflateFactory(*settings[:3], settings[3] or True)
    parameters = [name if value is None else f"{name}={value}" for name, value in factory.get_request_params()]
    accepted = accept_offers(["; ".join(["permessage-deflate", *parameters])], DeflateOptions())
    assert accepted is not None
    exchange(accepted[1], factory.process_response_params(to_pairs(accepted[0]), []))


@pytest.mark.parametrize("settings", PEER_SETTINGS)
def test_a_foreign_server_and_our_client(settings: tuple[bool, bool, int | None, int | None]) -> None:
    factory = ServerPerMessageDeflateFactory(*settings)
    for number in range(2):
        offered = offer(DeflateOptions()).split(",")[number]
        parameters, peer = factory.process_request_params(to_pairs(offered), [])
        answer = [name if value is None else f"{name}={value}" for name, value in parameters]
        ours = accept_answer(["; ".join(["permessage-deflate", *answer])], DeflateOptions())
        assert ours is not None
        exchange(ours, peer)


# -- one compression for many ------------------------------------------------------------------------------------------


def test_a_message_compressed_alone_fits_every_connection_that_starts_anew() -> None:
    options = DeflateOptions(threshold=0)
    sender, other, receiver = (PerMessageDeflate(options) for _ in range(3))
    first, shared, last = (b"the same words over and over %d " % number * 9 for number in range(3))
    assert receiver.decompress(sender.compress(first), last=True, limit=None) == first
    alone = other.compress_alone(shared)
    sender.restart()
    assert receiver.decompress(alone, last=True, limit=None) == shared
    assert receiver.decompress(sender.compress(last), last=True, limit=None) == last
    assert other.compress_alone(b"") == sender.compress_alone(b"")
    assert receiver.decompress(other.compress_alone(b""), last=True, limit=None) == b""
