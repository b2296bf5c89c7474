"""What has gone wrong in WebSocket servers elsewhere, done to this one over sockets: the answer, its cost, and the next
client."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest

from elio import Limits, Router, WebSocket
from support.attack import MIB, Target, deaf, quick_frame, target
from support.frames import frame, header
from support.raw import DEADLINE, HANDSHAKE, connect, serve, until

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
RSV1 = 0x40
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
GOING = b"\x03\xe8"


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with target(limits={"close_timeout": 0.5, "send_timeout": 1.0, "commit_delay": 0.05}) as running:
        yield running


def compress(data: bytes, *, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """A message of permessage-deflate (RFC 7692 7.2.1)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    compressed = compressor.compress(data) + compressor.flush(flush)
    return compressed.removesuffix(b"\x00\x00\xff\xff")


def bomb(size: int) -> bytes:
    """A message of so many zeros, made without ever having them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(MIB)
    return b"".join(compressor.compress(block) for _ in range(size // MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


async def test_a_compression_bomb_is_1009_and_never_inflated_beyond_the_limit(server: Target) -> None:
    attack = quick_frame(BINARY | RSV1, bomb(256 * MIB))
    assert len(attack) < MIB // 2
    with server.within(8 * MIB):
        async with server.connect() as raw:
            await raw.upgrade(headers=DEFLATE)
            raw.send(attack)
            assert (await raw.receive_close())[0] == 1009
    await server.serves()


async def test_a_bomb_in_fragments_is_1009_too(server: Target) -> None:
    data = bomb(64 * MIB)
    step = len(data) // 40
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    attack = quick_frame(0x02 | RSV1, pieces[0]) + b"".join(quick_frame(0x00, piece) for piece in pieces[1:])
    with server.within(8 * MIB):
        async with server.connect() as raw:
            await raw.upgrade(headers=DEFLATE)
            raw.send(attack)
            assert (await raw.receive_close())[0] == 1009
    await server.serves()


async def test_many_small_bombs_in_one_read_wait_compressed_for_a_slow_handler(server: Target) -> None:
    small = quick_frame(BINARY | RSV1, bomb(MIB))
    count = 1000
    assert len(small) < 1200
    with server.within(32 * MIB):
        async with server.connect() as raw:
            await raw.upgrade("/slow", headers=DEFLATE)
            raw.send(small * count)
            assert await raw.receive_frame() == (TEXT, b"one is enough")
            await server.until_it_reads_no_more(raw)
    await server.serves()


async def test_a_message_of_tiny_fragments_costs_its_size(server: Target) -> None:
    count = 100_000
    fragments = quick_frame(0x02, b"x") + quick_frame(0x00, b"x") * (count - 2) + quick_frame(CONTINUATION, b"x")
    with server.within(4 * MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            raw.send(fragments)
            assert await raw.receive_frame() == (BINARY, b"x" * count)


async def test_fragments_without_end_are_1008(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            raw.send(quick_frame(0x02, b"x") + quick_frame(0x00, b"x") * 131_072)
            assert (await raw.receive_close())[0] == 1008
    await server.serves()


async def test_empty_fragments_without_end_are_1008(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            raw.send(quick_frame(0x02, b"x") + quick_frame(0x00) * 2000)
            assert (await raw.receive_close())[0] == 1008


async def test_a_frame_that_dribbles_in_costs_its_size(server: Target) -> None:
    attack = quick_frame(BINARY, b"x" * 10_000)
    with server.within(2 * MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            for index in range(len(attack)):
                raw.send(attack[index : index + 1])
                await raw.writer.drain()
            assert await raw.receive_frame() == (BINARY, b"x" * 10_000)


async def test_a_header_that_promises_much_reserves_nothing(server: Target) -> None:
    with server.within(16 * MIB):
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(promise(server))
    await server.serves()


async def promise(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade()
        raw.send(header(BINARY, MIB, masked=True) + bytes(4) + b"x")
        await server.serves()


@pytest.mark.parametrize(
    ("length", "code"),
    [("ffffffffffffffff", 1002), ("8000000000000000", 1002), ("7fffffffffffffff", 1009), ("0000000100000000", 1009)],
)
async def test_lengths_of_64_bits_are_refused_by_the_header_alone(server: Target, length: str, code: int) -> None:
    with server.within(MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            raw.send(b"\x82\xff" + bytes.fromhex(length))
            assert (await raw.receive_close())[0] == code
    await server.serves()


async def test_a_length_that_would_overflow_a_sum_of_fragments_is_1009(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade()
        raw.send(quick_frame(0x02, b"x" * 1000) + b"\x80\xff" + bytes.fromhex("7fffffffffffffff"))
        assert (await raw.receive_close())[0] == 1009


async def test_a_flood_of_pings_that_reads_no_pongs_stops_being_read(server: Target) -> None:
    block = (frame(PING, b"p" * 125) + quick_frame(BINARY, b"x" * 125)) * 100
    with server.within(8 * MIB):
        async with server.connect(receive_buffer=4096) as raw:
            await raw.upgrade()
            deaf(raw)
            raw.send(block * 1000)
            assert await server.until_it_reads_no_more(raw) > 0
    await server.serves()


async def test_pings_without_any_message_are_1008(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade()
        raw.send(frame(PING) * 5000)
        while (found := await raw.receive_frame())[0] == PONG:
            pass
        assert (found[0], found[1][:2]) == (CLOSE, b"\x03\xf0")
    await server.serves()


async def test_a_handler_that_sends_waits_for_a_slow_reader_and_is_cut_off_in_the_end(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect(receive_buffer=4096) as raw:
            await raw.upgrade("/feed")
            deaf(raw)
            await server.until_members([1, 0])
            await server.until_members([0, 0])
    await server.serves()


async def test_a_broadcast_cuts_a_slow_reader_off_and_delays_nobody(server: Target) -> None:
    message = b"m" * 500_000
    async with server.connect(receive_buffer=4096) as slow, server.connect() as fast, server.connect() as sender:
        for member in (slow, fast):
            await member.upgrade("/room")
            await member.receive_frame()
        deaf(slow)
        await server.until_members([2, 0])
        with server.within(24 * MIB):
            for _ in range(40):
                sender.send(b"POST /broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + message)
                assert (await sender.answer()).status == 200
                assert await fast.receive_frame() == (BINARY, message)
        await server.until_members([1, 0])


async def test_a_handshake_without_end_is_refused_at_the_limit(server: Target) -> None:
    head = HANDSHAKE.removesuffix(b"\r\n") % (b"/ws", b"")
    for endless in (b"X: y\r\n", b"X: " + b"y" * 5000 + b"\r\n", b"y"):
        with server.within(4 * MIB):
            async with server.connect() as raw:
                raw.send(head + endless * (2 * MIB // len(endless)))
                assert (await raw.answer()).status == 431
        await server.serves()


SHAPES = {
    "many tokens": "a," * 14_000 + "a",
    "many empty": "," * 28_000,
    "blanks": "a" + " " * 28_000 + "b",
    "blanks and commas": " ," * 14_000,
    "parameters": "permessage-deflate" + "; a" * 9_000,
    "semicolons": "permessage-deflate" + ";" * 28_000,
    "open quote": 'permessage-deflate; a="' + "x" * 28_000,
    "backslashes": 'permessage-deflate; a="' + "\\" * 28_001,
    "escaped quotes": 'permessage-deflate; a="' + '\\"' * 14_000,
    "many quotes": 'permessage-deflate; a="",' * 1_100,
    "one token": "x" * 28_000,
}


@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_headers_of_the_handshake_are_parsed_in_linear_time(server: Target, name: str, shape: str) -> None:
    value = SHAPES[shape]
    before = server.processor_time()
    async with server.connect() as raw:
        answer = await raw.upgrade(headers=f"{name}: {value}\r\n")
    assert answer.status in (101, 400)
    # Some milliseconds; a quadratic parser needs seconds for 28,000 characters, an exponential one never ends.
    assert server.processor_time() - before < 1.0
    await server.serves()


@pytest.mark.parametrize(
    "parameters",
    [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=0",
        "server_max_window_bits=-9",
        "server_max_window_bits=08",
        "server_max_window_bits=999999999999999999999",
        "server_max_window_bits",
        "client_max_window_bits=16",
        "client_max_window_bits=1000",
        "server_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "unknown",
    ],
)
async def test_a_bad_extension_parameter_is_declined(server: Target, parameters: str) -> None:
    async with server.connect() as raw:
        answer = await raw.upgrade(headers=f"Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n")
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers
        raw.frame(TEXT, b"plain")
        assert await raw.receive_frame() == (TEXT, b"plain")


@pytest.mark.parametrize(
    "value", ["permessage-deflate; server_max_window_bits=\u00b9\u2070"[:-1], "permessage-deflate; =", "; a", 'x; y="']
)
async def test_a_malformed_extension_header_is_400(server: Target, value: str) -> None:
    async with server.connect() as raw:
        assert (await raw.upgrade(headers=f"Sec-WebSocket-Extensions: {value}\r\n")).status == 400
    await server.serves()


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"unmasked", key=None),
        frame(TEXT | RSV1, compress(b"compressed")),
        frame(TEXT | 0x20, b"RSV2"),
        frame(0x83, b"opcode 3"),
        frame(0x09, b"ping in fragments"),
        header(PING, 126, masked=True) + bytes(130),
        frame(CONTINUATION, b"nothing to continue"),
        frame(0x01, b"a") + frame(TEXT, b"b"),
        header(TEXT, 5, masked=True, form=126) + bytes(9),
    ],
    ids=["unmasked", "rsv1", "rsv2", "opcode", "ping", "long ping", "continuation", "interleaved", "long form"],
)
async def test_what_is_not_of_the_protocol_is_1002(server: Target, data: bytes) -> None:
    async with server.connect() as raw:
        await raw.upgrade()
        raw.send(data)
        assert (await raw.receive_close())[0] == 1002
        raw.send_eof()
        assert await raw.read_all() == b""
    await server.serves()


async def test_control_frames_do_not_break_a_compressed_message_in_fragments(server: Target) -> None:
    data = compress(b"Hello" * 100)
    async with server.connect() as raw:
        await raw.upgrade(headers=DEFLATE)
        inflater = zlib.decompressobj(-15)
        for _ in range(2):
            raw.frame(0x01 | RSV1, data[:3])
            raw.frame(PING, b"p")
            raw.frame(0x00, data[3:7])
            raw.frame(PONG, b"unasked")
            raw.frame(CONTINUATION, data[7:])
            assert await raw.receive_frame() == (PONG, b"p")
            first, payload = await raw.receive_frame()
            assert first == TEXT | RSV1
            assert inflater.decompress(payload + b"\x00\x00\xff\xff") == b"Hello" * 100


@pytest.mark.parametrize(
    "data",
    [frame(0x01 | RSV1, b"\x00") + frame(CONTINUATION | RSV1, b"\x00"), frame(PING | RSV1, b"p")],
    ids=["continuation", "ping"],
)
async def test_rsv1_belongs_to_the_first_frame_of_a_message_only(server: Target, data: bytes) -> None:
    async with server.connect() as raw:
        await raw.upgrade(headers=DEFLATE)
        raw.send(data)
        assert (await raw.receive_close())[0] == 1002


async def test_messages_behind_a_final_block_are_not_empty(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade(headers=DEFLATE)
        for number in range(4):
            text = b"message %d" % number
            raw.frame(TEXT | RSV1, compress(text, flush=zlib.Z_FINISH) + b"\x00")
            assert await raw.receive_frame() == (TEXT, text)


async def test_what_cannot_be_inflated_is_1007(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade(headers=DEFLATE)
        raw.frame(TEXT | RSV1, b"\xff" * 20)
        assert (await raw.receive_close())[0] in (1002, 1007)
    await server.serves()


async def test_a_close_reason_is_exactly_what_was_sent(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade()
        raw.frame(TEXT, b"s" * 60_000)
        await raw.receive_frame()
        raw.frame(CLOSE, GOING + b"bye")
        first, payload = await raw.receive_frame()
        assert first == CLOSE
        assert payload in (GOING, GOING + b"bye")
        assert await raw.read_all() == b""


@pytest.mark.parametrize("connection", ["notupgrade", "upgrade-insecure", "Upgradex", "keep-alive", '"Upgrade"'])
async def test_upgrade_is_a_token_of_the_connection_header(server: Target, connection: str) -> None:
    async with server.connect() as raw:
        raw.send((HANDSHAKE % (b"/ws", b"")).replace(b"Connection: Upgrade", b"Connection: " + connection.encode()))
        assert (await raw.answer()).status in (400, 426)


async def test_the_body_of_a_refused_upgrade_is_not_the_next_request(server: Target) -> None:
    hidden = b"GET /members HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with server.connect() as raw:
        raw.send(HANDSHAKE % (b"/nothing", b"Content-Length: %d\r\n" % len(hidden)) + hidden)
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.answer()).status == 404
        assert (await raw.answer()).body == b"hello"
    async with server.connect() as raw:
        raw.send(HANDSHAKE % (b"/ws", b"Content-Length: %d\r\n" % len(hidden)) + hidden)
        assert (await raw.answer()).status == 400
        raw.send_eof()
        assert b"HTTP/1.1" not in await raw.read_all()


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://evil.example/localhost",
        "http://localhost@evil.example",
        "http://localhost:81",
        "https://localhost",
        "http://notlocalhost",
        "file://",
        "",
    ],
)
async def test_a_page_of_another_origin_opens_no_websocket(server: Target, origin: str) -> None:
    async with server.connect() as raw:
        assert (await raw.upgrade(headers=f"Origin: {origin}\r\n")).status == 403
    await server.serves()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0"])
async def test_a_rebound_name_is_421_though_origin_and_host_agree(server: Target, host: str) -> None:
    async with server.connect() as raw:
        handshake = HANDSHAKE % (b"/ws", f"Origin: http://{host}\r\n".encode())
        raw.send(handshake.replace(b"Host: localhost", b"Host: " + host.encode()))
        assert (await raw.answer()).status == 421
    await server.serves()


async def test_a_closing_handshake_that_is_not_answered_ends_within_its_time() -> None:
    router = Router()
    ended: list[int | None] = []

    @router.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        try:
            await ws.send("goodbye")
            await ws.close()
        finally:
            ended.append(ws.close_code)

    async with serve(router, limits=Limits(close_timeout=0.2)) as running, connect(running) as raw:
        await raw.upgrade()
        assert await raw.receive_frame() == (TEXT, b"goodbye")
        assert await raw.receive_close() == (1000, "")
        async with asyncio.timeout(DEADLINE):
            while not ended:  # data goes on and on instead of an answer
                if not raw.writer.is_closing():
                    raw.send(quick_frame(BINARY, b"x" * 100))
                await asyncio.sleep(0)
        assert ended == [1006]
        await until(lambda: not running.connections)


async def test_a_client_that_never_closes_its_stream_is_cut(server: Target) -> None:
    async with server.connect() as raw:
        await raw.upgrade("/room")
        await raw.receive_frame()
        raw.frame(CLOSE, GOING)
        await raw.receive_frame()
        assert await raw.read_all() == b""
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionError):
                while not raw.writer.is_closing():  # a stream that is still open would take this for ever
                    raw.send(b"x" * 1000)
                    await asyncio.sleep(0)
    await server.until_members([0, 0])


async def test_messages_behind_a_close_cost_nothing(server: Target) -> None:
    with server.within(4 * MIB):
        async with server.connect() as raw:
            await raw.upgrade()
            raw.send(frame(CLOSE, GOING) + quick_frame(BINARY, b"x" * 100_000) * 100)
            assert (await raw.receive_frame())[0] == CLOSE
            assert await raw.read_all() == b""
    await server.serves()
