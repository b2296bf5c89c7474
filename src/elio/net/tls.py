"""TLS contexts for servers and clients: sane by default, or the caller's own."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from typing import TypeAlias

from ..errors import ConfigurationError

__all__ = ["TLS", "client_context", "server_context"]

Path: TypeAlias = str | os.PathLike[str]
TLS: TypeAlias = ssl.SSLContext | tuple[Path, Path]
"""A ready context, or the paths of a certificate chain and of its private key, both in PEM."""


def server_context(tls: TLS) -> ssl.SSLContext:
    """The context of a server: TLS 1.2 or later, ALPN for HTTP/1.1, no compression, no renegotiation.

    Args:
        tls: a context is returned as it is.

    Raises:
        ConfigurationError: the files are missing, unreadable, or do not fit together.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    certificate, key = (os.fspath(path) for path in tls)
    for what, path in (("certificate", certificate), ("private key", key)):
        if not os.path.isfile(path):
            raise ConfigurationError(f"the TLS {what} {path!r} does not exist")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the TLS certificate {certificate!r} with key {key!r} cannot be used: {error}"
        ) from error
    return context


@lru_cache(maxsize=1)
def client_context() -> ssl.SSLContext:
    """The context of clients that were given none: TLS 1.2 or later, the system's authorities, ALPN for HTTP/1.1.

    One for all of them, since loading the authorities takes milliseconds; not to be changed.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
