"""The Faust app of a worker: topics, the agent and the metrics, wired in one place.

Law of the file: wiring only. What Faust is told here is what the transport relies on: it declares
no topic, elects no leader and serves no web page of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import shutil
import signal
import tempfile
import threading
from collections import ChainMap
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import faust
from mode import Service

from streamproc.config import Settings
from streamproc.engine.detector import Detector
from streamproc.engine.program import Program
from streamproc.engine_options import detector_options, span_default_ms
from streamproc.errors import ConfigError
from streamproc.ops.certificates import CertificateExpiries
from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.counters import Counters
from streamproc.ops.health import STUCK_S, Health
from streamproc.ops.logs import logging_config
from streamproc.ops.metrics import MetricsServer, Pages, serve_metrics
from streamproc.ops.pages import health_pages
from streamproc.refusals import in_words
from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet
from streamproc.topics import SNAPSHOT_BYTES_MAX
from streamproc.transport.agents import define_canary, define_clock, define_detect_agent
from streamproc.transport.batch import BatchTopic
from streamproc.transport.canary import Canary
from streamproc.transport.credentials import Credentials
from streamproc.transport.ends import PartitionEnds
from streamproc.transport.facts import worker_facts
from streamproc.transport.in_force import Ready, RulesInForce
from streamproc.transport.options import TransportOptions, options_of
from streamproc.transport.publisher import OutputTopics, Publisher
from streamproc.transport.reload import Reloader, tell_rules
from streamproc.transport.sequence_store import SequenceStore, StateTopic
from streamproc.transport.telemetry import define_telemetry, telemetry_of

logger = logging.getLogger(__name__)

# librdkafka counts key and headers too; outputs are kept to output_bytes_max by the engine.
_FRAMING_BYTES = 16 * 1024
_POLL_INTERVAL_MAX_S = 120.0
_LAST_TURNS_S = 0.05  # for tasks that were cancelled at the very end


def build_app(settings: Settings, ruleset: RuleSet, counters: Counters | None = None) -> Any:
    """Build the app that ``streamproc worker`` and ``faust -A streamproc.app`` run."""
    counters = counters or Counters()
    # Faust makes folders at every start, which stay empty; never in the current folder.
    folder = tempfile.mkdtemp(prefix="streamproc-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    app: Any = faust.App(
        settings.group_id,
        broker="streamproc://" + settings.bootstrap_servers.replace(" ", "").replace(",", ";"),
        broker_client_id=settings.client_id,
        broker_commit_interval=settings.commit_interval_s,
        # Also the time that a rebalance waits for a member that does not answer. librdkafka
        # takes no session that is longer.
        broker_max_poll_interval=max(_POLL_INTERVAL_MAX_S, settings.session_timeout_s),
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 3),
        consumer_auto_offset_reset=settings.auto_offset_reset,
        consumer_group_instance_id=settings.group_instance_id or "",
        producer_linger=settings.producer_linger_ms / 1000,
        producer_compression_type=settings.compression_type,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        # Faust's own command line serves its pages whatever the app says: to this machine only.
        web_bind="127.0.0.1",
        store="memory://",
        datadir=folder,
        logging_config=logging_config(settings.log_level, settings.log_format),
        worker_redirect_stdouts=False,
    )
    health = Health(stuck_s=min(STUCK_S, settings.batch_age_max_s))
    canary = None
    if settings.canary_interval_s:
        canary = Canary(counters, health, settings.events_topic, settings.canary_topic)
    rules = RulesInForce(ready(settings, ruleset, counters, canary=canary))
    # One dictionary for all clients, made now or later: a changed password is written into it.
    shared: dict[str, Any] = settings.librdkafka_client_options()
    client = ChainMap({"bootstrap.servers": settings.bootstrap_servers}, shared)
    store = sequence_store(settings, client, rules, counters)
    app.streamproc_options = transport_options(
        settings, counters, health, store, client=shared, rights=lambda: _rights(settings, rules)
    )
    events = BatchTopic(app, topics=[settings.events_topic], allow_empty=True)
    telemetry = telemetry_of(settings)
    publisher = Publisher(
        app,
        OutputTopics(
            settings.alerts_topic, settings.context_requests_topic, settings.dead_letters_topic
        ),
        counters,
        canary,
        begin_span=None if telemetry is None else telemetry.begin_span,
    )
    define_detect_agent(app, events, rules, publisher, counters)
    ends = PartitionEnds(client)
    define_clock(app, rules, publisher, ends)
    if canary is not None:
        define_canary(app, canary, settings.canary_interval_s)
    facts = worker_facts(settings, ruleset)
    expiries = CertificateExpiries(facts.certificates)
    collector = StreamprocCollector(counters, facts, unready=health.unready, expiries=expiries)
    if settings.metrics_port:
        _serve_metrics(app, settings, collector, health_pages(counters, health, collector))
    if telemetry is not None:
        define_telemetry(app, telemetry, counters, collector)
    _reload_rules(app, settings, counters, rules, store, collector, canary)
    credentials = Credentials(client, shared, settings.secret_files, counters, ends.renew)
    _follow_credentials(app, settings, credentials)
    _tell_when_ready(app, settings)
    return app


def ready(
    settings: Settings,
    ruleset: RuleSet,
    counters: Counters,
    breathe: Breathe = go_on,
    canary: Canary | None = None,
) -> Ready:
    """Compile a rule set: all that hangs on it is in what is returned."""
    rule = None if canary is None else canary.rule
    program = Program(
        ruleset, span_default_ms=span_default_ms(settings), canary=rule, breathe=breathe
    )
    return Ready(ruleset, program, Detector(program, detector_options(settings), counters))


def load_worker_rules(settings: Settings) -> RuleSet:
    """Load the rules and log every one that is left out.

    Raises:
        ConfigError: No rule could be loaded: a worker without rules detects nothing.
    """
    if threading.current_thread() is threading.main_thread():
        # Until the reloader listens, a request to load the rules anew is met by this very load;
        # the signal's default would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ruleset = load_rules(settings.rules)
    tell_rules(ruleset)
    if not ruleset.rules:
        places = ", ".join(map(str, settings.rules))
        raise ConfigError(f"rules: no rule could be loaded from {places}; see the errors above")
    return ruleset


class _Worker(faust.Worker):
    """Ends when all has ended: Faust's would sleep for another second before it closes the loop."""

    async def _sentinel_task(self) -> None:
        await asyncio.sleep(_LAST_TURNS_S)


def run_app(app: Any) -> NoReturn:
    """Run a worker until a signal or an error ends it; exits the process.

    With an exit code of ``streamproc.refusals`` when it crashed because Kafka refused something.
    """
    worker = _Worker(app, loglevel="INFO", redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        refusal = options_of(app).broker_errors.crash
        if not end.code or refusal is None:
            raise
        logger.critical(
            "the worker has ended: %s (exit code %d)",
            in_words(refusal.reason, refusal.text), refusal.exit_code,
        )  # fmt: skip
        raise SystemExit(refusal.exit_code) from None
    raise SystemExit(0)


def sequence_store(
    settings: Settings, client: Mapping[str, Any], rules: RulesInForce, counters: Counters
) -> SequenceStore:
    """Return the store of the sequence state, in use from the first sequence rule on."""
    return SequenceStore(
        rules.detector.sequences,
        StateTopic(settings.sequence_state_topic, settings.events_topic, settings.group_id),
        client,
        counters,
        interval_s=settings.sequence_state_interval_s,
        is_used=rules.has_sequences,
    )


def _rights(settings: Settings, rules: RulesInForce) -> dict[str, set[str]]:
    """Return the rights on topics that this worker needs, with the rules in force now."""
    wanted = {
        settings.events_topic: {"READ"},
        settings.alerts_topic: {"WRITE"},
        settings.context_requests_topic: {"WRITE"},
        settings.dead_letters_topic: {"WRITE"},
    }
    if rules.has_sequences:
        wanted[settings.sequence_state_topic] = {"READ", "WRITE"}
    if settings.canary_interval_s:
        wanted[settings.events_topic].add("WRITE")
        wanted[settings.canary_topic] = {"WRITE"}
    return wanted


def _follow_credentials(app: Any, settings: Settings, credentials: Credentials) -> None:
    """Use changed passwords and certificates when their files change."""
    interval_s = settings.credentials_reload_interval_s
    if credentials.is_idle or not interval_s:
        return

    class Followed(Service):
        """Looks at the files while the worker runs."""

        @Service.task
        async def _follow(self) -> None:
            await credentials.follow(lambda: app.consumer, interval_s)

    app.add_dependency(Followed())  # as early as the metrics: a login may be mended at the start


def transport_options(
    settings: Settings,
    counters: Counters,
    health: Health | None = None,
    store: SequenceStore | None = None,
    *,
    client: dict[str, Any] | None = None,
    rights: Callable[[], Mapping[str, Collection[str]]] = dict,
) -> TransportOptions:
    """Return the transport's part of the settings."""
    return TransportOptions(
        client=settings.librdkafka_client_options() if client is None else client,
        producer={
            "message.max.bytes": max(
                settings.output_bytes_max + _FRAMING_BYTES,
                SNAPSHOT_BYTES_MAX + _FRAMING_BYTES,
            )
        },
        store=store,
        batch_records=settings.batch_records,
        batches_in_flight=settings.batches_in_flight,
        batch_age_max_s=settings.batch_age_max_s,
        leaves_group=settings.leave_group_on_stop,
        refusal_exit_s=settings.refusal_exit_s,
        wanted_rights=rights,
        counters=counters,
        health=health or Health(),
    )


def _tell_when_ready(app: Any, settings: Settings) -> None:
    """Say what is read and where, once for each assignment."""

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def on_assigned(app: Any, assigned: Any, **_: Any) -> None:
        numbers = sorted(tp.partition for tp in assigned if tp.topic == settings.events_topic)
        logger.info(
            "%s of %s at %s assigned; alerts go to %s",
            f"{len(numbers)} partitions ({', '.join(map(str, numbers))})" if numbers else "nothing",
            settings.events_topic,
            settings.bootstrap_servers,
            settings.alerts_topic,
        )


def _reload_rules(
    app: Any,
    settings: Settings,
    counters: Counters,
    rules: RulesInForce,
    store: SequenceStore,
    collector: StreamprocCollector,
    canary: Canary | None,
) -> None:
    """Load the rules anew when their files change, and on SIGHUP."""

    async def prepare(new: Ready) -> None:
        if new.program.sequences.rules:
            await store.begin(app.consumer.assignment)

    def tell(ruleset: RuleSet) -> None:
        collector.facts = worker_facts(settings, ruleset)

    def build(ruleset: RuleSet, breathe: Breathe) -> Ready:
        return ready(settings, ruleset, counters, breathe, canary)

    @app.service
    class Rules(Service):
        """Watches the rule files while the worker runs."""

        async def on_start(self) -> None:
            self.reloader = Reloader(
                rules,
                settings.rules,
                build,
                counters,
                interval_s=settings.rules_reload_interval_s,
                prepare=prepare,
                tell=tell,
            )
            self.reloader.start(self.loop)
            # Not possible where the loop runs in a thread other than the main one.
            with suppress(RuntimeError, ValueError):
                self.loop.add_signal_handler(signal.SIGHUP, self.reloader.ask)

        async def on_stop(self) -> None:
            self.reloader.stop()


def _serve_metrics(
    app: Any, settings: Settings, collector: StreamprocCollector, pages: Pages
) -> None:
    class Metrics(Service):
        """Serves ``/metrics`` and the health pages while the worker runs, from threads."""

        server: MetricsServer | None = None

        async def on_start(self) -> None:
            host, port = settings.metrics_host, settings.metrics_port
            self.server = serve_metrics(host, port, metrics_registry(collector), pages)
            logger.info("metrics at http://%s:%d/metrics", host, port)

        async def on_stop(self) -> None:
            if self.server is not None:
                self.server.close()

    # Faust starts an ``app.service`` after the first assignment. Before it, while Kafka is away or
    # refuses, somebody has to be told that this worker is alive, and why it is not ready.
    app.add_dependency(Metrics())
