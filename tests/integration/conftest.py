"""What the tests in this folder share: certificates, a site served plainly and over TLS, peers in JavaScript."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.house import TESTS
from support.site import Certificates, Site, make_certificates, open_site

PEERS = TESTS / "peers"


def need(program: str) -> str:
    """The path of a program without which the tests fail."""
    path = shutil.which(program)
    if path is None:
        pytest.fail(f"there is no {program} in PATH; tools/setup_tests.sh installs what the tests need", pytrace=False)
    return path


@pytest.fixture(scope="session")
def curl() -> str:
    return need("curl")


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the packages of ``tests/peers/package.json`` installed."""
    path = need("node")
    if not all((PEERS / "node_modules" / name).exists() for name in ("ws", "eventsource")):
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([need("npm"), "install", "--prefix", str(PEERS), *quiet], check=True, timeout=300)
    return path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["plain", "tls"])
async def site(request: pytest.FixtureRequest, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Site]:
    """A site for one test, which runs twice: plainly and over TLS."""
    async with open_site(certificates if request.param == "tls" else None, files=tmp_path) as opened:
        yield opened
