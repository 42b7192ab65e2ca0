"""The topics of a deployment on a Kafka cluster: made if missing, compared if they are there.

Law of the file: nothing that exists is ever changed or deleted. A topic that differs from the
plan is reported with every difference, and its owner decides.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streamproc.config import KIB, MIB, Settings
from streamproc.errors import ConfigError
from streamproc.refusals import cause_of, in_words, refusal_of

TIMEOUT_S = 30.0
HOUR_MS = 3_600_000
# Key, headers and the batch around a record count towards max.message.bytes too.
RECORD_OVERHEAD_BYTES = 64 * KIB
# Largest snapshot of the sequence state of one host (or other scope).
SNAPSHOT_BYTES_MAX = 16 * MIB


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """What the user chooses about the topics.

    Attributes:
        events_partitions: Partitions of the events topic: the most workers that can share it.
        outputs_partitions: Partitions of each of the other three.
        replication: Copies of each partition.
        min_insync_replicas: Copies that must have a record before it counts as written; None
            takes one less than ``replication``, but at least one, so that one broker may fail.
        events_retention_ms: How long events are kept.
        outputs_retention_ms: How long alerts, context requests and dead letters are kept.
    """

    events_partitions: int = 12
    outputs_partitions: int = 12
    replication: int = 3
    min_insync_replicas: int | None = None
    events_retention_ms: int = 3 * 24 * HOUR_MS
    outputs_retention_ms: int = 14 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """One topic as it should be; ``config`` holds Kafka's own names and values."""

    topic: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class TopicOutcome(NamedTuple):
    """One line of the report.

    Attributes:
        topic: Name of the topic.
        action: ``created``, ``missing`` (in a dry run), ``exists``, ``differs`` or ``failed``.
        partitions: As planned; of an existing topic as found.
        replication: As planned; of an existing topic as found.
        config: As planned; of an existing topic as found.
        detail: What differs or why it failed; "" otherwise.
    """

    topic: str
    action: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    detail: str


def plan_topics(settings: Settings, options: TopicOptions) -> list[TopicPlan]:
    """What the four topics should be.

    Raises:
        ConfigError: An option is out of range.
    """
    insync = options.min_insync_replicas
    if insync is None:
        insync = max(1, options.replication - 1)
    for name, value in (
        ("partitions of events", options.events_partitions),
        ("partitions of outputs", options.outputs_partitions),
        ("replication", options.replication),
        ("min.insync.replicas", insync),
    ):
        if value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1")
    if insync > options.replication:
        raise ConfigError(
            f"min.insync.replicas = {insync}: must be at most the replication"
            f" ({options.replication}), or nothing could ever be written"
        )
    events_config = _config(settings.record_bytes_max, options.events_retention_ms, insync)
    outputs_config = _config(settings.output_bytes_max, options.outputs_retention_ms, insync)
    outputs = (
        settings.alerts_topic,
        settings.context_requests_topic,
        settings.dead_letters_topic,
    )
    events = TopicPlan(
        settings.events_topic, options.events_partitions, options.replication, events_config
    )
    # Compacted: the last snapshot of each scope counts. Segments of an hour, so that there is
    # something to compact.
    state = TopicPlan(
        settings.sequence_state_topic,
        options.events_partitions,
        options.replication,
        {
            "cleanup.policy": "compact",
            "max.message.bytes": str(SNAPSHOT_BYTES_MAX + RECORD_OVERHEAD_BYTES),
            "min.insync.replicas": str(insync),
            "segment.ms": str(HOUR_MS),
        },
    )
    canary = TopicPlan(
        settings.canary_topic,
        1,
        options.replication,
        outputs_config | {"retention.ms": str(HOUR_MS)},
    )
    return [
        events,
        state,
        *([canary] if settings.canary_interval_s else ()),
        *(
            TopicPlan(topic, options.outputs_partitions, options.replication, outputs_config)
            for topic in dict.fromkeys(outputs)
        ),
    ]


def create_topics(
    settings: Settings, options: TopicOptions, *, dry_run: bool = False
) -> list[TopicOutcome]:
    """Make the topics that are missing and compare the others; safe to repeat.

    Returns:
        One outcome per topic, in the order of ``plan_topics``.

    Raises:
        ConfigError: An option is out of range, or the cluster cannot be reached.
    """
    plans = plan_topics(settings, options)
    admin = _connect(settings)
    try:
        found = _existing(admin, plans)
        missing = [plan for plan in plans if plan.topic not in found]
        failures = {} if dry_run else _create(admin, missing)
        made = [plan for plan in missing if not dry_run and plan.topic not in failures]
        # Another run made these between our look and our attempt.
        overtaken = [plan for plan in missing if _is_overtaken(failures.get(plan.topic))]
        visible = _wait_until_visible(admin, made + overtaken)
        found.update((plan.topic, visible[plan.topic]) for plan in overtaken)
    except KafkaException as error:
        raise _unreachable(settings, error.args[0]) from None
    outcomes = []
    for plan in plans:
        if plan.topic in found:
            outcomes.append(_compared(plan, found[plan.topic]))
        elif failure := failures.get(plan.topic):
            outcomes.append(_outcome(plan, "failed", _words(failure)))
        else:
            outcomes.append(_outcome(plan, "missing" if dry_run else "created", ""))
    return outcomes


def _connect(settings: Settings) -> AdminClient:
    """An admin client that has reached the cluster.

    Raises:
        ConfigError: librdkafka refuses the settings, or the cluster refuses us or is not there.
    """
    errors: list[KafkaError] = []
    options: dict[str, Any] = settings.librdkafka_client_options()
    options["bootstrap.servers"] = settings.bootstrap_servers
    options["error_cb"] = errors.append
    options["log_level"] = 0  # what fails is told below, in one line
    try:
        admin = AdminClient(options)
    except KafkaException as error:
        raise ConfigError(f"Kafka client settings: {_words(error.args[0])}") from None
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            admin.list_topics(timeout=1)
            return admin
        except KafkaException as error:
            admin.poll(0)  # calls error_cb
            refusals = [seen for seen in errors if refusal_of(seen)]
            # A refusal will not get better; a broker that is not there yet may come.
            if refusals or time.monotonic() > deadline:
                told = [*refusals, *reversed(errors), error.args[0]][0]
                raise _unreachable(settings, told) from None


def _unreachable(settings: Settings, error: KafkaError) -> ConfigError:
    reason = cause_of(error, settings.librdkafka_client_options())
    words = in_words(reason, error.str()) if reason else _words(error)
    return ConfigError(f"Kafka at {settings.bootstrap_servers} (bootstrap_servers): {words}")


def _config(record_bytes_max: int, retention_ms: int, min_insync_replicas: int) -> dict[str, str]:
    return {
        "max.message.bytes": str(record_bytes_max + RECORD_OVERHEAD_BYTES),
        "min.insync.replicas": str(min_insync_replicas),
        "retention.ms": str(retention_ms),
    }


def _existing(admin: AdminClient, plans: list[TopicPlan]) -> dict[str, TopicPlan]:
    """Those of the planned topics that exist, as they are."""
    cluster = admin.list_topics(timeout=TIMEOUT_S).topics
    topics = [plan.topic for plan in plans if plan.topic in cluster]
    if not topics:
        return {}
    wanted = {plan.topic: plan.config for plan in plans}
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    found = {}
    for resource, future in admin.describe_configs(resources, request_timeout=TIMEOUT_S).items():
        entries = future.result(TIMEOUT_S)
        partitions = cluster[resource.name].partitions.values()
        found[resource.name] = TopicPlan(
            resource.name,
            len(partitions),
            min((len(partition.replicas) for partition in partitions), default=0),
            {name: entries[name].value for name in wanted[resource.name] if name in entries},
        )
    return found


def _wait_until_visible(admin: AdminClient, plans: list[TopicPlan]) -> dict[str, TopicPlan]:
    """The topics as they are; waits, as a broker learns of a new topic only after its creation.

    Raises:
        KafkaException: A topic is still unknown to the brokers after ``TIMEOUT_S``.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        visible = _existing(admin, plans)
        unseen = [plan.topic for plan in plans if plan.topic not in visible]
        if not unseen:
            return visible
        if time.monotonic() > deadline:
            raise KafkaException(
                KafkaError(
                    KafkaError._TIMED_OUT, f"{', '.join(unseen)}: created, but not seen since"
                )
            )
        time.sleep(0.05)


def _create(admin: AdminClient, plans: list[TopicPlan]) -> dict[str, KafkaError]:
    """Create the topics; what went wrong by topic."""
    if not plans:
        return {}
    topics = [
        NewTopic(
            plan.topic,
            num_partitions=plan.partitions,
            replication_factor=plan.replication,
            config=dict(plan.config),
        )
        for plan in plans
    ]
    failures = {}
    for topic, future in admin.create_topics(topics, operation_timeout=TIMEOUT_S).items():
        try:
            future.result(TIMEOUT_S * 2)
        except KafkaException as error:
            failures[topic] = error.args[0]
    return failures


def _is_overtaken(failure: KafkaError | None) -> bool:
    return failure is not None and failure.code() == KafkaError.TOPIC_ALREADY_EXISTS


def _compared(plan: TopicPlan, found: TopicPlan) -> TopicOutcome:
    differences = [
        f"{what} {is_} (planned {planned})"
        for what, is_, planned in (
            ("partitions", found.partitions, plan.partitions),
            ("replication", found.replication, plan.replication),
            *((name, found.config.get(name), value) for name, value in plan.config.items()),
        )
        if is_ != planned
    ]
    return _outcome(found, "differs" if differences else "exists", ", ".join(differences))


def _outcome(plan: TopicPlan, action: str, detail: str) -> TopicOutcome:
    return TopicOutcome(plan.topic, action, plan.partitions, plan.replication, plan.config, detail)


def _words(error: KafkaError) -> str:
    """The error in words and by Kafka's own name, to search for."""
    return f"{error.str()} ({error.name()})"
