"""A terminal in this process; ``elio ws`` on one of its own is in ``test_ws.py``."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress

import pytest

from elio.cli.stdio.console import Console, is_interactive
from support.raw import until
from support.terminal import Screen

DEADLINE = 20.0


class Person:
    """Who sits before the terminal."""

    def __init__(self) -> None:
        self.fd, self.other = pty.openpty()
        fcntl.ioctl(self.other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        os.set_blocking(self.fd, False)
        self.screen = Screen()

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def look(self) -> list[str]:
        """What is on the screen now."""
        with suppress(BlockingIOError):
            self.screen.write(os.read(self.fd, 65536).decode())
        return self.screen.lines

    async def sees(self, *lines: str) -> None:
        """Wait until these are the last lines: the system takes its time between the two sides."""
        await until(lambda: self.look()[-len(lines) :] == list(lines))

    def modes(self) -> int:
        modes: int = termios.tcgetattr(self.other)[3]
        return modes

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.other)


@pytest.fixture
def person() -> Iterator[Person]:
    person = Person()
    yield person
    person.close()


def console_of(person: Person) -> Console:
    return Console(history=None, input_fd=person.other, output_fd=person.other)


async def next_line(console: Console) -> str | None:
    async with asyncio.timeout(DEADLINE):
        return await anext(console.lines(), None)


async def test_lines_come_until_ctrl_d(person: Person) -> None:
    console = console_of(person)
    before = person.modes()
    with console:
        assert not person.modes() & (termios.ECHO | termios.ICANON)
        person.type("zwei ü\r".encode())
        assert await next_line(console) == "zwei ü"
        person.type(b"\x04")
        assert await next_line(console) is None
    assert person.modes() == before
    await person.sees("> zwei ü", "")


async def test_what_is_shown_stays_above_the_prompt(person: Person) -> None:
    console = console_of(person)
    with console:
        person.type(b"\rabc\x02\x02")
        assert await next_line(console) == ""
        console.show("one\ntwo")
        await person.sees("> ", "one", "two", "> abc")
        await until(lambda: person.look() and person.screen.column == 3)
        assert person.screen.unknown == []


async def test_a_long_line_stays_on_one_row(person: Person) -> None:
    console = console_of(person)
    with console:
        person.type(b"\r" + b"x" * 100 + b"y")
        assert await next_line(console) == ""
        await person.sees("> " + "x" * 16 + "y")
        person.type(b"\r")
        assert await next_line(console) == "x" * 100 + "y"


async def test_behind_a_stop_the_terminal_is_taken_again(person: Person) -> None:
    with console_of(person):
        modes = termios.tcgetattr(person.other)
        modes[3] |= termios.ECHO
        termios.tcsetattr(person.other, termios.TCSANOW, modes)
        os.kill(os.getpid(), signal.SIGCONT)
        await until(lambda: not person.modes() & termios.ECHO)


async def test_a_terminal_that_is_gone_is_the_end_of_the_input() -> None:
    person = Person()
    console = console_of(person)
    with console:
        os.close(person.fd)
        assert await next_line(console) is None
        console.show("nobody sees it")
    os.close(person.other)


def test_tests_are_not_interactive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda fd: fd == 0)
    assert not is_interactive()
    monkeypatch.setattr(os, "isatty", lambda fd: True)
    monkeypatch.setenv("TERM", "xterm")
    assert is_interactive()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_interactive()
