"""TLS contexts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from elio.errors import ConfigurationError
from elio.net.tls import client_context, server_context


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    with (tmp_path / "cert.pem").open("wb") as file:
        for pem in certificate.cert_chain_pems:
            file.write(pem.bytes())
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_files_make_a_context_that_is_sane(files: tuple[Path, Path]) -> None:
    context = server_context(files)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert server_context((str(files[0]), str(files[1]))).minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_ready_context_is_taken_as_it_is() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert server_context(context) is context


def test_a_missing_file_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"certificate .*nothing\.pem' does not exist"):
        server_context((tmp_path / "nothing.pem", files[1]))
    with pytest.raises(ConfigurationError, match=r"private key .*nothing\.pem' does not exist"):
        server_context((files[0], tmp_path / "nothing.pem"))


def test_files_that_do_not_fit_together_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(ConfigurationError, match=r"cert\.pem.* with key .*other\.pem"):
        server_context((files[0], tmp_path / "other.pem"))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        server_context((files[1], files[1]))


def test_clients_share_a_context_that_checks() -> None:
    context = client_context()
    assert client_context() is context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
