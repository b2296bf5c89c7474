"""TLS contexts for servers and clients: sane by default, or the caller's own."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from typing import TypeAlias

from ..errors import ConfigurationError

__all__ = ["TLS", "TLSConfig", "client_context", "config_of", "server_context"]

Path: TypeAlias = str | os.PathLike[str]
Pair: TypeAlias = tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class TLSConfig:
    """Certificates of a server, in PEM. Files that change are read anew; open connections stay as they are.

    Attributes:
        certificate: path of the certificate with the chain behind it.
        key: path of its private key.
        password: of the key; without one it must not be encrypted.
        names: other pairs of certificate and key by the name that clients ask for (SNI, RFC 6066 3): a host name, or
            ``*.example.com`` for the names one level below. Any other name, and none, gets the pair above.
        client_ca: path of the authorities whose certificates clients may show: ``request.client_certificate``.
        require_client_certificate: whether clients without one are refused in the handshake.
        reload_interval: seconds between two looks at the files; None for never.
    """

    certificate: Path
    key: Path
    _: KW_ONLY
    password: str | None = field(default=None, repr=False)
    names: Mapping[str, Pair] = field(default_factory=dict)
    client_ca: Path | None = None
    require_client_certificate: bool = False
    reload_interval: float | None = 5.0

    def __post_init__(self) -> None:
        if self.require_client_certificate and self.client_ca is None:
            raise ConfigurationError("require_client_certificate needs client_ca: whose certificates are to be trusted")
        if self.reload_interval is not None and not self.reload_interval > 0:
            raise ConfigurationError(
                f"reload_interval is {self.reload_interval}, it must be above 0, or None for never"
            )

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that it names."""
        paths = [self.certificate, self.key, *(path for pair in self.names.values() for path in pair)]
        return tuple(os.fspath(path) for path in (*paths, self.client_ca) if path is not None)


TLS: TypeAlias = ssl.SSLContext | Pair | TLSConfig
"""A ready context, the paths of a certificate chain and of its private key, or more about them."""


def config_of(tls: TLS) -> TLSConfig | None:
    """The files that stand behind it; None for a ready context."""
    if isinstance(tls, ssl.SSLContext):
        return None
    return tls if isinstance(tls, TLSConfig) else TLSConfig(*tls)


def server_context(tls: TLS) -> ssl.SSLContext:
    """The context of a server: TLS 1.2 or later, ALPN for HTTP/1.1, no compression, no renegotiation.

    Args:
        tls: a context is returned as it is.

    Raises:
        ConfigurationError: the files are missing, unreadable, or do not fit together.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    config = tls if isinstance(tls, TLSConfig) else TLSConfig(*tls)
    context = _context(config, (config.certificate, config.key))
    named = {name.lower(): _context(config, pair) for name, pair in config.names.items()}
    if named:
        context.sni_callback = _Chooser(named).choose
    return context


class _Chooser:
    """Chooses among the contexts of several names."""

    def __init__(self, contexts: dict[str, ssl.SSLContext]) -> None:
        self._contexts = contexts

    def choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called in the handshake, as soon as the client has said for whom it takes this server."""
        asked = (name or "").lower()
        found = self._contexts.get(asked) or self._contexts.get(f"*.{asked.partition('.')[2]}")
        if found is not None:
            connection.context = found


def _context(config: TLSConfig, pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, pair, config.password)
    if config.client_ca is not None:
        _load_authorities(context, os.fspath(config.client_ca))
        context.verify_mode = ssl.CERT_REQUIRED if config.require_client_certificate else ssl.CERT_OPTIONAL
    return context


def _load_pair(context: ssl.SSLContext, pair: Pair, password: str | None) -> None:
    certificate, key = (os.fspath(path) for path in pair)
    for what, path in (("certificate", certificate), ("private key", key)):
        if not os.path.isfile(path):
            raise ConfigurationError(f"the TLS {what} {path!r} does not exist")
    try:
        context.load_cert_chain(certificate, key, password or "")  # without a password OpenSSL asks the terminal
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the TLS certificate {certificate!r} with key {key!r} cannot be used: {error}"
        ) from error


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the authorities of clients {path!r} cannot be used: {error}") from error


@lru_cache(maxsize=1)
def client_context() -> ssl.SSLContext:
    """The context of clients that were given none: TLS 1.2 or later, the system's authorities, ALPN for HTTP/1.1.

    One for all of them, since loading the authorities takes milliseconds; not to be changed.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
