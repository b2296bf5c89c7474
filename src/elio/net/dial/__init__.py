"""Connecting: addresses, proxies, TLS, and the stream that comes of it."""

from .route import Route, open_stream

__all__ = ["Route", "open_stream"]
