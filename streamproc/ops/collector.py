"""Every metric: its name, labels and meaning; drawn from ``Counters`` when it is scraped.

Law of the file: it only reads, in a thread of its own, and the hot path knows nothing of it.
Names have the prefix ``streamproc_``, base units and ``_total`` for counters; labels come from
bounded sets (never a host, user, process or event). Series that must exist before something
happens, so that an alert on their rate works the first time, start at zero.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from streamproc.ops.collector_input import input_metrics
from streamproc.ops.collector_output import canary_metrics, kafka_metrics, output_metrics
from streamproc.ops.collector_rules import rule_metrics
from streamproc.ops.counters import Counters
from streamproc.ops.facts import WorkerFacts
from streamproc.ops.health import BEAT_S
from streamproc.ops.memory import memory_limit_bytes

UNREADY_REASONS = (
    "acknowledgements", "brokers", "partitions", "producer", "rules", "starting", "stopping",
)  # fmt: skip

Expiries = Callable[[], Mapping[str, float]]
"""Role of each certificate to when it expires, seconds since the epoch."""


class StreamprocCollector(Collector):
    """Reads the counters whenever Prometheus asks.

    Args:
        counters: The running worker's counters; it may go on changing them.
        facts: What changes only when rules are loaded anew.
        unready: The reasons why the worker is not ready now, of ``UNREADY_REASONS``.
        expiries: When certificates expire.
        clock: Seconds since the epoch; replaced in tests.

    Attributes:
        facts: May be replaced at any time, from any thread: a scrape shows one or the other.
    """

    def __init__(
        self,
        counters: Counters,
        facts: WorkerFacts,
        *,
        unready: Callable[[], frozenset[str]] = frozenset,
        expiries: Expiries = dict,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.facts = facts
        self._counters = counters
        self._unready = unready
        self._expiries = expiries
        self._clock = clock

    def unready(self) -> frozenset[str]:
        """Return the reasons why the worker is not ready; none: it is."""
        return self._unready() | (frozenset() if self.facts.rules else frozenset({"rules"}))

    def collect(self) -> Iterator[Metric]:
        """All metrics, in the order of the catalogue."""
        counters, facts = self._counters, self.facts
        yield from self._build_metrics(facts)
        yield from input_metrics(counters, self._clock())
        yield from rule_metrics(counters, facts)
        yield from output_metrics(counters, facts)
        yield from kafka_metrics(counters)
        yield from self._health_metrics()
        yield from canary_metrics(counters)
        yield GaugeMetricFamily(
            "streamproc_memory_limit_bytes",
            "Memory that the process may use, set by its control group; 0: no limit.",
            memory_limit_bytes(),
        )

    def _build_metrics(self, facts: WorkerFacts) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "streamproc_build",
            "Version of streamproc, the source that it was built from, and its Python.",
            {
                "version": facts.version,
                "revision": facts.revision,
                "python_version": platform.python_version(),
            },
        )
        yield InfoMetricFamily(
            "streamproc_config",
            "Digest of the settings, without those of one worker alone and without secrets;"
            " workers of a group that differ are set differently.",
            {"digest": facts.config_digest},
        )

    def _health_metrics(self) -> Iterator[Metric]:
        counters = self._counters
        unready = GaugeMetricFamily(
            "streamproc_unready",
            "1 for each reason for which /readyz says no; all 0: ready.",
            labels=("reason",),
        )
        reasons = self.unready()
        for reason in UNREADY_REASONS:
            unready.add_metric((reason,), reason in reasons)
        yield unready
        yield GaugeMetricFamily(
            "streamproc_backpressure",
            "1 while no more is read because the brokers acknowledge nothing, else 0.",
            counters.is_held_back,
        )
        yield GaugeMetricFamily(
            "streamproc_heartbeat_timestamp_seconds",
            "When the event loop was last seen alive.",
            counters.heartbeat_s,
        )
        yield GaugeMetricFamily(
            "streamproc_event_loop_lag_seconds",
            "Longest time by which the event loop was late within the last minute.",
            max(counters.loop_lag_s, self._blocked_s()),
        )
        expiries = GaugeMetricFamily(
            "streamproc_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of a file expires: ca (ssl_ca_file) or client"
            " (ssl_certificate_file).",
            labels=("role",),
        )
        for role, expiry_s in sorted(self._expiries().items()):
            expiries.add_metric((role,), expiry_s)
        yield expiries

    def _blocked_s(self) -> float:
        """Return by how much the next heartbeat is overdue."""
        beat_s = self._counters.heartbeat_s
        return self._clock() - beat_s - BEAT_S if beat_s else 0.0


def metrics_registry(collector: Collector) -> CollectorRegistry:
    """A registry of its own with the collector, and the process's memory, CPU and files."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry
