"""The wire of the hub, against literals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from elio.channels.engines.local.frames import MAX_FRAME_SIZE, FrameProtocol, frame
from elio.errors import EngineLost


class Pipe(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def abort(self) -> None:
        self.is_aborted = True


class End(FrameProtocol):
    """Remembers what it received."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[dict[str, Any], bytes]] = []
        self.why = ""

    def received(self, head: dict[str, Any], body: bytes) -> None:
        if head.get("op") == "bad":
            raise KeyError("id")
        self.seen.append((head, body))

    def lost(self, why: str) -> None:
        self.why = why


def test_a_frame_is_its_size_a_line_and_a_body() -> None:
    assert frame({"id": 1}, b"\nx") == b"\0\0\0\x0b" + b'{"id":1}\n\nx'


def test_frames_whole_and_byte_by_byte() -> None:
    data = frame({"a": 1}, b"x\ny") + frame({"b": 2}) + frame({"c": 3}, b"z" * 1000)
    for size in (1, 13, len(data)):
        end = End()
        for start in range(0, len(data), size):
            end.data_received(data[start : start + size])
        assert end.seen == [({"a": 1}, b"x\ny"), ({"b": 2}, b""), ({"c": 3}, b"z" * 1000)]


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\2x\n", b"\0\0\0\3[]x", frame({"op": "bad"}), (MAX_FRAME_SIZE + 1).to_bytes(4, "big")],
)
def test_what_is_no_frame_ends_the_connection(data: bytes) -> None:
    end, pipe = End(), Pipe()
    end.connection_made(pipe)
    end.data_received(data + frame({"never": 1}))
    assert pipe.is_aborted
    assert end.seen == [] or data == b"\0\0\0\3[]x"


async def test_frames_of_one_turn_are_one_write() -> None:
    end, pipe = End(), Pipe()
    with pytest.raises(EngineLost):
        end.send({})
    end.connection_made(pipe)
    end.send({"a": 1})
    end.send({"b": 2}, b"x")
    await asyncio.sleep(0)
    assert pipe.written == [frame({"a": 1}) + frame({"b": 2}, b"x")]
    assert end.waiting == len(pipe.written[0])
    end.connection_lost(None)
    assert end.why == "closed by the other end"
    assert end.waiting == 0
