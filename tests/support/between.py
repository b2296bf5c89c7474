"""Programs that stand between a client and a server: nginx, HAProxy, Caddy, tinyproxy, microsocks."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.processes import Program
from support.raw import DEADLINE
from support.servers import held_port
from support.site import Certificates

__all__ = ["caddy", "haproxy", "microsocks", "nginx", "nginx_with", "tinyproxy"]


@contextmanager
def nginx(folder: Path, upstream: int, certificates: Certificates) -> Iterator[tuple[int, int]]:
    """A reverse proxy before a server; its ports without and with TLS."""
    with ExitStack() as stack:
        plain, tls = (stack.enter_context(held_port()) for _ in range(2))
        stack.enter_context(nginx_with(folder, _site(upstream, certificates, plain, tls), plain, tls))
        yield plain, tls


def _site(upstream: int, certificates: Certificates, plain: int, tls: int) -> str:
    return f"""
        server {{
            listen 127.0.0.1:{plain};
            listen 127.0.0.1:{tls} ssl;
            ssl_certificate {certificates.certificate};
            ssl_certificate_key {certificates.key};
            location / {{
                proxy_pass http://127.0.0.1:{upstream};
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection "upgrade";
            }}
        }}
    """


@contextmanager
def nginx_with(folder: Path, sites: str, *ports: int) -> Iterator[None]:
    """nginx with these servers, once it listens on the ports."""
    # Root gives its files away to another user, who may not enter the folders of tests.
    owner = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; pid {folder}/nginx.pid; worker_processes 1; {owner}
        events {{ }}
        http {{ access_log off; {temporary} {sites} }}
        """
    )
    program = _need("nginx", "/usr/sbin/nginx")
    with Program(program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")) as running:
        _wait_listening(running, *ports)
        yield


@contextmanager
def haproxy(folder: Path, configuration: str, *ports: int) -> Iterator[None]:
    """HAProxy with this configuration, once it listens on the ports."""
    (folder / "haproxy.cfg").write_text(configuration)
    with Program(_need("haproxy", "/usr/sbin/haproxy"), "-db", "-f", str(folder / "haproxy.cfg")) as running:
        _wait_listening(running, *ports)
        yield


@contextmanager
def caddy(folder: Path, sites: str, port: int) -> Iterator[None]:
    """Caddy with these sites, once it listens on the port. It fetches no certificates, and listens nowhere else."""
    options = f"admin off\n auto_https disable_redirects\n skip_install_trust\n storage file_system {folder}/caddy"
    (folder / "Caddyfile").write_text(f"{{\n {options}\n}}\n{sites}")
    arguments = ("run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")
    with Program(_need("caddy"), *arguments) as running:
        _wait_listening(running, port)
        yield


@contextmanager
def tinyproxy(folder: Path, user: tuple[str, str] | None = None) -> Iterator[int]:
    """An HTTP proxy; its port."""
    lines = ["Listen 127.0.0.1", "Allow 127.0.0.1", "MaxClients 20", "DisableViaHeader Yes"]
    if user is not None:
        lines.append(f"BasicAuth {user[0]} {user[1]}")
    with held_port() as port:
        (folder / "tinyproxy.conf").write_text("\n".join([f"Port {port}", *lines]) + "\n")
        with Program(_need("tinyproxy"), "-d", "-c", str(folder / "tinyproxy.conf")) as running:
            _wait_listening(running, port)
            yield port


@contextmanager
def microsocks(user: tuple[str, str] | None = None) -> Iterator[int]:
    """A SOCKS 5 proxy; its port."""
    login = [] if user is None else ["-u", user[0], "-P", user[1]]
    with held_port() as port, Program(_need("microsocks"), "-i", "127.0.0.1", "-p", str(port), *login) as running:
        _wait_listening(running, port)
        yield port


def _need(name: str, fallback: str = "") -> str:
    path = shutil.which(name) or (fallback if Path(fallback).is_file() else None)
    if path is None:
        pytest.fail(f"there is no {name} in PATH; tools/setup_tests.sh installs what the tests need", pytrace=False)
    return path


def _wait_listening(program: Program, *ports: int) -> None:
    until = time.monotonic() + DEADLINE
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
                break
            except OSError as error:
                if time.monotonic() > until or program.process.poll() is not None:
                    raise TimeoutError(f"nothing listens on port {port}\n{program.errors}") from error
                time.sleep(0.02)
