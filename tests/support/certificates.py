"""Certificates for localhost."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """A certificate with its key, a key that does not fit, and a client's context that trusts it."""

    certificate: Path
    key: Path
    other_key: Path
    client: ssl.SSLContext


def make(folder: Path) -> Certificates:
    """Write the files into a folder."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key, other = folder / "cert.pem", folder / "key.pem", folder / "other.pem"
    issued.private_key_pem.write_to_path(key)
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certificates(certificate, key, other, client)
