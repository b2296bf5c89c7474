"""The compiled and the Python twins of one source, fed the same: the same comes out, to the text of the errors."""

from __future__ import annotations

import random
from typing import Any

import pytest

from elio.sse import encoder as native_encoder
from elio.sse import parser as native_parser
from elio.websocket import connection as native
from elio.websocket import frame as native_frame
from support.frames import KEY, frame, header, random_cuts
from support.twins import is_native, load_pure

NAMES = ("elio.websocket.connection", "elio.websocket.frame", "elio.sse.parser", "elio.sse.encoder")
pytestmark = pytest.mark.skipif(not is_native(*NAMES), reason="there is one twin only")

pure, pure_frame, pure_parser, pure_encoder = load_pure(*NAMES)

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 65537, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
LIMITS = [0, 125, 126, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**63 - 1, None]


def shown(value: Any) -> Any:
    """The same for equal values of either twin."""
    if isinstance(value, BaseException):
        return type(value).__name__, str(value), sorted(vars(value).items())
    return type(value).__name__, value if isinstance(value, str | bytes) else repr(value)


def frames_of(module: Any, pieces: list[bytes], **options: Any) -> list[Any]:
    decoder = module.FrameDecoder(**options)
    seen: list[Any] = []
    for piece in pieces:
        decoder.feed(piece)
        while decoder.next_part():
            seen.append((decoder.head, decoder.part, decoder.payload))
        seen.append((shown(decoder.error), decoder.waiting_size, decoder.inside_frame))
    return seen


def talk_of(module: Any, role: str, pieces: list[bytes], **options: Any) -> list[Any]:
    connection = module.Connection(module.Role(role), **options)
    seen: list[Any] = []
    for piece in [*pieces, b"", b""]:
        seen.append([shown(event) for event in connection.receive_data(piece)])
        # Of a client's frames only the size is the same: the masking keys are random.
        out = connection.data_to_send()
        seen.append(out if role == "server" else len(out))
        seen.append((connection.state.value, connection.more, connection.inside_message, connection.close_code))
    return seen


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("limit", LIMITS)
def test_every_length_against_every_limit_in_random_cuts(limit: int | None, masked: bool) -> None:
    rng = random.Random(1)
    for size in LENGTHS:
        for form in (None, 126, 127):
            if form == 126 and size > 65535:
                continue
            for head in (0x82, 0x01, 0xC1, 0x89):
                data = header(head, size, masked=masked, form=form) + (KEY if masked else b"") + rng.randbytes(300)
                options = {"masked": masked, "rsv1": True, "max_message_size": limit}
                for pieces in ([data], random_cuts(data, rng, longest=9)):
                    expected = frames_of(pure_frame, pieces, **options)
                    assert frames_of(native_frame, pieces, **options) == expected, (size, form, head)


def random_frame(rng: random.Random, key: bytes | None) -> bytes:
    """Most are good, some are bad in one of many ways."""
    heads = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, rng.randrange(256)]
    (head,) = rng.choices(heads, [9, 9, 3, 3, 4, 6, 3, 3, 1, 1])
    size = rng.choice([0, 1, 5, 20, 124, 125, 126, 127, 300])
    if head & 0x08:
        size = min(size, 125)
    if head == 0x88:
        payload = rng.choice([b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x03\xe8\xff"])
    elif rng.random() < 0.5:
        payload = "".join(rng.choices("aé€😀", [20, 1, 1, 1], k=size)).encode()[: 125 if head & 0x08 else 1000]
    else:
        payload = rng.choices([b"x" * size, rng.randbytes(size)], [9, 1])[0]
    if rng.random() < 0.02:
        form = rng.choice([126, 127])
        return header(head, len(payload), masked=key is not None, form=form) + (key or b"") + payload
    if rng.random() < 0.01:
        key = None if key else KEY
    return frame(head, payload, key)


@pytest.mark.parametrize("limit", [-1, -(2**64), 2**63, 2**64])
def test_limits_that_cannot_be_are_refused_alike(limit: int) -> None:
    options = {"max_message_size": limit, "masked": True}
    assert refusal(native_frame.FrameDecoder, options) == refusal(pure_frame.FrameDecoder, options) != ""
    options = {"max_event_size": limit}
    assert refusal(native_parser.Parser, options) == refusal(pure_parser.Parser, options) != ""


def refusal(make: Any, options: dict[str, Any]) -> Any:
    """What it says to these options, or "" where they are taken."""
    try:
        make(**options)
    except Exception as error:
        return shown(error)
    return ""


@pytest.mark.parametrize("role", ["server", "client"])
def test_random_talks_in_random_cuts(role: str) -> None:
    for seed in range(400):
        rng = random.Random(seed)
        key = rng.randbytes(4) if role == "server" else None
        data = b"".join(random_frame(rng, key) for _ in range(rng.randint(1, 30)))
        options = {
            "max_message_size": rng.choice([None, 0, 100, 400, 4000]),
            "max_fragments": rng.choice([None, 3]),
            "max_empty_frames": rng.choice([None, 2]),
            "burst": rng.choice([1, 3, 64]),
            "burst_size": rng.choice([1, 200, 65536]),
        }
        for pieces in ([data], random_cuts(data, rng, longest=rng.choice([3, 60, 700]))):
            assert talk_of(native, role, pieces, **options) == talk_of(pure, role, pieces, **options), seed


def test_long_messages_in_random_cuts() -> None:
    rng = random.Random(4)
    for size in (1000, 65535, 65536, 300_000):
        for alphabet in ("a", "aé", "a€😀"):
            text = "".join(rng.choices(alphabet, k=size)).encode()
            middle = rng.randrange(size)
            data = frame(0x81, text) + frame(0x01, text[:middle]) + frame(0x89, b"") + frame(0x80, text[middle:])
            data += frame(0x82, text) + frame(0x01, text + b"\xc3") + frame(0x80, b"(")
            pieces = random_cuts(data, rng, longest=rng.choice([5000, 70_000, 400_000]))
            assert talk_of(native, "server", pieces) == talk_of(pure, "server", pieces)


def test_random_bytes() -> None:
    for seed in range(2000):
        rng = random.Random(seed)
        data = bytes([rng.choice([0x81, 0x82, 0x89, 0x01]), 0x80 | rng.choice([3, 126, 127])]) + rng.randbytes(40)
        assert talk_of(native, "server", [data]) == talk_of(pure, "server", [data]), seed


SENDS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("send_text", ("",), {}),
    ("send_text", ("Hello" * 30,), {}),
    ("send_text", ("é" * 70_000,), {}),
    ("send_text", ("\ud800",), {}),
    ("send_text", (b"bytes",), {}),
    ("send_text", (None,), {}),
    ("send_binary", (b"x" * 125,), {}),
    ("send_binary", (bytearray(b"x" * 126),), {}),
    ("send_binary", (memoryview(b"x" * 65536),), {}),
    ("send_binary", (memoryview(b"abcdef")[::2],), {}),
    ("send_binary", ("text",), {}),
    ("send_binary", (None,), {}),
    ("send_fragment", ("a",), {"last": False}),
    ("send_fragment", ("a",), {"last": True}),
    ("send_fragment", (b"a",), {"last": True}),
    ("send_ping", (b"x" * 125,), {}),
    ("send_ping", (b"x" * 126,), {}),
    ("send_pong", (), {}),
    ("send_close", (), {}),
    ("send_close", (None,), {}),
    ("send_close", (1005,), {}),
    ("send_close", (4000, "r" * 124), {}),
]


@pytest.mark.parametrize("role", ["server", "client"])
def test_random_sends(role: str) -> None:
    for seed in range(300):
        calls = random.Random(seed).choices(SENDS, k=8)
        results = []
        for module in (native, pure):
            connection = module.Connection(module.Role(role))
            seen: list[Any] = []
            for name, arguments, options in calls:
                try:
                    getattr(connection, name)(*arguments, **options)
                except (TypeError, AttributeError) as error:
                    seen.append(type(error).__name__)
                except Exception as error:
                    seen.append(shown(error))
                out = connection.data_to_send()
                seen.append((out if role == "server" else len(out), connection.state.value))
            results.append(seen)
        assert results[0] == results[1], calls


def test_masks_of_either_twin_are_read_by_the_other() -> None:
    rng = random.Random(3)
    for sender, receiver in ((native, pure), (pure, native)):
        client = sender.Connection(sender.Role.CLIENT)
        server = receiver.Connection(receiver.Role.SERVER)
        for size in (0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 125, 126, 1000, 20_000):
            data = rng.randbytes(size)
            client.send_binary(data)
            client.send_text("é" + "a" * size)
            assert server.receive_data(client.data_to_send()) == [data, "é" + "a" * size]


@pytest.mark.parametrize("key", [None, KEY])
def test_encoded_frames(key: bytes | None) -> None:
    for size in (0, 1, 125, 126, 65535, 65536):
        data = b"x" * size
        encoded = native_frame.encode_frame(2, data, fin=False, rsv1=True, masking_key=key)
        assert encoded == pure_frame.encode_frame(2, data, fin=False, rsv1=True, masking_key=key)


# -- event streams


def events_of(module: Any, pieces: list[bytes], **options: Any) -> list[Any]:
    parser = module.Parser(**options)
    seen: list[Any] = []
    for piece in pieces:
        seen.append([shown(item) for item in parser.receive_data(piece)])
        seen.append((parser.last_event_id, parser.retry))
    return seen


LINES = [
    *(b"data: a", b"data:b", b"data", b"data: ", b"data:  c", b"datax: d", b"data: " + b"x" * 70, b"dat"),
    *("data: é".encode(), "data: Grüße aus München, vom Fuß der Brücke".encode(), "data: €😀".encode()),
    *(b"data: \xc3", b"data: \xff\xc3\xa9", b"data: \xc3\xa9\x80", b"data: \xc0\x80", b"data: \xed\xa0\x80"),
    *(b"data: " + b"y" * 15 + "é".encode() * 9 + b"z", b"data: " + "ÿ".encode() * 40, b"data: a\0b"),
    *(b"event: t", b"event:", b"event", b"event: \xc3\xa9", b"id: 1", b"id", b"id: \0", b"id:2", b"id: \xff"),
    *(b"retry: 10", b"retry: x", b"retry:", b": comment", b":", b"foo: bar", b"\xef\xbb\xbfdata: z", b"", b"", b""),
]


def test_random_event_streams_in_random_cuts() -> None:
    for seed in range(600):
        rng = random.Random(seed)
        parts = rng.choices(LINES, k=rng.randint(1, 40))
        ends = rng.choice([[b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n", b"\r"]])
        stream = b"".join(part + rng.choice(ends) for part in parts)
        options = {"max_event_size": rng.choice([None, 8, 30, 100]), "comments": rng.random() < 0.5}
        for pieces in ([stream], random_cuts(stream, rng, longest=rng.choice([2, 30, 300]))):
            assert events_of(native_parser, pieces, **options) == events_of(pure_parser, pieces, **options), seed


def test_events_are_encoded_alike() -> None:
    texts = ["", "a", "a\nb", "\r\n", "x\ry\n", "é", "😀" * 20, "\ud800"]
    for data in texts:
        for kind in ("", "t", "é"):
            for event_id in (None, "", "1"):
                event = native_encoder.Event(data, type=kind, id=event_id, retry=1.5 if kind else None)
                outcomes = []
                for module in (native_encoder, pure_encoder):
                    try:
                        outcomes.append((module.encode_event(event), module.encode_comment(data)))
                    except Exception as error:
                        outcomes.append(shown(error))
                assert outcomes[0] == outcomes[1]
