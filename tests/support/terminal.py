"""A terminal with a program on it: keys go in, and what a person would see is looked at."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.programs import DEADLINE, usual_environment

_PART = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|([^\x1b])", re.DOTALL)


class Screen:
    """The lines of a terminal that knows CR, LF, erasing to the end of the line, and going right; no wrapping."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0
        self.unknown: list[str] = []
        self._rest = ""

    def write(self, text: str) -> None:
        text = self._rest + text
        position = 0
        while found := _PART.match(text, position):
            position = found.end()
            self._obey(found)
        self._rest = text[position:]

    def _obey(self, found: re.Match[str]) -> None:
        number, command, carriage_return, line_feed, character = found.groups()
        line = self.lines[-1]
        if command == "K" and not number:
            self.lines[-1] = line[: self.column]
        elif command == "C":
            self.column += int(number or 1)
        elif command:
            self.unknown.append(found[0])
        elif carriage_return:
            self.column = 0
        elif line_feed:
            self.lines.append("")
            self.column = 0
        else:
            self.lines[-1] = line.ljust(self.column)[: self.column] + character + line[self.column + 1 :]
            self.column += 1


class Terminal:
    """One program on one terminal.

    Attributes:
        screen: what is seen.
    """

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self.process = process
        self.screen = Screen()
        self._fd = fd
        self._came = asyncio.Event()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody has the other side any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
        self.screen.write(data.decode())
        self._came.set()

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._fd, keys.encode())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the screen is like this."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not condition():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"the screen stays {self.screen.lines}") from None

    async def shows(self, *lines: str) -> None:
        """Wait until these are the last lines; the cursor is in the last one."""
        await self.until(lambda: self.screen.lines[-len(lines) :] == list(lines))

    def echoes(self) -> bool:
        """Whether the terminal shows by itself what is typed, as it does before and after a program like this."""
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    async def ends(self) -> int:
        """Wait for the end of the program; its status."""
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()

    async def reap(self) -> None:
        """Leave nothing behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


def _take(fd: int) -> None:
    """Be the one on this terminal. uvloop calls it before anything else happens to the new process."""
    os.setsid()
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


@asynccontextmanager
async def on_terminal(*arguments: str, cwd: Path, columns: int = 60, **environment: str) -> AsyncIterator[Terminal]:
    """Run ``elio`` with these arguments on a terminal of its own."""
    fd, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "elio",
        *arguments,
        cwd=cwd,
        env={**usual_environment(), "TERM": "xterm", "XDG_STATE_HOME": str(cwd), **environment},
        stdin=other,
        stdout=other,
        stderr=other,
        preexec_fn=lambda: _take(other),
    )
    terminal = Terminal(process, fd)
    try:
        yield terminal
    finally:
        await terminal.reap()
        os.close(other)
