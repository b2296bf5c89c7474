"""Programs of their own: started, read line by line, ended. What they print and nobody expects is a failure."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from support.house import SOURCE
from support.raw import Raw

DEADLINE = 20.0
"""Seconds for anything that is waited for: a busy machine needs some for the start of an interpreter."""

LOG = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} %s *%s  %s"
"""A line of a log: level, logger, message."""

_END = None


class Program:
    """One process. Its lines are taken one by one, and each must be what the test says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0
        self._output = {"stdout": asyncio.Queue[str | None](), "stderr": asyncio.Queue[str | None]()}
        self._readers = [
            asyncio.ensure_future(self._read(process.stdout, "stdout")),
            asyncio.ensure_future(self._read(process.stderr, "stderr")),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        assert stream is not None
        while line := await stream.readline():
            self._output[name].put_nowait(line.decode().rstrip("\n"))
        self._output[name].put_nowait(_END)

    async def says(self, pattern: str, *, stream: str = "stdout") -> re.Match[str]:
        """The next line on stdout, which must be like this."""
        async with asyncio.timeout(DEADLINE):
            line = await self._output[stream].get()
        found = None if line is None else re.fullmatch(pattern, line)
        if found is None:
            raise AssertionError(f"{line!r} on {stream} instead of {pattern!r}; then {self._rest()}")
        return found

    async def complains(self, pattern: str) -> re.Match[str]:
        """The next line on stderr, which must be like this."""
        return await self.says(pattern, stream="stderr")

    async def logs(self, name: str, message: str, *, level: str = "INFO") -> re.Match[str]:
        """The next line on stderr, which must be this line of a log."""
        return await self.complains(LOG % (level, re.escape(name), message))

    async def serves(self, *, scheme: str = "http", host: str = "127.0.0.1") -> int:
        """The banner; returns the port."""
        found = await self.says(rf"serving on {scheme}://{host}:(\d+) and {scheme.replace('http', 'ws')}://{host}:\1")
        await self.says(r"press Ctrl\+C to stop")
        self.port = int(found[1])
        return self.port

    async def logs_request(self, line: str, status: int = 200) -> None:
        """The access log of one request comes next."""
        client = r"127\.0\.0\.1:\d+"
        await self.logs("elio.access", rf"{client} '{re.escape(line)}' {status} \d+\.\dms")

    def feed(self, data: bytes) -> None:
        """Let it read this; it was started with ``stdin=PIPE``."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def feed_eof(self) -> None:
        """Let it read the end of its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        with suppress(ConnectionError):  # it does not want to read it
            await self.process.stdin.wait_closed()

    async def leave(self) -> None:
        """Close the pipe that its output goes to."""
        self._readers[0].cancel()
        await asyncio.wait([self._readers[0]])
        self._readers[0] = asyncio.ensure_future(asyncio.sleep(0))
        transport: Any = self.process._transport  # type: ignore[attr-defined]
        transport.get_pipe_transport(1).close()

    def kill(self, number: int, *, group: bool = False) -> None:
        """Send a signal, to all processes of the group as a terminal does it, or to this one."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    async def ends(self, *, silently: bool = True) -> int:
        """Wait for the end of it and of every process that has its output.

        Returns:
            The exit status.
        """
        async with asyncio.timeout(DEADLINE):
            status = await self.process.wait()
            await asyncio.gather(*self._readers)
        rest = self._rest()
        if silently and rest:
            raise AssertionError(f"unexpected output: {rest}")
        return status

    def _rest(self) -> list[str]:
        lines = []
        for name, queue in self._output.items():
            while not queue.empty():
                line = queue.get_nowait()
                if line is not _END:
                    lines.append(f"{name}: {line}")
        return lines

    async def reap(self) -> None:
        """Leave nothing behind, whatever has happened."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self.process._transport.close()  # type: ignore[attr-defined]


def usual_environment() -> dict[str, str]:
    """The environment without what a developer may have set for Python: it is to behave as it does by itself."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**usual, "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default", "COLUMNS": "200"}


@asynccontextmanager
async def start(
    *arguments: str, cwd: Path, fds: Sequence[int] = (), stdin: int = asyncio.subprocess.DEVNULL, **environment: str
) -> AsyncIterator[Program]:
    """Run Python with these arguments, in a process group of its own.

    Args:
        arguments: of the interpreter.
        cwd: the present folder of the program.
        fds: descriptors that it inherits.
        stdin: nothing to read, or a pipe, or a descriptor.
        environment: variables beside the usual ones.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=cwd,
        pass_fds=fds,
        env={**usual_environment(), **environment},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    program = Program(process)
    try:
        yield program
    finally:
        await program.reap()


@asynccontextmanager
async def elio(*arguments: str, cwd: Path, **options: Any) -> AsyncIterator[Program]:
    """``elio`` with these arguments."""
    async with start("-m", "elio", *arguments, cwd=cwd, **options) as program:
        yield program


@asynccontextmanager
async def dial(where: int | str, *, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Raw]:
    """A raw connection to a port or to the path of a Unix socket."""
    async with asyncio.timeout(DEADLINE):
        if isinstance(where, str):
            reader, writer = await asyncio.open_unix_connection(where)
        else:
            reader, writer = await asyncio.open_connection(host, where, **options)
    raw = Raw(reader, writer)
    try:
        yield raw
    finally:
        await raw.close()


def replace(path: Path, text: str, *, mtime_ns: int | None = None) -> None:
    """Write a file as editors do it: at once, never half."""
    new = path.with_suffix(".new")
    new.write_text(text)
    if mtime_ns is not None:
        os.utime(new, ns=(mtime_ns, mtime_ns))
    new.replace(path)
