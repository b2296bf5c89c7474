"""Several processes on one port, as programs of their own: replaced, killed, ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from elio import ConfigurationError, Router, run
from elio.server.process.workers import longest_end
from support.certificates import make
from support.programs import DEADLINE, Program, dial, start
from support.raw import Raw, until

PROGRAM = """
import json, logging, os, sys
from elio import Request, Response, Router, Server, WebSocket, run

logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
logging.getLogger("elio.access").setLevel("WARNING")
router = Router()
running = []

@router.get("/")
async def index(request: Request) -> Response:
    worker = running[0].worker
    return Response.json({"pid": os.getpid(), "number": worker.number, "age": worker.age, "code": CODE})

@router.websocket("/ws")
async def talk(ws: WebSocket) -> None:
    await ws.send(str(os.getpid()))
    async for message in ws:
        await ws.send(message)

run(router, workers=WORKERS, on_start=running.append, **OPTIONS)
"""


def program_of(workers: int, code: str = "1", **options: object) -> str:
    options = {"port": 0, "drain": 0.0} | options
    constants = f"CODE = {code}\nWORKERS = {workers}\nOPTIONS = {options!r}\n"
    return constants + PROGRAM


class Workers:
    """The program, and what is known of its workers."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.pids: dict[int, int] = {}
        self.where: int | str = 0

    async def ready(self) -> int:
        """The next line says that a worker is ready; returns its number."""
        found = await self.program.complains(r"worker (\d+) \(pid (\d+)\) is ready")
        self.pids[int(found[1])] = int(found[2])
        return int(found[1])

    async def started(self, count: int) -> None:
        assert await self.ready() == 1
        found = await self.program.says(r"serving on (?:https?://127\.0\.0\.1:(\d+)|unix:(.*)) \(Ctrl\+C to stop\)")
        self.where = int(found[1]) if found[1] else found[2]
        for _ in range(count - 1):
            await self.ready()
        assert self.pids.keys() == set(range(1, count + 1))

    async def end(self) -> None:
        """SIGTERM, and the orderly end of all."""
        count = len(self.pids)
        self.program.kill(signal.SIGTERM)
        await self.program.complains(f"ending, with {count} workers")
        for _ in range(count):
            await self.program.complains(r"ending, with \d+ connections open")
        assert await self.program.ends() == 0


@asynccontextmanager
async def workers(folder: Path, count: int, **options: Any) -> AsyncIterator[Workers]:
    path = folder / "program.py"
    path.write_text(program_of(count, **options))
    async with start(str(path), cwd=folder) as program:
        found = Workers(program)
        await found.started(count)
        yield found


async def ask(where: int | str, **options: Any) -> dict[str, Any]:
    """What a new connection gets; it must not be refused."""
    async with dial(where, **options) as raw:
        answer = await raw.get("/", headers="Connection: close\r\n")
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.body)
        return found


async def websocket_pid(raw: Raw) -> int:
    assert (await raw.upgrade()).status == 101
    return int((await raw.receive_frame())[1])


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_connections_are_spread_and_every_worker_knows_which_one_it_is(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as found:
        seen: dict[int, int] = {}
        async with asyncio.timeout(DEADLINE):
            while len(seen) < 2:
                answer = await ask(found.where)
                seen[answer["number"]] = answer["pid"]
                assert 0 <= answer["age"] < 60
        assert seen == found.pids
        found.program.kill(signal.SIGUSR1)
        one, two = (rf"{number} \(pid {found.pids[number]}, \d+ s\)" for number in (1, 2))
        await found.program.complains(f"2 workers: {one}, {two}")
        await found.end()
        assert not any(map(is_alive, found.pids.values()))


async def test_sighup_replaces_all_one_by_one_and_refuses_nobody(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as found:
        before = dict(found.pids)
        (tmp_path / "program.py").write_text(program_of(2, code="2", port=0))
        async with dial(found.where) as raw:
            pid = await websocket_pid(raw)
            asked = done = 0
            stop = asyncio.Event()

            async def keep_asking() -> None:
                nonlocal asked, done
                while not stop.is_set():
                    asked += 1
                    await ask(found.where)
                    done += 1

            asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
            found.program.kill(signal.SIGHUP)
            await found.program.complains("replacing 2 workers, one by one")
            for number in (1, 2):
                assert await found.ready() == number
                with_it = int(before[number] == pid)
                if with_it:
                    assert await raw.receive_close() == (1012, "the server is restarting")
                    raw.frame(0x88, b"\x03\xf4")
                await found.program.complains(r"ending, with \d+ connections open")
            await found.program.complains("all workers have been replaced")
            stop.set()
            await asyncio.gather(*asking)
            assert asked == done > 0
        assert not any(map(is_alive, before.values()))
        assert (await ask(found.where))["code"] == 2  # a worker runs the program as it is now
        await found.end()


async def test_a_replacement_that_cannot_start_changes_nothing(tmp_path: Path) -> None:
    async with workers(tmp_path, 1) as found:
        pid = found.pids[1]
        (tmp_path / "program.py").write_text("raise SystemExit(3)")
        found.program.kill(signal.SIGHUP)
        await found.program.complains("replacing 1 workers, one by one")
        how = "has ended with status 3 before it was ready: the others stay"
        await found.program.complains(rf"worker 1 \(pid \d+\) {how}")
        assert (await ask(found.where))["pid"] == pid
        await found.end()


async def test_a_killed_worker_takes_only_its_own_connections_along(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as found:
        async with asyncio.timeout(DEADLINE):
            mine: dict[int, Raw] = {}
            open_now = []
            while len(mine) < 2:
                connection = dial(found.where)
                raw = await connection.__aenter__()
                open_now.append(connection)
                mine[await websocket_pid(raw)] = raw
        victim, survivor = found.pids[1], found.pids[2]
        os.kill(victim, signal.SIGKILL)
        assert await mine[victim].read_all() == b""
        await found.program.complains(
            rf"worker 1 \(pid {victim}\) has ended by SIGKILL after \d+\.\d seconds, another one starts now"
        )
        answers = await asyncio.gather(*(ask(found.where) for _ in range(8)))  # nobody is refused meanwhile
        assert await found.ready() == 1
        assert {answer["pid"] for answer in answers} <= {survivor, found.pids[1]}
        mine[survivor].frame(0x81, b"still there")
        assert await mine[survivor].receive_frame() == (0x81, b"still there")
        found.program.kill(signal.SIGUSR1)
        await found.program.complains(r"2 workers: 1 \(pid \d+, \d+ s, started 2 times\), 2 \(pid \d+, \d+ s\)")
        for connection in open_now:
            await connection.__aexit__(None, None, None)
        await found.end()


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as found, dial(found.where) as raw:
        await websocket_pid(raw)
        found.program.kill(signal.SIGTERM)
        assert await raw.receive_close() == (1001, "the server is going away")
        found.program.kill(signal.SIGTERM)
        assert await found.program.ends(silently=False) == 128 + signal.SIGTERM
        assert await raw.read_all() == b""
        await until(lambda: not any(map(is_alive, found.pids.values())))


async def test_a_signal_to_the_whole_group_is_no_second_one(tmp_path: Path) -> None:
    """As a service manager or a terminal sends it."""
    async with workers(tmp_path, 2) as found, dial(found.where) as raw:
        await websocket_pid(raw)
        found.program.kill(signal.SIGTERM, group=True)
        assert await raw.receive_close() == (1001, "the server is going away")
        raw.frame(0x88, b"\x03\xe9")
        assert await raw.read_all() == b""
        assert await found.program.ends(silently=False) == 0


async def test_workers_end_in_order_when_their_supervisor_was_killed(tmp_path: Path) -> None:
    async with workers(tmp_path, 2) as found, dial(found.where) as raw:
        await websocket_pid(raw)
        found.program.kill(signal.SIGKILL)
        assert await raw.receive_close() == (1001, "the server is going away")
        raw.frame(0x88, b"\x03\xe9")
        assert await raw.read_all() == b""
        assert await found.program.ends(silently=False) == -signal.SIGKILL


async def test_a_first_worker_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("import os\nif 'ELIO_WORKER' in os.environ: raise SystemExit(5)\n" + program_of(4))
    async with start(str(path), cwd=tmp_path) as program:
        assert await program.ends(silently=False) == 1


async def test_unix_sockets_and_descriptors_are_shared(tmp_path: Path) -> None:
    where = tmp_path / "s"
    async with workers(tmp_path, 2, uds=str(where)) as found:
        assert found.where == str(where)
        assert (await ask(str(where)))["pid"] in found.pids.values()
        await found.end()
        assert not where.exists()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        path = tmp_path / "program.py"
        path.write_text(program_of(2, fd=sock.fileno()))
        async with start(str(path), cwd=tmp_path, fds=[sock.fileno()]) as program:
            found = Workers(program)
            await found.started(2)
            assert found.where == sock.getsockname()[1]
            assert (await ask(found.where))["pid"] in found.pids.values()
            await found.end()


async def test_tls(tmp_path: Path) -> None:
    files = make(tmp_path)
    async with workers(tmp_path, 2, tls=(str(files.certificate), str(files.key))) as found:
        answer = await ask(found.where, ssl=files.client, server_hostname="localhost")
        assert answer["pid"] in found.pids.values()
        await found.end()


async def test_a_port_that_another_such_program_has_is_in_use(tmp_path: Path) -> None:
    async with workers(tmp_path, 1) as found:
        path = tmp_path / "other.py"
        path.write_text(program_of(1, port=found.where))
        async with start(str(path), cwd=tmp_path) as other:
            assert await other.ends(silently=False) == 1
        await found.end()


# -- what cannot be ----------------------------------------------------------------------------------------------------


def test_at_least_one_worker_is_needed() -> None:
    with pytest.raises(ConfigurationError, match=r"^0 workers, at least 1 is needed$"):
        run(Router(), port=0, workers=0)


def test_other_systems_are_told_that_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.name", "nt")
    with pytest.raises(ConfigurationError, match=r"^workers do not exist on this system"):
        run(Router(), port=0, workers=2)


async def test_another_thread_is_no_place_for_them() -> None:
    with pytest.raises(ConfigurationError, match=r"^workers are looked after in the main thread"):
        await asyncio.to_thread(run, Router(), port=0, workers=2)


def test_patience_is_longer_than_the_longest_end() -> None:
    assert longest_end(3.0, 4.0) > 7.0
    assert longest_end(None, 4.0) > 14.0
    assert re.match(r"\d", str(longest_end(0.0, 0.0)))
