"""A client and the servers it must not trust: each ends in what is documented, in time and in little memory."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

import elio
from elio import (
    ConnectError,
    ConnectionClosedError,
    HandshakeError,
    LimitExceeded,
    Limits,
    MessageTooBig,
    RemoteProtocolError,
    WebSocket,
)
from elio.websocket.handshake import accept_key
from support.frames import frame, header
from support.memory import MIB, grows_at_most
from support.raw import DEADLINE, Raw
from support.scripts import Script, listening

LIMITS = Limits(open_timeout=DEADLINE, close_timeout=0.2, ping_interval=None)
IMPATIENT = replace(LIMITS, open_timeout=0.3)
"""For servers that do not answer. A busy machine may be too slow for it where an answer comes."""

PATIENCE = 10.0
"""Seconds that nothing here may take, on a busy machine."""


async def connect(port: int, **options: Any) -> WebSocket:
    defaults: dict[str, Any] = {"limits": LIMITS, "subprotocols": ["chat"], "compression": False, **options}
    return await elio.connect(f"ws://127.0.0.1:{port}/", **defaults)


async def read_key(raw: Raw) -> str:
    request = (await raw.read_until(b"\r\n\r\n")).decode("latin-1")
    return next(line.split(": ")[1] for line in request.split("\r\n") if line.startswith("Sec-WebSocket-Key"))


def answer(*changes: tuple[str, str | None], status: str = "101 Switching Protocols") -> Script:
    """An opening handshake in which some headers are others, or missing."""

    async def script(raw: Raw) -> None:
        headers: dict[str, str | None] = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_key(await read_key(raw)),
            **dict(changes),
        }
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        raw.send(f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode("latin-1"))
        await raw.read_all()

    return script


def after_handshake(then: Callable[[Raw], Awaitable[None]], extensions: str = "") -> Script:
    """A good opening handshake, and then something."""

    async def script(raw: Raw) -> None:
        key = accept_key(await read_key(raw))
        raw.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key.encode() + b"\r\n" + extensions.encode() + b"\r\n"
        )
        await then(raw)

    return script


def sends(data: bytes) -> Callable[[Raw], Awaitable[None]]:
    """Send, then only read."""

    async def then(raw: Raw) -> None:
        raw.send(data)
        await raw.read_all()

    return then


# -- the opening handshake ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (answer(("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")), "Sec-WebSocket-Accept is 'AAA"),
        (answer(("Sec-WebSocket-Accept", None)), "0 headers Sec-WebSocket-Accept"),
        (answer(("Upgrade", None)), "upgrades to nothing"),
        (answer(("Upgrade", "h2c")), "upgrades to h2c"),
        (answer(("Connection", None)), "without Connection: Upgrade"),
        (answer(("Connection", "keep-alive, notupgrade")), "without Connection: Upgrade"),
        (answer(("Sec-WebSocket-Extensions", "permessage-deflate")), "permessage-deflate"),
        (answer(("Sec-WebSocket-Extensions", "x-webkit-frame")), "x-webkit-frame"),
        (answer(("Sec-WebSocket-Protocol", "json")), "subprotocol 'json', which was not offered"),
    ],
)
async def test_an_answer_that_does_not_fit(script: Script, told: str) -> None:
    async with listening(script) as port:
        with pytest.raises(HandshakeError, match=told) as caught:
            await connect(port)
        assert caught.value.status == 101
        assert caught.value.headers


@pytest.mark.parametrize("offered", [True, False])
async def test_an_extension_parameter_that_is_wrong(offered: bool) -> None:
    extension = "permessage-deflate; server_max_window_bits=99"
    async with listening(answer(("Sec-WebSocket-Extensions", extension))) as port:
        with pytest.raises(HandshakeError):
            await connect(port, compression=offered)


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404, 426, 500, 503])
async def test_another_status(status: int) -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        raw.send(f"HTTP/1.1 {status} X\r\nX-Why: because\r\n\r\n".encode() + (b"" if status == 204 else b"no"))
        raw.send_eof()

    async with listening(script) as port:
        with pytest.raises(HandshakeError, match=f"status {status} instead of 101") as caught:
            await connect(port)
        assert (caught.value.status, dict(caught.value.headers)) == (status, {"X-Why": "because"})
        assert caught.value.body == (b"" if status == 204 else b"no")


async def test_a_refusal_with_an_endless_body() -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        raw.send(b"HTTP/1.1 500 No\r\n\r\n")
        while True:
            raw.send(b"x" * 65536)
            await raw.writer.drain()

    async with listening(script) as port:
        with grows_at_most(4 * MIB), pytest.raises(HandshakeError) as caught:
            await connect(port)
        assert caught.value.body == b"x" * 65536


async def test_headers_without_end() -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        raw.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            raw.send(b"X-Header: %s\r\n" % (b"x" * 1000) * 50)
            await raw.writer.drain()

    async with listening(script) as port:
        with grows_at_most(4 * MIB), pytest.raises(HandshakeError, match="limit") as caught:
            await connect(port)
        assert isinstance(caught.value.__cause__, LimitExceeded)


async def test_a_line_without_end() -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        raw.send(b"HTTP/1.1 101 ")
        while True:
            raw.send(b"x" * 65536)
            await raw.writer.drain()

    async with listening(script) as port:
        with grows_at_most(4 * MIB), pytest.raises(HandshakeError, match="limit"):
            await connect(port)


async def test_interim_answers_without_end() -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        while True:
            raw.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
            await raw.writer.drain()

    async with listening(script) as port:
        with pytest.raises(HandshakeError, match="interim responses"):
            await connect(port)


async def test_headers_that_dribble_in() -> None:
    async def script(raw: Raw) -> None:
        await read_key(raw)
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Slow: yes\r\n" * 1000:
            raw.send(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0.02)

    async with listening(script) as port:
        began = time.monotonic()
        with pytest.raises(ConnectError, match=r"within 0\.3 seconds") as caught:
            await connect(port, limits=IMPATIENT)
        assert caught.value.timed_out
        assert time.monotonic() - began < PATIENCE


async def test_silence_instead_of_an_answer() -> None:
    async def script(raw: Raw) -> None:
        await raw.read_all()

    async with listening(script) as port:
        began = time.monotonic()
        with pytest.raises(ConnectError, match=r"within 0\.3 seconds"):
            await connect(port, limits=IMPATIENT)
        assert time.monotonic() - began < PATIENCE


async def test_silence_instead_of_tls() -> None:
    async def script(raw: Raw) -> None:
        await raw.read_all()

    async with listening(script) as port:
        with pytest.raises(ConnectError, match=r"within 0\.3 seconds"):
            await elio.connect(f"wss://127.0.0.1:{port}/", limits=IMPATIENT)


# -- frames ------------------------------------------------------------------------------------------------------------


async def end_of(ws: WebSocket) -> ConnectionClosedError:
    """How it ends, within the time that anything here may take."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionClosedError) as caught:
            _ = [message async for message in ws]
        await ws.wait_closed()
    return caught.value


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (frame(0x81, b"hi"), "mask"),
        (b"\xc1\x00", "reserved bits"),
        (b"\x83\x00", "opcode"),
        (b"\x81\x7e\x00\x05hello", "length"),
        (b"\x89\x7e\x00\x7e", "control frame of more than 125"),
        (b"\x00\x00", "continuation"),
        (b"\x88\x01\x03", "close"),
    ],
)
async def test_frames_that_break_the_protocol(data: bytes, told: str) -> None:
    closes: list[tuple[int, str]] = []

    async def then(raw: Raw) -> None:
        raw.send(b"\x81\x05first" + data)
        closes.append(await raw.receive_close())
        await raw.read_all()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port)
        assert await ws.receive() == "first"
        end = await end_of(ws)
        assert told.lower() in str(end).lower()
        assert isinstance(end.__cause__, RemoteProtocolError)
    assert closes[0][0] == 1002


async def test_text_that_is_not_utf8() -> None:
    async with listening(after_handshake(sends(b"\x81\x02\xff\xff"))) as port:
        end = await end_of(await connect(port))
        assert isinstance(end.__cause__, RemoteProtocolError)
        assert end.__cause__.close_code == 1007


async def test_a_message_that_is_announced_too_large() -> None:
    for size in (1024 * 1024 + 1, 2**31, 2**63 - 1):
        async with listening(after_handshake(sends(header(0x82, size, masked=False)))) as port:
            with grows_at_most(4 * MIB):
                end = await end_of(await connect(port))
            assert isinstance(end.__cause__, MessageTooBig)
            assert (end.__cause__.size, end.__cause__.limit) == (size, 1024 * 1024)


async def test_fragments_without_end() -> None:
    async def then(raw: Raw) -> None:
        raw.send(b"\x02\x00")
        while True:
            raw.send(b"\x00\x7e\xff\xff" + bytes(65535))
            await raw.writer.drain()

    async with listening(after_handshake(then)) as port:
        with grows_at_most(8 * MIB):
            end = await end_of(await connect(port))
        assert isinstance(end.__cause__, MessageTooBig)


async def test_a_small_frame_that_inflates_to_a_large_message() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(200 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = header(0xC2, len(bomb) - 4, masked=False) + bomb[:-4]
    script = after_handshake(sends(data), "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    async with listening(script) as port:
        with grows_at_most(8 * MIB):
            end = await end_of(await connect(port, compression=True))
        assert isinstance(end.__cause__, MessageTooBig)


async def test_pings_without_end() -> None:
    async def then(raw: Raw) -> None:
        while True:
            raw.send(b"\x89\x7d" + bytes(125) + b"\x89\x00" * 1000)
            await raw.writer.drain()

    async with listening(after_handshake(then)) as port:
        with grows_at_most(8 * MIB):
            end = await end_of(await connect(port))
        assert "1000" in str(end)


async def test_messages_without_end_that_nobody_takes() -> None:
    async def then(raw: Raw) -> None:
        while True:
            raw.send((b"\x82\x7e\xff\xff" + bytes(65535)) * 8)
            await raw.writer.drain()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port, max_message_size=65535)
        with grows_at_most(8 * MIB):
            for _ in range(10):
                await asyncio.sleep(0.01)
        ws.abort()
        await ws.wait_closed()


async def fill(ws: WebSocket) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await ws.send(bytes(65536))


async def test_a_server_that_takes_nothing() -> None:
    given_up = asyncio.Event()

    async def then(raw: Raw) -> None:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await given_up.wait()

    limits = Limits(send_timeout=0.3, ping_interval=None)
    async with listening(after_handshake(then)) as port:
        ws = await connect(port, limits=limits)
        with grows_at_most(40 * MIB), pytest.raises(ConnectionClosedError):
            await fill(ws)
        given_up.set()


async def test_a_reset_in_the_middle_of_a_frame() -> None:
    async def then(raw: Raw) -> None:
        raw.send(b"\x81\x7e\x10\x00half")
        await raw.writer.drain()
        await raw.read(1)
        raw.reset()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port)
        await ws.send("now")
        end = await end_of(ws)
        assert end.code == 1006


async def test_an_end_in_the_middle_of_a_frame() -> None:
    async def then(raw: Raw) -> None:
        raw.send(b"\x81\x7e\x10\x00half")
        raw.send_eof()

    async with listening(after_handshake(then)) as port:
        end = await end_of(await connect(port))
        assert end.code == 1006


async def test_silence_on_an_open_connection() -> None:
    async def then(raw: Raw) -> None:
        await raw.read_all()

    async with listening(after_handshake(then)) as port:
        began = time.monotonic()
        end = await end_of(await connect(port, ping_interval=0.1, ping_timeout=0.2))
        assert "ping" in str(end) or end.code == 1006
        assert time.monotonic() - began < PATIENCE


async def test_silence_instead_of_the_answer_to_a_close_frame() -> None:
    async def then(raw: Raw) -> None:
        await raw.read_all()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port)
        async with asyncio.timeout(PATIENCE):
            await ws.close()
        assert ws.close_code == 1006


async def test_a_server_that_does_not_close_tcp() -> None:
    cut = asyncio.Event()

    async def then(raw: Raw) -> None:
        assert await raw.receive_close() == (1000, "")
        raw.send(b"\x88\x02\x03\xe8")
        assert await raw.read_all() == b""  # the client waits for a while, then cuts
        cut.set()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port)
        async with asyncio.timeout(PATIENCE):
            await ws.close()
            await cut.wait()
        assert ws.close_code == 1000


async def test_a_server_that_talks_on_behind_its_close_frame() -> None:
    async def then(raw: Raw) -> None:
        raw.send(b"\x88\x02\x03\xe8")
        while True:
            raw.send(b"\x81\x7e\xff\xff" + b"x" * 65535)
            await raw.writer.drain()

    async with listening(after_handshake(then)) as port:
        ws = await connect(port)
        with grows_at_most(8 * MIB):
            async with asyncio.timeout(PATIENCE):
                assert [message async for message in ws] == []
                await ws.wait_closed()
        assert ws.close_code == 1000


# -- right behind the handshake ----------------------------------------------------------------------------------------


def with_handshake(behind: bytes, then: Callable[[Raw], Awaitable[None]]) -> Script:
    """A good opening handshake with more in the same write, and then something."""

    async def script(raw: Raw) -> None:
        key = accept_key(await read_key(raw))
        raw.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key.encode() + b"\r\n\r\n" + behind
        )
        await then(raw)

    return script


async def test_frames_right_behind_the_handshake_are_received() -> None:
    async with listening(with_handshake(b"\x81\x02hi\x88\x02\x03\xe8", sends(b""))) as port:
        ws = await connect(port)
        async with asyncio.timeout(DEADLINE):
            assert [message async for message in ws] == ["hi"]
            await ws.wait_closed()


async def test_what_follows_them_keeps_its_order() -> None:
    frames = b"".join(b"\x82\x7e\x10\x00" + bytes([number]) * 4096 for number in range(200))
    async with listening(with_handshake(frames[:300_001], sends(frames[300_001:]))) as port:
        for _ in range(20):
            ws = await connect(port)
            async with asyncio.timeout(DEADLINE):
                got = [await ws.receive() for _ in range(200)]
            assert [message[0] for message in got] == list(range(200))
            ws.abort()
            await ws.wait_closed()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def test_messages_before_a_violation_are_answered() -> None:
    answered: list[tuple[int, bytes]] = []

    async def then(raw: Raw) -> None:
        answered.append(await raw.receive_frame())
        answered.append(await raw.receive_frame())
        await raw.read_all()

    async with listening(with_handshake(b"\x81\x02hi\xff\x00", then)) as port:
        ws = await connect(port)
        with pytest.raises(ConnectionClosedError):
            await echo(ws)
        await ws.wait_closed()
    assert answered[0] == (0x81, b"hi")
    assert answered[1][0] == 0x88
