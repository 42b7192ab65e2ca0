"""The Faust app of a worker: topics, the agent and the metrics, wired in one place.

Law of the file: wiring only. What Faust is told here is what the transport relies on: it declares
no topic, elects no leader and serves no web page of its own.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import faust
from mode import Service

from streamproc import __version__
from streamproc.config import Settings
from streamproc.engine.detector import Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters
from streamproc.ops.logs import logging_config
from streamproc.ops.metrics import (
    MetricsServer,
    RuleFacts,
    StreamprocCollector,
    WorkerFacts,
    metrics_registry,
    serve_metrics,
)
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet
from streamproc.transport.agents import define_detect_agent
from streamproc.transport.batch import BatchTopic
from streamproc.transport.options import TransportOptions
from streamproc.transport.publisher import OutputTopics, Publisher

logger = logging.getLogger(__name__)

# librdkafka counts key and headers too; outputs are kept to output_bytes_max by the engine.
_FRAMING_BYTES = 16 * 1024


def build_app(settings: Settings, ruleset: RuleSet, counters: Counters | None = None) -> Any:
    """Build the app that ``streamproc worker`` and ``faust -A streamproc.app`` run."""
    counters = counters or Counters()
    app: Any = faust.App(
        settings.group_id,
        broker="streamproc://" + settings.bootstrap_servers.replace(" ", "").replace(",", ";"),
        broker_client_id=settings.client_id,
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 3),
        consumer_auto_offset_reset=settings.auto_offset_reset,
        consumer_group_instance_id=settings.group_instance_id or "",
        producer_linger=settings.producer_linger_ms / 1000,
        producer_compression_type=settings.compression_type,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        store="memory://",
        logging_config=logging_config(settings.log_level, settings.log_format),
        worker_redirect_stdouts=False,
    )
    app.streamproc_options = transport_options(settings, counters)
    events = BatchTopic(app, topics=[settings.events_topic], allow_empty=True)
    detector = Detector(Program(ruleset), detector_options(settings), counters)
    publisher = Publisher(
        app,
        OutputTopics(
            settings.alerts_topic, settings.context_requests_topic, settings.dead_letters_topic
        ),
    )
    define_detect_agent(app, events, detector, publisher, counters)
    if settings.metrics_port:
        _serve_metrics(app, settings, counters, ruleset)
    return app


def load_worker_rules(settings: Settings) -> RuleSet:
    """Load the rules and log every one that is left out.

    Raises:
        ConfigError: No rule could be loaded: a worker without rules detects nothing.
    """
    ruleset = load_rules(settings.rules)
    for error in ruleset.rejected:
        logger.error("rule left out: %s", error)
    for warning in ruleset.warnings:
        logger.warning("%s", warning)
    if not ruleset.rules:
        places = ", ".join(map(str, settings.rules))
        raise ConfigError(f"rules: no rule could be loaded from {places}; see the errors above")
    logger.info(
        "%d rules loaded, %d rejected, %d skipped; digest %s",
        len(ruleset.rules),
        len(ruleset.rejected),
        len(ruleset.skipped),
        ruleset.digest[:12],
    )
    return ruleset


def run_app(app: Any) -> NoReturn:
    """Run a worker until a signal or an error ends it; exits the process."""
    worker = faust.Worker(app, loglevel="INFO", redirect_stdouts=False)
    worker.execute_from_commandline()
    raise SystemExit(0)


def transport_options(settings: Settings, counters: Counters) -> TransportOptions:
    """Return the transport's part of the settings."""
    return TransportOptions(
        client=settings.librdkafka_client_options(),
        producer={"message.max.bytes": settings.output_bytes_max + _FRAMING_BYTES},
        batch_records=settings.batch_records,
        batches_in_flight=settings.batches_in_flight,
        batch_age_max_s=settings.batch_age_max_s,
        counters=counters,
    )


def detector_options(settings: Settings) -> DetectorOptions:
    """Return the engine's part of the settings."""
    return DetectorOptions(
        record_bytes_max=settings.record_bytes_max,
        output_bytes_max=settings.output_bytes_max,
        dead_letter_bytes_max=settings.dead_letter_bytes_max,
        look_ahead_s=settings.look_ahead_s,
        default_context_requests=settings.default_context_requests,
    )


def worker_facts(ruleset: RuleSet) -> WorkerFacts:
    """Return what the metrics say of a rule set."""
    return WorkerFacts(
        version=__version__,
        ruleset_digest=ruleset.digest,
        rules=tuple(RuleFacts(rule.rule_id, rule.name, rule.severity) for rule in ruleset.rules),
        rules_rejected=len(ruleset.rejected),
    )


def _serve_metrics(app: Any, settings: Settings, counters: Counters, ruleset: RuleSet) -> None:
    collector = StreamprocCollector(counters, worker_facts(ruleset))

    @app.service
    class Metrics(Service):
        """Serves ``/metrics`` while the worker runs, from a thread of its own."""

        server: MetricsServer | None = None

        async def on_start(self) -> None:
            self.server = serve_metrics(
                settings.metrics_host, settings.metrics_port, metrics_registry(collector)
            )

        async def on_stop(self) -> None:
            if self.server is not None:
                self.server.close()
