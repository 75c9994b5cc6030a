"""Figures for Prometheus: what the service does, and how the pool stands when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from qpty.sessions.manager import SessionManager

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(self, manager: SessionManager) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "qpty_requests", "Requests answered.", ("operation", "method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "qpty_request_seconds",
            "From a request to the end of its answer; streams are left out.",
            ("operation",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.streams = Gauge("qpty_streams", "Open streams.", ("kind",), registry=self._registry)
        self.cut_off = Counter(
            "qpty_connections_cut_off", "Connections that the server aborted.", registry=self._registry
        )
        self.stalled = Counter("qpty_stalled_readers", "Readers of streams that were cut off.", registry=self._registry)
        self._registry.register(_PoolCollector(manager))

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)


class _PoolCollector(Collector):
    """The pool's figures, taken when they are asked for."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    def collect(self) -> Iterable[Metric]:
        """Yield the figures."""
        pool = self._manager.pool
        workers = GaugeMetricFamily("qpty_workers", "Live terminals, by what they do.", labels=("state",))
        workers.add_metric(("idle",), pool.idle)
        workers.add_metric(("warm",), pool.warm)
        workers.add_metric(("in_use",), pool.live - pool.idle - pool.warm)
        yield workers
        yield GaugeMetricFamily("qpty_workers_limit", "Live terminals that there may be.", value=pool.max_workers)
        yield GaugeMetricFamily("qpty_turns_running", "Turns that run.", value=pool.running)
        yield GaugeMetricFamily("qpty_turns_waiting", "Turns that wait for a worker.", value=pool.waiting)
