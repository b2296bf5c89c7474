"""Servers of engines in processes of their own: each with its own port, socket and folder, and gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from .guard import Guard

__all__ = ["NatsServer", "RedisServer", "Served", "held_port"]

_DEADLINE: Final = 30.0
_PATH: Final = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


@contextmanager
def held_port() -> Iterator[int]:
    """A port of loopback for a server that comes and goes: nobody else is given it in between.

    A socket that is bound and does not listen keeps it from whoever asks for any port, and from outgoing connections,
    and lets a server listen that asks for this one with SO_REUSEADDR.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


class Served:
    """A server that can be killed, stopped, and started again on what it kept.

    Attributes:
        port: of loopback.
        folder: what it keeps.
    """

    program = ""

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path()
        self._kept = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._is_stopped = False

    def arguments(self) -> list[str]:
        """How it is started."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="elio-engine-"))
        self._kept.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.port = self._kept.enter_context(held_port())
        self._kept.callback(self.kill)
        try:
            self.start()
        except BaseException:
            self._kept.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def start(self) -> None:
        """Start, and wait until it answers."""
        program = shutil.which(self.program, path=_PATH)
        if program is None:
            raise FileNotFoundError(f"there is no {self.program}: run `make test` once, or tools/setup_tests.sh")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *self.arguments()], stdout=log, stderr=log)
        self._guard = Guard(self._process)
        until = time.monotonic() + _DEADLINE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.program} does not answer\n{(self.folder / 'log').read_text()}")
            time.sleep(0.01)

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it without asking."""
        if self._guard is not None:
            self._guard.lift()
            self._guard = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """It answers no more, but its connections stay."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def exchange(self, data: bytes, end: bytes) -> bytes:
        """Send something, and read up to an end; empty if that does not work."""
        answer = b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5.0) as peer:
            peer.settimeout(5.0)
            peer.sendall(data)
            while end not in answer and (part := peer.recv(65536)):
                answer += part
        return answer


class RedisServer(Served):
    """A Redis.

    Args:
        keeps: whether it keeps what it was told over a restart: an append-only file that is synced before it answers.
        options: more of its options.
    """

    program = "redis-server"

    def __init__(self, *options: str, keeps: bool = True) -> None:
        super().__init__()
        self._keeps = keeps
        self._options = options

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        """Its Unix socket."""
        return str(self.folder / "socket")

    def arguments(self) -> list[str]:
        keeping = ["--appendonly", "yes", "--appendfsync", "always"] if self._keeps else ["--appendonly", "no"]
        return [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket),
            *("--dir", str(self.folder), "--save", "", *keeping, *self._options),
        ]

    def answers(self) -> bool:
        return self.exchange(b"PING\r\n", b"\r\n").startswith((b"+PONG", b"-NOAUTH"))

    def say(self, *words: str, until: bytes = b"\r\n") -> bytes:
        """A command, and its answer up to the end of the first line, or up to something else."""
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in words)
        return self.exchange(command, until)


class NatsServer(Served):
    """A NATS with JetStream, which keeps what it was told."""

    program = "nats-server"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"nats://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        return ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)]

    def answers(self) -> bool:
        return b"PONG" in self.exchange(b'CONNECT {"verbose":false}\r\nPING\r\n', b"PONG")
