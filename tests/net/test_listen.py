"""Listening sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from elio.errors import ConfigurationError
from elio.net import listen
from elio.net.listen import (
    Address,
    is_loopback,
    open_for_workers,
    open_sockets,
    probe_silent_peers,
    url_of,
)


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_port_0_is_a_free_one_and_the_url_says_which() -> None:
    sockets = open_sockets(Address(port=0), 10)
    port = sockets[0].getsockname()[1]
    assert port > 0
    assert url_of(sockets[0], tls=False) == f"http://127.0.0.1:{port}"
    assert url_of(sockets[0], tls=True) == f"https://127.0.0.1:{port}"
    assert is_loopback(sockets[0])
    close(sockets)


def test_a_busy_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"^port {port} on 127.0.0.1 is in use by another program$"):
            open_sockets(Address(port=port), 10)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "port 80 on h may not be used by this user"),
        (errno.EADDRNOTAVAIL, "h is not an address of this machine"),
        (errno.ENOBUFS, "cannot listen on h port 80: No buffer space"),
    ],
)
def test_other_errors_are_sentences_too(number: int, text: str) -> None:
    assert listen._why(OSError(number, "No buffer space"), ("h", 80)) == text


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_must_be_one(port: int) -> None:
    with pytest.raises(ConfigurationError, match="allowed are 0 to 65535"):
        open_sockets(Address(port=port), 10)


def test_a_name_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="cannot be resolved"):
        open_sockets(Address(host="no host", port=0), 10)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not an address of this machine"):
        open_sockets(Address(host="192.0.2.1", port=0), 10)


def test_every_interface_shares_one_port() -> None:
    sockets = open_sockets(Address(host="", port=0), 10)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert not any(is_loopback(sock) for sock in sockets)
    assert all(url_of(sock, tls=False).startswith("http://localhost:") for sock in sockets)
    close(sockets)


def test_ipv6_stands_in_brackets() -> None:
    sockets = open_sockets(Address(host="::1", port=0), 10)
    assert url_of(sockets[0], tls=False).startswith("http://[::1]:")
    assert is_loopback(sockets[0])
    close(sockets)


def test_a_failing_address_closes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    bind = listen._bind_tcp

    def fail_second(family: int, where: tuple[object, ...], backlog: int) -> socket.socket:
        if opened:
            raise ConfigurationError("no")
        opened.append(bind(family, where, backlog))
        return opened[0]

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{number}", 0)) for number in (1, 2)]
    monkeypatch.setattr(listen, "_bind_tcp", fail_second)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ConfigurationError, match="no"):
        open_sockets(Address(port=0), 10)
    assert opened[0].fileno() == -1


def test_a_unix_socket_replaces_a_stale_one(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    close(open_sockets(Address(uds=path), 10))
    sockets = open_sockets(Address(uds=path), 10)
    assert url_of(sockets[0], tls=False) == f"unix:{path}"
    assert not is_loopback(sockets[0])
    with pytest.raises(ConfigurationError, match="another program listens"):
        open_sockets(Address(uds=path), 10)
    close(sockets)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="is not a socket"):
        open_sockets(Address(uds=str(path)), 10)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on the Unix socket"):
        open_sockets(Address(uds=str(tmp_path / "no" / "s")), 10)


def test_a_socket_that_answers_oddly_is_not_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(ConfigurationError, match="cannot listen"):
            open_sockets(Address(uds=path), 10)
        assert os.path.exists(path)


def test_an_inherited_descriptor_is_used_and_left_to_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        sockets = open_sockets(Address(fd=owner.fileno()), 10)
        assert sockets[0].getsockname() == owner.getsockname()
        close(sockets)
        assert owner.fileno() != -1


def test_a_descriptor_that_is_no_socket_is_an_error() -> None:
    with open(os.devnull) as file, pytest.raises(ConfigurationError, match="is not a socket that can listen"):
        open_sockets(Address(fd=file.fileno()), 10)


def test_what_cannot_be_inherited_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with socket.socket() as connected, socket.create_server(("127.0.0.1", 0)) as other:
        connected.connect(other.getsockname())
        with pytest.raises(ConfigurationError, match="is not a socket that can listen"):
            open_sockets(Address(fd=connected.fileno()), 10)
        assert connected.getpeername() == other.getsockname()
    with open(os.devnull) as file, pytest.raises(ConfigurationError):
        open_sockets(Address(fd=file.fileno()), 10)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


@pytest.mark.parametrize(("timeout", "first", "interval"), [(15.0, 4, 3), (3.0, 1, 1), (0.5, 1, 1), (60.0, 16, 12)])
def test_probes_of_silent_peers_leave_time_to_notice(timeout: float, first: int, interval: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        probe_silent_peers(sock, timeout)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if sys.platform == "linux":
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [first, interval, 2]


def test_a_unix_socket_is_not_probed() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        probe_silent_peers(sock, 15.0)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


# -- several processes -------------------------------------------------------------------------------------------------


def test_descriptors_go_before_a_path_and_a_path_before_a_host() -> None:
    given: dict[str, Any] = {"host": "h", "port": 1}
    assert listen.addresses(**given, uds=None, fd=[3, 4]) == [Address(fd=3), Address(fd=4)]
    assert listen.addresses(**given, uds="s", fd=5) == [Address(fd=5)]
    assert listen.addresses(**given, uds="s", fd=None) == [Address(host="h", port=1, uds="s")]


def test_workers_have_sockets_of_their_own_on_one_port_and_each_gets_its_share() -> None:
    opened = open_for_workers(Address(host="", port=0), 100, 3)
    assert [len(sockets) for sockets in opened] == [2, 2, 2]
    port = opened[0][0].getsockname()[1]
    assert {sock.getsockname()[1] for sockets in opened for sock in sockets} == {port}
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(90)]
    shares = []
    for sockets in opened:
        shares.append(0)
        for sock in sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.accept()[0].close()
                    shares[-1] += 1
    assert sum(shares) == 90
    assert min(shares) > 5  # by a hash of the addresses; the mean is 30
    close([*clients, *(sock for sockets in opened for sock in sockets)])


def test_a_port_that_others_share_is_in_use_all_the_same() -> None:
    opened = open_for_workers(Address(port=0), 10, 2)
    port = opened[0][0].getsockname()[1]
    for count in (1, 2):
        with pytest.raises(ConfigurationError, match=f"^port {port} on 127.0.0.1 is in use by another program$"):
            open_for_workers(Address(port=port), 10, count)
    close([sock for sockets in opened for sock in sockets])


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_what_cannot_be_multiplied_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr("sys.platform", platform)
    shared = [Address(uds=str(tmp_path / "s"))] + ([Address(port=0)] if platform == "darwin" else [])
    for address in shared:
        opened = open_for_workers(address, 10, 3)
        assert opened[0] is opened[1] is opened[2]
        close(opened[0])


def test_a_worker_without_a_socket_closes_those_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    bind = listen._bind_tcp

    def fail_third(*arguments: Any, **options: Any) -> socket.socket:
        if len(opened) == 2:
            raise ConfigurationError("no")
        opened.append(bind(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(listen, "_bind_tcp", fail_third)
    with pytest.raises(ConfigurationError, match="no"):
        open_for_workers(Address(port=0), 10, 2)
    assert [sock.fileno() for sock in opened] == [-1, -1]
