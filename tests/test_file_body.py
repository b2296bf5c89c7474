"""Tests of elio.file_body."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from elio import file_body
from elio.file_body import CHUNK_SIZE, FileBody, identity_of


def make_file(folder: Path, data: bytes) -> str:
    path = folder / "file"
    path.write_bytes(data)
    return str(path)


async def collect(body: FileBody) -> list[bytes]:
    return [data async for data in body]


@pytest.mark.parametrize(
    ("offset", "length", "data"), [(0, 10, b"0123456789"), (0, 1, b"0"), (9, 1, b"9"), (2, 5, b"23456"), (5, 0, b"")]
)
async def test_a_part_of_the_file_is_read(tmp_path: Path, offset: int, length: int, data: bytes) -> None:
    path = make_file(tmp_path, b"0123456789")
    assert b"".join(await collect(FileBody(path, offset, length))) == data


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (CHUNK_SIZE - 1, [CHUNK_SIZE - 1]),
        (CHUNK_SIZE, [CHUNK_SIZE]),
        (CHUNK_SIZE + 1, [CHUNK_SIZE, 1]),
        (3 * CHUNK_SIZE, [CHUNK_SIZE] * 3),
    ],
)
async def test_it_comes_in_chunks(tmp_path: Path, size: int, sizes: list[int]) -> None:
    data = os.urandom(size)
    chunks = await collect(FileBody(make_file(tmp_path, data), 0, size))
    assert [len(chunk) for chunk in chunks] == sizes
    assert b"".join(chunks) == data


async def test_it_can_be_read_again(tmp_path: Path) -> None:
    body = FileBody(make_file(tmp_path, b"abc"), 0, 3)
    assert await collect(body) == await collect(body) == [b"abc"]


def test_open_stands_at_the_offset(tmp_path: Path) -> None:
    with FileBody(make_file(tmp_path, b"abc"), 1, 2).open() as file:
        assert file.read() == b"bc"


async def test_a_file_that_is_another_one_now_is_not_sent(tmp_path: Path) -> None:
    path = make_file(tmp_path, b"abc")
    body = FileBody(path, 0, 3, identity_of(os.stat(path)))
    assert await collect(body) == [b"abc"]
    os.rename(path, tmp_path / "old")
    make_file(tmp_path, b"def")
    with pytest.raises(OSError, match="has changed before it was sent"):
        await collect(body)


async def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collect(FileBody(str(tmp_path / "none"), 0, 1))


async def test_a_file_that_shrank_is_an_error(tmp_path: Path) -> None:
    path = make_file(tmp_path, b"abc")
    chunks = aiter(FileBody(path, 0, 5))
    assert await anext(chunks) == b"abc"
    with pytest.raises(OSError, match="ended 2 bytes early"):
        await anext(chunks)


# -- leaving early ----------------------------------------------------------------------------------------------------


class Watched(FileBody):
    """A file that notes what was opened, and whose opening can be held up."""

    __slots__ = ("files", "gate", "reached")

    def __init__(self, path: str, length: int) -> None:
        super().__init__(path, 0, length)
        object.__setattr__(self, "files", [])
        object.__setattr__(self, "gate", threading.Event())
        object.__setattr__(self, "reached", threading.Event())

    def open(self) -> BinaryIO:
        file = FileBody.open(self)
        cast(list[BinaryIO], self.files).append(file)  # type: ignore[attr-defined]
        self.reached.set()  # type: ignore[attr-defined]
        self.gate.wait(10)  # type: ignore[attr-defined]
        return file


async def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    body = Watched(make_file(tmp_path, bytes(2 * CHUNK_SIZE)), 2 * CHUNK_SIZE)
    body.gate.set()  # type: ignore[attr-defined]
    chunks = cast(AsyncGenerator[bytes, None], aiter(body))
    assert len(await anext(chunks)) == CHUNK_SIZE
    assert not body.files[0].closed  # type: ignore[attr-defined]
    await chunks.aclose()
    assert body.files[0].closed  # type: ignore[attr-defined]


async def test_the_thread_of_a_cancelled_reader_closes_the_file(tmp_path: Path) -> None:
    body = Watched(make_file(tmp_path, b"abc"), 3)
    task = asyncio.create_task(collect(body))
    await asyncio.to_thread(body.reached.wait, 10)  # type: ignore[attr-defined]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not body.files[0].closed  # type: ignore[attr-defined]
    body.gate.set()  # type: ignore[attr-defined]
    await asyncio.get_running_loop().shutdown_default_executor()
    assert body.files[0].closed  # type: ignore[attr-defined]


def test_a_reader_that_was_closed_opens_nothing(tmp_path: Path) -> None:
    reader = file_body._Reader(FileBody(str(tmp_path / "none"), 0, 1))
    reader.close()
    assert reader.read() == b""
