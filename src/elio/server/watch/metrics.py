"""The page that Prometheus reads. Figures are worked out when it asks; nothing is counted for it on the way.

It needs ``prometheus-client``: ``pip install elio-web[metrics]``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from ...errors import ConfigurationError
from ...histogram import Histogram
from ...request import Request
from ...response import Response
from .counters import Counters
from .figures import Figures

__all__ = ["MetricsPage", "Registry"]


class Registry(Protocol):
    """Metrics of the program, such as ``prometheus_client.REGISTRY``."""

    def collect(self) -> Iterable[Any]:
        """What there is."""
        ...


_COUNTS: Final = (
    ("connections_accepted", "Connections that were taken in.", "accepted"),
    ("connections_rejected", "Connections that were turned away for a bound on connections.", "rejected"),
    ("event_streams", "Event streams that have begun.", "event_streams"),
)
_TRAFFIC: Final = (
    ("bytes_received", "Bytes that came over all connections, without those of TLS.", "bytes_received"),
    ("bytes_sent", "Bytes that were written to all connections, without those of TLS.", "bytes_sent"),
    ("messages_received", "Messages of WebSockets that came.", "messages_received"),
    ("messages_sent", "Messages of WebSockets that were sent.", "messages_sent"),
    ("events_sent", "Events and comments of event streams that were sent.", "events_sent"),
)


class MetricsPage:
    """The handler of a metrics route.

    Args:
        registry: further metrics for the page.
        figures: those of which server; by default of the one that serves the page.

    Raises:
        ConfigurationError: ``prometheus-client`` is not installed.
    """

    def __init__(self, registry: Registry | None, figures: Figures | None) -> None:
        self._exposition = _load("prometheus_client.exposition")
        self._registry = registry
        self._figures = figures

    def on(self, figures: Figures) -> MetricsPage:
        """The same for the server with these figures, unless it is for another one."""
        return MetricsPage(self._registry, self._figures or figures)

    async def __call__(self, request: Request) -> Response:
        """Answer in the format that is asked for."""
        encode, content_type = self._exposition.choose_encoder(", ".join(request.headers.get_all("accept")))
        return Response(encode(self), headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    def collect(self) -> Iterator[Any]:
        """Every metric (part of the interface of registries)."""
        if self._figures is not None:
            yield from _Families(self._figures).all()
        if self._registry is not None:
            yield from self._registry.collect()


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError("metrics need prometheus-client: pip install elio-web[metrics]") from error


class _Families:
    """The figures of one server as what ``prometheus-client`` writes."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._core = _load("prometheus_client.core")
        self._worker = figures.worker

    def all(self) -> Iterator[Any]:
        figures, counters, traffic = self._figures, self._figures.counters, self._figures.traffic
        yield self._gauge("connections", "Open connections.", ["protocol"], _keyed(figures.open()))
        yield self._gauge("receive_queue_messages", "Messages not taken yet.", [], {(): figures.queued_messages()})
        yield self._gauge("send_queue_bytes", "Bytes that wait for peers.", [], {(): figures.queued_bytes()})
        for name, text, attribute in _COUNTS:
            yield self._counter(name, text, [], {(): getattr(counters, attribute)})
        for name, text, attribute in _TRAFFIC:
            yield self._counter(name, text, [], {(): getattr(traffic, attribute)})
        yield from self._labelled(counters)
        yield self._histogram("ping_round_trip_seconds", "Round trips of pings.", traffic.round_trips)
        yield self._histogram(
            "first_event_seconds", "From the handler's start to the first event.", traffic.first_events
        )
        yield self._histogram("loop_lag_seconds", "How late the event loop was.", figures.lags)

    def _labelled(self, counters: Counters) -> Iterator[Any]:
        text = "Opening handshakes of WebSockets by result."
        yield self._counter("websocket_handshakes", text, ["result"], _keyed(counters.handshakes))
        ends: dict[tuple[str, ...], int] = {
            (protocol, word): count for (protocol, word), count in counters.ends.items()
        }
        yield self._counter("connection_ends", "Ends by cause.", ["protocol", "cause"], ends)
        yield self._counter("limits_hit", "Bounds that peers ran into.", ["limit"], _keyed(counters.limits))
        drops = _keyed(self._figures.drops())
        if drops:
            yield self._counter("channel_drops", "Messages that policies of channels dropped.", ["policy"], drops)

    def _gauge(self, name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], int]) -> Any:
        return self._fill(self._core.GaugeMetricFamily(f"elio_{name}", text, labels=["worker", *labels]), values)

    def _counter(self, name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], int]) -> Any:
        return self._fill(self._core.CounterMetricFamily(f"elio_{name}", text, labels=["worker", *labels]), values)

    def _fill(self, family: Any, values: Mapping[tuple[str, ...], int]) -> Any:
        for key, value in values.items():
            family.add_metric([self._worker, *key], value)
        return family

    def _histogram(self, name: str, text: str, histogram: Histogram) -> Any:
        family = self._core.HistogramMetricFamily(f"elio_{name}", text, labels=["worker"])
        so_far, buckets = 0, []
        for bound, count in zip([*map(str, histogram.bounds), "+Inf"], list(histogram.counts), strict=True):
            so_far += count
            buckets.append((bound, so_far))
        family.add_metric([self._worker], buckets, histogram.total)
        return family


def _keyed(values: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(key,): value for key, value in values.items()}
