"""TLS contexts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from elio.errors import ConfigurationError
from elio.net.tls import TLSConfig, client_context, config_of, server_context


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


# -- more about them ---------------------------------------------------------------------------------------------------


def test_a_pair_is_a_short_form(files: tuple[Path, Path]) -> None:
    assert config_of(files) == TLSConfig(*files)
    config = TLSConfig(*files, names={"a.example": files})
    assert config_of(config) is config
    assert config_of(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) is None


def test_every_file_is_looked_at() -> None:
    config = TLSConfig("a", Path("b"), names={"x": ("c", "d")}, client_ca="e")
    assert config.files == ("a", "b", "c", "d", "e")
    assert TLSConfig("a", "b").files == ("a", "b")


@pytest.mark.parametrize(("required", "mode"), [(False, ssl.CERT_OPTIONAL), (True, ssl.CERT_REQUIRED)])
def test_clients_are_asked_for_certificates(files: tuple[Path, Path], required: bool, mode: ssl.VerifyMode) -> None:
    config = TLSConfig(*files, client_ca=files[0], require_client_certificate=required)
    assert server_context(config).verify_mode is mode
    assert server_context(TLSConfig(*files)).verify_mode is ssl.CERT_NONE


def test_authorities_that_cannot_be_used_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.pem", files[1]):
        with pytest.raises(ConfigurationError, match=rf"authorities of clients '.*{path.name}' cannot be used"):
            server_context(TLSConfig(*files, client_ca=path))


def test_a_key_with_a_password(files: tuple[Path, Path], tmp_path: Path) -> None:
    key = load_pem_private_key(files[1].read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "locked.pem").write_bytes(locked)
    config = TLSConfig(files[0], tmp_path / "locked.pem", password="secret")
    assert "secret" not in repr(config)
    assert server_context(config).minimum_version == ssl.TLSVersion.TLSv1_2
    for password in (None, "wrong"):  # and nobody is asked at the terminal
        with pytest.raises(ConfigurationError, match="cannot be used"):
            server_context(TLSConfig(files[0], tmp_path / "locked.pem", password=password))


def test_a_wrong_pair_of_a_name_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match=r"'nothing\.pem' does not exist"):
        server_context(TLSConfig(*files, names={"a.example": ("nothing.pem", files[1])}))


def test_what_cannot_be_meant_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="needs client_ca"):
        TLSConfig(*files, require_client_certificate=True)
    for interval in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="it must be above 0, or None"):
            TLSConfig(*files, reload_interval=interval)
