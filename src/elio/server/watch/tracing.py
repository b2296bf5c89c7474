"""OpenTelemetry: one span for every WebSocket and event stream, from its begin to its end.

It needs ``opentelemetry-api``: ``pip install elio-web[tracing]``. Where the spans go is the program's to configure.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from ...causes import Cause
from ...errors import ConfigurationError
from ...request import Request
from ..router import Router

__all__ = ["trace_connections"]

_SPAN: Final = "elio.span"
"""Where in ``request.state`` the span is while it lasts."""


def trace_connections(router: Router, *, tracer: Any = None) -> None:
    """Let a span stand for each WebSocket and event stream of the server that serves this router.

    It goes on from the ``traceparent`` of the request. Its attributes are the path, the protocol, and at the end the
    cause (``elio.cause``) with its sentence; an end that is nobody's everyday end is an error.

    Args:
        router: of the server.
        tracer: an OpenTelemetry tracer; that of the global provider by default.

    Raises:
        ConfigurationError: ``opentelemetry-api`` is not installed.
    """
    spans = _Spans(tracer)
    router.on_connection_start(spans.start)
    router.on_connection_end(spans.end)


class _Spans:
    def __init__(self, tracer: Any) -> None:
        try:
            self._trace = importlib.import_module("opentelemetry.trace")
            self._propagate = importlib.import_module("opentelemetry.propagate")
        except ImportError as error:
            raise ConfigurationError("tracing needs opentelemetry-api: pip install elio-web[tracing]") from error
        self._tracer = self._trace.get_tracer("elio") if tracer is None else tracer

    def start(self, request: Request, protocol: str) -> None:
        carrier = {name: request.headers[name] for name in request.headers}
        request.state[_SPAN] = self._tracer.start_span(
            protocol,  # names are few; the path is an attribute
            context=self._propagate.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            attributes={
                "url.path": request.path,
                "url.scheme": request.scheme,
                "client.address": request.client_host,
                "network.protocol.name": protocol,
            },
        )

    def end(self, request: Request, protocol: str, cause: Cause, seconds: float) -> None:
        span = request.state.pop(_SPAN, None)
        if span is None:
            return
        span.set_attribute("elio.cause", cause.word)
        if not cause.is_ordinary:
            span.set_status(self._trace.StatusCode.ERROR, cause.text)
        span.end()
