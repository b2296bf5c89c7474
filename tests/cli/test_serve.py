"""``elio serve`` and the command line around it, as programs of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from elio import ConfigurationError, cli
from elio.cli import serve
from support.certificates import Certificates, make
from support.programs import dial, elio, start
from support.raw import until

APP = """
import asyncio
import time
from elio import EventStream, Request, Response, Router, WebSocket

router = Router()

@router.get("/")
async def index(request: Request) -> Response:
    return Response.text("hello")

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

@router.sse("/events")
async def events(stream: EventStream) -> None:
    await stream.send("one")
    await asyncio.Event().wait()
"""

ASKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
QUIET = ("--log-level", "warning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


# -- the command line itself -------------------------------------------------------------------------------------------


async def test_version_is_one_line(tmp_path: Path) -> None:
    async with elio("--version", cwd=tmp_path) as program:
        await program.says(r"elio \d+\.\d+\.\d+\S* \((pure Python|compiled: .*)\)")
        assert await program.ends() == 0


def test_the_version_says_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "running", lambda: {"elio.a": True, "elio.b": False, "elio.c": True})
    assert cli._version().endswith("(compiled: elio.a, elio.c)")
    monkeypatch.setattr(cli, "running", lambda: {"elio.a": False})
    assert cli._version().endswith("(pure Python)")


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_is_on_stdout(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: elio")
    assert "supervisor" not in out
    assert not err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["--fly"], "the following arguments are required: COMMAND"),
        (["serve"], "the following arguments are required: MODULE:ROUTER"),
        (["serve", "app", "--fly"], "unrecognized arguments: --fly"),
        (["serve", "app", "--rel"], "unrecognized arguments: --rel"),
        (["serve", "app", "more"], "unrecognized arguments: more"),
        (["serve", "app", "--port", "http"], "argument --port: invalid int value: 'http'"),
        (["serve", "app", "--port", "1", "--uds", "s"], "argument --uds: not allowed with argument --port"),
        (["serve", "app", "--fd", "3", "--uds", "s"], "argument --uds: not allowed with argument --fd"),
        (["serve", "app", "--drain", "-1"], "argument --drain: '-1' is not a number of seconds"),
        (["serve", "app", "--workers", "0"], "argument --workers: '0' is not a whole number from 1"),
        (["serve", "app", "--grace", "-1"], "argument --grace: '-1' is not a number of seconds"),
        (["serve", "app", "--grace", "nan"], "argument --grace: 'nan' is not a number of seconds"),
        (["serve", "app", "--grace", "inf"], "argument --grace: 'inf' is not a number of seconds"),
        (["serve", "app", "--grace", "soon"], "argument --grace: 'soon' is not a number of seconds"),
        (["serve", "app", "--log-level", "loud"], "argument --log-level: invalid choice: 'loud'"),
    ],
)
def test_a_wrong_command_line_is_told_with_status_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("usage: elio")
    assert text in err.splitlines()[-1]


async def test_a_wrong_command_line_ends_the_process_with_2(tmp_path: Path) -> None:
    async with elio("serve", cwd=tmp_path) as program:
        assert await program.ends(silently=False) == 2


# -- what goes wrong on the way ----------------------------------------------------------------------------------------


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    def fail(target: str) -> None:
        raise error

    monkeypatch.setattr(serve, "load_router", fail)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    return cli.main(["serve", "app", *arguments])


def test_what_cannot_be_done_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(ConfigurationError("not\n like  this"), monkeypatch) == 1
    assert capsys.readouterr().err == "elio: not like this\n"


def test_an_error_in_elio_is_one_line_and_status_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(ValueError("two\nlines"), monkeypatch) == 70
    assert capsys.readouterr() == ("", "elio: internal error: ValueError: two lines (--log-level debug shows more)\n")


@pytest.mark.parametrize(("error", "status"), [(ValueError("no"), 70), (ConfigurationError("no"), 1)])
def test_debug_shows_the_traceback_before_the_sentence(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(error, monkeypatch, "--log-level", "debug") == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("elio: ")


def test_an_interrupt_before_the_start_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr() == ("", "")


FILES = {
    "syntax.py": "from elio import Router\nrouter = Router(\n",
    "wants.py": "import nothing_of_this_name\n",
    "raises.py": "def fail():\n    raise RuntimeError('first line\\nsecond line')\nfail()\n",
    "leaves.py": "import sys\nsys.exit('set SECRET first')\n",
    "taken.py": (
        "from elio import Router\nrouter = Router()\n"
        "async def page(request): ...\nrouter.get('/a/:b')(page)\nrouter.get('/a/:b')(page)\n"
    ),
    "mounted.py": (
        "from elio import Router\nrouter, other = Router(), Router()\n"
        "async def page(request): ...\nrouter.get('/a')(page)\nother.get('/a')(page)\nrouter.mount('/', other)\n"
    ),
    "number.py": "router = 5\n",
}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["syntax"], r"the module 'syntax' cannot be loaded: '\(' was never closed \(/.*/syntax\.py, line 2\)"),
        (
            ["wants"],
            r"the module 'wants' cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name' "
            r"\(/.*/wants\.py, line 1\)",
        ),
        (
            ["raises"],
            r"the module 'raises' cannot be loaded: RuntimeError: first line second line \(/.*/raises\.py, line 2\)",
        ),
        (
            ["leaves"],
            r"the module 'leaves' cannot be loaded: SystemExit: set SECRET first \(/.*/leaves\.py, line 2\)",
        ),
        (["taken"], r"the module 'taken' cannot be loaded: pattern '/a/:b' is registered .* \(/.*/taken\.py, line 5\)"),
        (["mounted"], r"pattern '/a' is registered for GET already"),
        (["nothing:router"], r"there is no module 'nothing' here or in the path of Python"),
        (["nothing.py"], r"the file 'nothing\.py' does not exist"),
        (["app:nothing"], r"the module 'app' has no 'nothing'"),
        (["number"], r"'number' is of type int, not an elio\.Router"),
        (["app:index"], r"'app:index' is of type function, not an elio\.Router"),
        (["app", "--host", "192.0.2.1"], r"192\.0\.2\.1 is not an address of this machine"),
        (["app", "--port", "65536"], r"port 65536, allowed are 0 to 65535"),
        (["app", "--fd", "99"], r"descriptor 99 is not a socket that can listen: Bad file descriptor"),
        (["app", "--reload", "--workers", "2"], r"--reload goes with one process, not with --workers: .*"),
        (["app", "--channels", "kafka://x"], r"'kafka' is no engine for channels, .* are"),
        (["app", "--channels", "memory:", "--workers", "2"], r"channels in 'memory:' are not shared by 2 workers; .*"),
        (["app", "--status", "app.py"], r"the status cannot be told in app\.py: .*"),
        (["app", "--tls-cert", "cert.pem"], r"--tls-cert and --tls-key belong together"),
        (["app", "--tls-key", "key.pem"], r"--tls-cert and --tls-key belong together"),
        (["app", "--tls-cert", "no.pem", "--tls-key", "no.pem"], r"the TLS certificate 'no\.pem' does not exist"),
        (["app", "--uds", "app.py"], r"'app\.py' exists and is not a socket"),
    ],
)
async def test_what_cannot_start_says_why_in_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    async with elio("serve", *arguments, cwd=folder) as program:
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == 1


@pytest.mark.parametrize("more", [[], ["--reload"]])
async def test_a_busy_port_is_one_sentence(folder: Path, more: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        async with elio("serve", "app", "--port", str(port), *more, cwd=folder) as program:
            await program.complains(f"elio: port {port} on 127.0.0.1 is in use by another program")
            assert await program.ends() == 1


async def test_a_unix_socket_of_another_program_is_left_to_it(folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        async with elio("serve", "app", "--uds", str(path), cwd=folder) as program:
            await program.complains(f"elio: another program listens on the Unix socket '{re.escape(str(path))}'")
            assert await program.ends() == 1
        assert path.exists()


@pytest.mark.parametrize("more", [[], ["--reload"]])
async def test_a_certificate_must_fit_its_key(folder: Path, certificates: Certificates, more: list[str]) -> None:
    files = ["--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.other_key)]
    async with elio("serve", "app", *files, *more, cwd=folder) as program:
        await program.complains(r"elio: the TLS certificate '.*' with key '.*' cannot be used: .*")
        assert await program.ends() == 1


# -- where it listens --------------------------------------------------------------------------------------------------


async def test_the_banner_the_access_log_and_an_orderly_end(folder: Path) -> None:
    async with elio("serve", "app:router", "--port", "0", cwd=folder) as program:
        port = await program.serves()
        async with dial(port) as raw:
            assert (await raw.get("/")).body == b"hello"
            await program.logs_request("GET /")
            assert (await raw.get("/nothing\x7f")).status in (400, 404)
            await program.logs("elio.access", r"127\.0\.0\.1:\d+ '.*' 4\d\d \d+\.\dms")
            await program.logs("elio.server", r"http of 127\.0\.0\.1:\d+ ended after \d+\.\d s, protocol_error: .*")
        program.kill(signal.SIGTERM)
        await program.logs("elio.server", r"ending, with [01] connections open")
        assert await program.ends() == 0


async def test_at_level_warning_requests_are_not_logged(folder: Path) -> None:
    async with elio("serve", "app.py", "--port", "0", "--log-level", "warning", cwd=folder) as program:
        async with dial(await program.serves()) as raw:
            assert (await raw.get("/")).body == b"hello"
        program.kill(signal.SIGINT)
        assert await program.ends() == 0


async def test_port_and_host_are_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    async with elio("serve", "app", "--host", "127.0.0.2", "--port", str(port), *QUIET, cwd=folder) as program:
        assert await program.serves(host="127.0.0.2") == port
        async with dial(port, host="127.0.0.2") as raw:
            assert (await raw.get("/")).body == b"hello"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_every_interface_is_shown_once(folder: Path) -> None:
    async with elio("serve", "app", "--host", "", "--port", "0", *QUIET, cwd=folder) as program:
        port = await program.serves(host="localhost")
        for host in ("127.0.0.1", "::1"):
            async with dial(port, host=host) as raw:
                assert (await raw.get("/")).body == b"hello"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_a_unix_socket_is_gone_in_the_end(folder: Path) -> None:
    path = folder / "s"
    async with elio("serve", "app", "--uds", str(path), *QUIET, cwd=folder) as program:
        await program.says(f"serving on unix:{re.escape(str(path))}")
        await program.says(r"press Ctrl\+C to stop")
        async with dial(str(path)) as raw:
            assert (await raw.get("/")).body == b"hello"
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0
        assert not path.exists()


async def test_inherited_descriptors_are_listened_on(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        fds = [first.fileno(), second.fileno()]
        options = [word for fd in fds for word in ("--fd", str(fd))]
        async with elio("serve", "app", *options, *QUIET, cwd=folder, fds=fds) as program:
            ports = [sock.getsockname()[1] for sock in (first, second)]
            for port in ports:
                await program.says(f"serving on http://127.0.0.1:{port} and ws://127.0.0.1:{port}")
            await program.says(r"press Ctrl\+C to stop")
            for port in ports:
                async with dial(port) as raw:
                    assert (await raw.get("/")).body == b"hello"
            program.kill(signal.SIGTERM)
            assert await program.ends() == 0
        assert first.getsockname()[1] == ports[0]


async def test_tls_is_https_and_wss(folder: Path, certificates: Certificates) -> None:
    files = ["--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key)]
    async with elio("serve", "app", "--port", "0", *files, *QUIET, cwd=folder) as program:
        port = await program.serves(scheme="https")
        async with dial(port, ssl=certificates.client, server_hostname="localhost") as raw:
            assert (await raw.get("/")).body == b"hello"
            assert (await raw.upgrade()).status == 101
            program.kill(signal.SIGTERM)
            assert await raw.receive_close() == (1001, "the server is going away")
            raw.frame(0x88, b"\x03\xe9")
            assert await raw.read_all() == b""
        assert await program.ends() == 0


async def test_origins_and_hosts_are_those_of_the_options(folder: Path) -> None:
    who = ["--origin", "https://a.example", "--origin", "https://b.example", "--allowed-host", "c.example"]
    async with elio("serve", "app", "--port", "0", *who, *QUIET, cwd=folder) as program:
        port = await program.serves()
        async with dial(port) as raw:
            assert (await raw.get("/")).status == 421
            raw.send(b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n")
            assert (await raw.answer()).status == 200
        for origin, status in (("https://b.example", 101), ("https://d.example", 403)):
            async with dial(port) as raw:
                raw.send(
                    b"GET /ws HTTP/1.1\r\nHost: c.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    b"Origin: %b\r\n\r\n" % origin.encode()
                )
                assert (await raw.answer()).status == status
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0


async def test_proxies_are_those_of_the_options(folder: Path) -> None:
    proxies = ["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "unix", "--proxy-protocol"]
    async with elio("serve", "app", "--port", "0", *proxies, cwd=folder) as program:
        async with dial(await program.serves()) as raw:
            raw.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n")
            assert (await raw.get("/")).status == 200
        await program.logs("elio.access", r"192\.0\.2\.7:5000 'GET /' 200 \d+\.\dms")
        program.kill(signal.SIGTERM)
        await program.logs("elio.server", r"ending, with [01] connections open")
        assert await program.ends() == 0


# -- workers -----------------------------------------------------------------------------------------------------------


async def test_workers_share_the_port_and_end_in_order(folder: Path) -> None:
    async with elio("serve", "app", "--port", "0", "--workers", "2", cwd=folder) as program:
        await program.logs("elio.server", r"worker 1 \(pid \d+\) is ready")
        port = await program.serves()
        await program.logs("elio.server", r"worker 2 \(pid \d+\) is ready")
        async with dial(port) as raw:
            assert (await raw.get("/")).body == b"hello"
            await program.logs_request("GET /")
            program.kill(signal.SIGTERM)
            await program.logs("elio.server", "ending, with 2 workers")
            assert await raw.read_all() == b""
        for _ in range(2):
            await program.logs("elio.server", r"ending, with [01] connections open")
        assert await program.ends() == 0


async def test_an_error_of_the_first_worker_is_told_and_the_status_is_1(folder: Path) -> None:
    (folder / "wrong.py").write_text("router = 5")
    async with elio("serve", "wrong", "--port", "0", "--workers", "4", cwd=folder) as program:
        await program.complains(r"elio: 'wrong' is of type int, not an elio\.Router")
        sentence = "no worker can start: the first one has ended with status 1 before it was ready"
        await program.complains(f"elio: {sentence}")
        assert await program.ends() == 1


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_everything_end_in_order(folder: Path, number: int) -> None:
    async with elio("serve", "app", "--port", "0", "--grace", "15", cwd=folder) as program:
        port = await program.serves()
        async with dial(port) as request, dial(port) as websocket, dial(port) as events, dial(port) as idle:
            await idle.get("/")
            await program.logs_request("GET /")
            await websocket.upgrade()
            await program.logs_request("GET /ws", 101)
            events.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await events.read_until(b"data: one\n\n\r\n")
            await program.logs_request("GET /events")
            request.send(ASKED)
            assert (await request.head()).status == 100

            program.kill(number)
            await program.logs("elio.server", "ending, with 4 connections open")
            assert await idle.read_all() == b""
            assert re.fullmatch(rb"d\r\nretry: 10\d\d\n\n\r\n0\r\n\r\n", await events.read_all())
            assert await websocket.receive_close() == (1001, "the server is going away")
            websocket.frame(0x88, b"\x03\xe9")
            assert await websocket.read_all() == b""
            request.send(b"12345")
            answer = await request.answer()
            assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"12345", "close")
            await program.logs_request("POST /echo")
        assert await program.ends() == 0


async def test_what_is_open_behind_the_grace_is_cut(folder: Path) -> None:
    async with elio("serve", "app", "--port", "0", "--grace", "0.1", *QUIET, cwd=folder) as program:
        async with dial(await program.serves()) as raw:
            raw.send(ASKED)
            assert (await raw.head()).status == 100
            program.kill(signal.SIGTERM)
            assert await raw.read_all() == b""
        cut = r"connections still open after \d\.\d seconds, which are cut: 1"
        await program.logs("elio.server", cut, level="WARNING")
        assert await program.ends() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(folder: Path, number: int) -> None:
    async with elio("serve", "app", "--port", "0", cwd=folder) as program, dial(await program.serves()) as raw:
        raw.send(ASKED)
        assert (await raw.head()).status == 100
        program.kill(number)
        await program.logs("elio.server", "ending, with 1 connections open")
        program.kill(number)
        assert await program.ends() == 128 + number


async def test_a_second_signal_ends_at_once_though_a_handler_blocks_the_loop(folder: Path) -> None:
    async with elio("serve", "app", "--port", "0", cwd=folder) as program, dial(await program.serves()) as raw:
        raw.send(b"GET /block HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await program.says("blocked")
        program.kill(signal.SIGINT)
        program.kill(signal.SIGTERM)
        assert await program.ends() == 128 + signal.SIGTERM


async def test_a_reader_of_the_banner_may_leave(folder: Path) -> None:
    out, into = os.pipe()
    os.close(out)
    command = f"import os; os.dup2({into}, 1); from elio.cli import main; raise SystemExit(main())"
    path = folder / "s"
    async with start("-c", command, "serve", "app", "--uds", str(path), cwd=folder, fds=[into]) as program:
        os.close(into)
        await until(path.exists)
        program.kill(signal.SIGTERM)
        await program.logs("elio.server", "ending, with 0 connections open")
        assert await program.ends() == 0
