"""Programs in processes of their own: the examples, and peers in other languages."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, Final, Self

from support.house import ROOT
from support.raw import DEADLINE

__all__ = ["EXAMPLES", "Finished", "Program", "complaints", "example", "python", "run"]

EXAMPLES: Final = ROOT / "examples"
_PORT: Final = re.compile(r"https?://[^/\s]+:(\d+)")


class Program:
    """A process that is running, and gone at the end of its ``with`` block whatever happens."""

    def __init__(self, *command: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._output = b""
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, env=_environment()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()

    def line(self) -> str:
        """The next line of its standard output."""
        until = time.monotonic() + DEADLINE
        while b"\n" not in self._output:
            self._output += self._read(until)
        line, _, self._output = self._output.partition(b"\n")
        return line.decode()

    def _read(self, until: float) -> bytes:
        stream = self.process.stdout
        if stream is None or not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError(f"no line of {self.process.args} within {DEADLINE:g} seconds\n{self.errors}")
        data = os.read(stream.fileno(), 65536)
        if not data:
            raise EOFError(f"{self.process.args} ended with status {self.process.wait()}\n{self.errors}")
        return data

    def port(self) -> int:
        """The port in the URL of its next line."""
        line = self.line()
        found = _PORT.search(line)
        if found is None:
            raise ValueError(f"no URL in {line!r}")
        return int(found[1])

    @property
    def errors(self) -> str:
        """What it wrote to its standard error so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status; negative for the signal that ended it."""
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        """End it without asking."""
        self.process.kill()
        self.process.wait()


def _environment() -> dict[str, str]:
    # A warning in a program of ours is an error there, too.
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}


def python(*arguments: str) -> Program:
    """A program of this Python."""
    return Program(sys.executable, *arguments)


def example(name: str, *arguments: str) -> Program:
    """An example of that name, as a person starts it."""
    return python(str(EXAMPLES / f"{name}.py"), *arguments)


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that came to its end."""

    status: int
    output: bytes
    errors: str


def complaints(errors: str) -> list[str]:
    """What a program in asyncio's debug mode has complained of; that a step took long on a busy machine is none."""
    return [line for line in errors.splitlines() if not re.fullmatch(r"Executing <.* took [\d.]+ seconds", line)]


async def run(*command: str, data: bytes = b"", environment: dict[str, str] | None = None) -> Finished:
    """Run a program to its end while the loop goes on.

    Args:
        command: program and arguments.
        data: its standard input.
        environment: what is added to the variables of this process.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        try:
            async with asyncio.timeout(2 * DEADLINE):
                await process.communicate(data)
        except TimeoutError:
            said = "\n".join(_content(file).decode(errors="replace") for file in (output, errors))
            raise TimeoutError(f"{command} did not end within {2 * DEADLINE:g} seconds\n{said}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        return Finished(process.returncode or 0, _content(output), _content(errors).decode())


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
