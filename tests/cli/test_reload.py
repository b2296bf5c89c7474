"""``elio serve --reload``: a supervisor, its server, and the files they come from."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from elio.cli import main
from elio.cli.reload import changes, snapshot
from support.certificates import make
from support.programs import DEADLINE, Program, dial, elio, replace, start

APP = """
import time
from elio import Request, Response, Router, WebSocket

router = Router()

@router.get("/")
async def index(request: Request) -> Response:
    return Response.text({text!r})

@router.post("/echo")
async def echo(request: Request) -> Response:
    return Response.bytes(await request.body())

@router.get("/block")
async def block(request: Request) -> Response:
    print("blocked", flush=True)
    time.sleep(60)
    return Response.text("never")

@router.websocket("/ws")
async def talk(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)
"""

QUIET = ("--log-level", "warning")
BROKEN = r"elio: the module 'app' cannot be loaded: invalid syntax \(/.*/app\.py, line 1\)"
WAITING = "the server has ended with status 1, waiting for a file to change"
ASKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP.format(text="one"))
    return path


@asynccontextmanager
async def reloading(app: Path, *arguments: str) -> AsyncIterator[Program]:
    where = () if {"--uds", "--fd", "--port"} & set(arguments) else ("--port", "0")
    async with elio("serve", "app", "--reload", *where, *arguments, cwd=app.parent) as program:
        yield program


async def body_of(port: int) -> bytes:
    """What a new connection gets; it must not be refused."""
    async with dial(port) as raw:
        return (await raw.get("/", headers="Connection: close\r\n")).body


# -- a changed file ----------------------------------------------------------------------------------------------------


async def test_a_changed_file_starts_the_server_anew_and_nobody_is_refused(app: Path) -> None:
    async with reloading(app, *QUIET) as program:
        port = await program.serves()
        assert await body_of(port) == b"one"
        replace(app, APP.format(text="the second one"))
        async with asyncio.timeout(DEADLINE):
            while (body := await body_of(port)) != b"the second one":
                assert body == b"one"
        await program.says(r"app\.py changed, starting anew")
        assert await program.serves() == port
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_a_change_within_the_second_and_of_the_same_size_is_not_lost_to_the_bytecode(app: Path) -> None:
    second = time.time_ns() // 10**9 * 10**9
    replace(app, APP.format(text="one"), mtime_ns=second + 1)
    async with reloading(app, *QUIET) as program:
        port = await program.serves()
        assert await body_of(port) == b"one"
        replace(app, APP.format(text="two"), mtime_ns=second + 2)
        await program.says(r"app\.py changed, starting anew")
        assert await program.serves() == port
        assert await body_of(port) == b"two"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_an_error_in_a_file_is_told_and_the_next_change_is_waited_for(app: Path) -> None:
    async with reloading(app, *QUIET) as program:
        port = await program.serves()
        for _ in range(2):
            replace(app, "def broken(:\n")
            await program.says(r"app\.py changed, starting anew")
            await program.complains(BROKEN)
            await program.says(WAITING)
            waiting = asyncio.ensure_future(body_of(port))  # it is not refused, it waits
            replace(app, APP.format(text="mended"))
            await program.says(r"app\.py changed, starting anew")
            assert await program.serves() == port
            async with asyncio.timeout(DEADLINE):
                assert await waiting == b"mended"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_an_error_at_the_start_is_waited_out_too(app: Path) -> None:
    replace(app, "def broken(:\n")
    async with reloading(app, *QUIET) as program:
        await program.complains(BROKEN)
        await program.says(WAITING)
        replace(app.with_name("other.py"), "")
        await program.says(r"other\.py changed, starting anew")
        await program.complains(BROKEN)
        await program.says(WAITING)
        program.kill(signal.SIGINT)
        assert await program.ends() == 0


async def test_several_changes_are_one_new_start(app: Path) -> None:
    async with reloading(app, *QUIET) as program:
        port = await program.serves()
        folder = app.with_name(".hidden")
        folder.mkdir()
        for name in ("a.py", "b.py", "c.py"):
            replace(folder / name, "")
        folder.rename(app.with_name("pack"))
        await program.says(r"pack/a\.py and 2 more changed, starting anew")
        await program.serves()
        assert await body_of(port) == b"one"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_files_beside_the_module_are_watched_though_it_is_elsewhere(app: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with elio("serve", "../app.py", "--reload", "--port", "0", *QUIET, cwd=elsewhere) as program:
        port = await program.serves()
        replace(app, APP.format(text="two!"))
        await program.says(r"\.\./app\.py changed, starting anew")
        assert await program.serves() == port
        assert await body_of(port) == b"two!"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_websockets_are_told_that_the_server_comes_back(app: Path) -> None:
    async with reloading(app, *QUIET) as program, dial(await program.serves()) as raw:
        assert (await raw.upgrade()).status == 101
        replace(app, APP.format(text="two!"))
        assert await raw.receive_close() == (1012, "the server is restarting")
        raw.frame(0x88, b"\x03\xf4")
        assert await raw.read_all() == b""
        await program.says(r"app\.py changed, starting anew")
        await program.serves()
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


# -- the options are the server's --------------------------------------------------------------------------------------


async def test_every_socket_is_passed_on(app: Path) -> None:
    async with reloading(app, "--host", "", *QUIET) as program:
        port = await program.serves(host="localhost")
        for host in ("127.0.0.1", "::1"):
            async with dial(port, host=host) as raw:
                assert (await raw.get("/")).body == b"one"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_a_unix_socket_outlives_the_servers_and_is_gone_in_the_end(app: Path) -> None:
    path = app.with_name("s")
    async with reloading(app, "--uds", str(path), *QUIET) as program:
        for text in ("one", "two!"):
            await program.says(f"serving on unix:{path}")
            await program.says(r"press Ctrl\+C to stop")
            async with dial(str(path)) as raw:
                assert (await raw.get("/")).body == text.encode()
            if text == "one":
                replace(app, APP.format(text="two!"))
                await program.says(r"app\.py changed, starting anew")
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0
        assert not path.exists()


async def test_the_other_options_reach_the_server(app: Path) -> None:
    files = make(app.parent)
    tls = ["--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    who = ["--allowed-host", "c.example", "--origin", "https://a.example", "--trusted-proxy", "127.0.0.1"]
    async with reloading(app, *tls, *who, *QUIET) as program:
        port = await program.serves(scheme="https")
        async with dial(port, ssl=files.client, server_hostname="localhost") as raw:
            assert (await raw.get("/")).status == 421
            assert (await raw.get("/", headers="X-Forwarded-Host: c.example\r\n")).status == 200
            raw.send(b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n")
            assert (await raw.answer()).body == b"one"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_ctrl_c_reaches_both_and_the_server_ends_in_order(app: Path) -> None:
    async with reloading(app) as program, dial(await program.serves()) as raw:
        assert (await raw.upgrade()).status == 101
        await program.logs_request("GET /ws", 101)
        program.kill(signal.SIGINT, group=True)
        await program.logs("elio.server", "ending, with 1 connections open")
        assert await raw.receive_close() == (1001, "the server is going away")
        raw.frame(0x88, b"\x03\xe9")
        assert await raw.read_all() == b""
        assert await program.ends() == 0


async def test_a_second_ctrl_c_ends_both_at_once(app: Path) -> None:
    async with reloading(app) as program, dial(await program.serves()) as raw:
        raw.send(ASKED)
        assert (await raw.head()).status == 100
        program.kill(signal.SIGINT, group=True)
        await program.logs("elio.server", "ending, with 1 connections open")
        program.kill(signal.SIGINT, group=True)
        assert await program.ends() == 128 + signal.SIGINT
        assert await raw.read_all() == b""


async def test_the_server_ends_in_order_when_its_supervisor_was_killed(app: Path) -> None:
    async with reloading(app) as program, dial(await program.serves()) as raw:
        assert (await raw.upgrade()).status == 101
        await program.logs_request("GET /ws", 101)
        program.kill(signal.SIGKILL)
        await program.logs("elio.server", "ending, with 1 connections open")
        assert await raw.receive_close() == (1001, "the server is going away")
        raw.frame(0x88, b"\x03\xe9")
        assert await raw.read_all() == b""
        assert await program.ends() == -signal.SIGKILL


async def test_a_server_that_does_not_end_is_killed(app: Path) -> None:
    prelude = "import elio.server.process.workers as workers; workers._OVERTIME = 0.1"
    command = f"{prelude}; from elio.cli import main; raise SystemExit(main())"
    options = ["serve", "app", "--reload", "--port", "0", "--drain", "0", "--grace", "0.1", *QUIET]
    async with start("-c", command, *options, cwd=app.parent) as program:
        port = await program.serves()
        async with dial(port) as raw:
            raw.send(b"GET /block HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await program.says("blocked")
            replace(app, APP.format(text="not blocked"))
            await program.says(r"app\.py changed, starting anew")
            assert await program.serves() == port
        assert await body_of(port) == b"not blocked"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


def test_other_systems_are_told_that_it_does_not_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.name", "nt")
    assert main(["serve", "app", "--reload"]) == 1
    assert capsys.readouterr().err.startswith("elio: --reload does not work on this system")


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def test_a_snapshot_has_the_python_files_below_a_folder(tmp_path: Path) -> None:
    seen = ["a.py", "pack/b.py", "pack/inner/c.py"]
    hidden = [".d.py", ".git/e.py", "pack/__pycache__/f.py", "node_modules/g.py", "lib/site-packages/h.py"]
    write(tmp_path, [*seen, *hidden, "i.txt", "j.pyc", "venv/pyvenv.cfg", "venv/k.py"])
    (tmp_path / "pack" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing")
    assert snapshot(str(tmp_path)).keys() == {str(tmp_path / name) for name in seen}
    assert snapshot(str(tmp_path / "nothing")) == {}


def test_a_folder_that_may_not_be_read_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert snapshot(".") == {}


def test_changes_are_new_changed_and_missing_files() -> None:
    before = {"a": (1, 1), "b": (1, 1), "c": (1, 1), "d": (1, 1)}
    now = {"a": (1, 1), "b": (2, 1), "c": (1, 2), "e": (1, 1)}
    assert changes(before, now) == ["b", "c", "d", "e"]
    assert changes(now, now) == []
