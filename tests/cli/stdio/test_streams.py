"""Standard input and output as pipes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from elio import ConfigurationError
from elio.cli.stdio.streams import Input, Output

DEADLINE = 20.0


class Pipe:
    """Both ends."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        self._open = {self.out, self.into}

    def close(self, fd: int) -> None:
        self._open.remove(fd)
        os.close(fd)

    def close_all(self) -> None:
        for fd in list(self._open):
            self.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close_all()


async def collect(parts: AsyncIterator[bytes]) -> list[bytes]:
    async with asyncio.timeout(DEADLINE):
        return [part async for part in parts]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\rc\n\nd", [b"a", b"b\rc", b"", b"d"]),
    ],
)
async def test_lines_end_with_lf_or_crlf(pipe: Pipe, data: bytes, lines: list[bytes]) -> None:
    os.write(pipe.into, data)
    pipe.close(pipe.into)
    assert await collect(Input(pipe.out).lines()) == lines


async def test_a_line_may_come_in_pieces(pipe: Pipe) -> None:
    lines = Input(pipe.out).lines()
    coming = asyncio.ensure_future(anext(lines))
    for part in (b"on", b"e\r", b"\nrest"):
        os.write(pipe.into, part)
        await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        assert await coming == b"one"
    pipe.close(pipe.into)
    assert await collect(lines) == [b"rest"]


async def test_pieces_come_as_they_are(pipe: Pipe) -> None:
    pieces = Input(pipe.out).pieces()
    for part in (b"one\n", b"\0\xff"):
        os.write(pipe.into, part)
        async with asyncio.timeout(DEADLINE):
            assert await anext(pieces) == part
    pipe.close(pipe.into)
    assert await collect(pieces) == []


async def test_input_that_cannot_be_read_is_one_sentence(pipe: Pipe) -> None:
    with pytest.raises(ConfigurationError, match="the input cannot be read: Bad file descriptor"):
        await collect(Input(pipe.into).pieces())


async def test_input_that_was_closed_at_the_start_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert await collect(Input().lines()) == []


async def test_output_that_was_closed_at_the_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(ConfigurationError, match="the output is closed"):
        Output()


async def test_a_slow_reader_is_waited_for_while_the_loop_goes_on(pipe: Pipe) -> None:
    data = os.urandom(1_000_000)
    output = Output(pipe.into)
    assert not output.is_terminal
    writing = asyncio.ensure_future(output.write(data))
    await asyncio.sleep(0)
    assert not writing.done()
    read = b""
    async for piece in Input(pipe.out).pieces():
        read += piece
        if len(read) == len(data):
            break
    async with asyncio.timeout(DEADLINE):
        await writing
    assert read == data


async def test_little_is_written_at_once(pipe: Pipe) -> None:
    with pytest.raises(StopIteration):
        Output(pipe.into).write(b"little").send(None)
    assert os.read(pipe.out, 100) == b"little"


@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_a_reader_that_has_left_is_a_broken_pipe(pipe: Pipe, size: int) -> None:
    pipe.close(pipe.out)
    with pytest.raises(BrokenPipeError):
        await Output(pipe.into).write(bytes(size))


async def test_output_that_cannot_be_written_to_is_one_sentence() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(ConfigurationError, match="the output cannot be written to: No space left on device"):
            await Output(fd).write(b"x")
    finally:
        os.close(fd)
