"""The topics: planned from settings and options, made once on a real broker, never changed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.topics import SNAPSHOT_BYTES_MAX, TopicOptions, create_topics, plan_topics

SINGLE = TopicOptions(events_partitions=4, outputs_partitions=2, replication=1)


def settings_on(kafka):
    """Settings for five topics that no other test uses."""
    names = ("events", "sequence_state", "alerts", "context_requests", "dead_letters")
    topics = {f"{name}_topic": kafka.topic_name(name) for name in names}
    return Settings(bootstrap_servers=kafka.bootstrap, **topics)


def actions(outcomes):
    return [outcome.action for outcome in outcomes]


def test_plan_follows_settings_and_options():
    """Names and record sizes come from the settings, the rest from the options."""
    settings = Settings(record_bytes_max=2_000_000)
    events, _, *outputs = plan_topics(settings, TopicOptions())

    assert (events.topic, events.partitions, events.replication) == ("streamproc.events", 12, 3)
    assert events.config == {
        "max.message.bytes": "2065536",
        "min.insync.replicas": "2",
        "retention.ms": "259200000",
    }
    assert [plan.topic for plan in outputs] == [
        "streamproc.alerts",
        "streamproc.context-requests",
        "streamproc.dead-letters",
    ]
    assert {plan.config["max.message.bytes"] for plan in outputs} == {"1065536"}


def test_state_topic_is_compacted_and_has_the_partitions_of_the_events():
    """A worker reads the state of a partition under the same number; the last one counts."""
    _, state, *_ = plan_topics(Settings(), TopicOptions(events_partitions=7, replication=2))

    assert (state.topic, state.partitions, state.replication) == ("streamproc.sequence-state", 7, 2)
    assert state.config == {
        "cleanup.policy": "compact",
        "max.message.bytes": str(SNAPSHOT_BYTES_MAX + 65_536),
        "min.insync.replicas": "1",
        "segment.ms": "3600000",
    }


def test_plan_names_each_topic_once():
    """Two outputs may share a topic; it is made once."""
    shared = Settings(alerts_topic="out", context_requests_topic="out", dead_letters_topic="out")

    assert [plan.topic for plan in plan_topics(shared, SINGLE)] == [
        "streamproc.events",
        "streamproc.sequence-state",
        "out",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TopicOptions(events_partitions=0), "partitions of events = 0: must be at least 1"),
        (TopicOptions(outputs_partitions=-1), "partitions of outputs = -1: must be at least 1"),
        (TopicOptions(replication=0), "replication = 0: must be at least 1"),
        (TopicOptions(min_insync_replicas=0), "min.insync.replicas = 0: must be at least 1"),
        (
            TopicOptions(replication=2, min_insync_replicas=3),
            "min.insync.replicas = 3: must be at most the replication (2), or nothing could ever"
            " be written",
        ),
    ],
)
def test_impossible_options_are_refused(options, message):
    """Before any broker is asked, naming the option, its value and what it may be."""
    with pytest.raises(ConfigError) as caught:
        plan_topics(Settings(), options)

    assert str(caught.value) == message


@pytest.mark.parametrize(("replication", "insync"), [(1, "1"), (2, "1"), (3, "2"), (5, "4")])
def test_insync_replicas_let_one_broker_fail(replication, insync):
    """Unless chosen, one less than the replication, and never less than one."""
    plans = plan_topics(Settings(), TopicOptions(replication=replication))

    assert {plan.config["min.insync.replicas"] for plan in plans} == {insync}


def test_unreachable_cluster_is_a_config_error(monkeypatch):
    """The message names the setting and the address."""
    monkeypatch.setattr("streamproc.topics.TIMEOUT_S", 0.5)
    with pytest.raises(ConfigError, match=r"Kafka at 127\.0\.0\.1:1 \(bootstrap_servers\)"):
        create_topics(Settings(bootstrap_servers="127.0.0.1:1"), SINGLE)


def test_client_settings_that_librdkafka_refuses_are_a_config_error():
    """An option that does not exist is named."""
    settings = Settings(kafka_options={"no.such.option": "1"})
    with pytest.raises(ConfigError, match=r"Kafka client settings: .*no\.such\.option"):
        create_topics(settings, SINGLE)


def test_topics_are_created_once_with_all_they_should_have(kafka):
    """First missing, then created as planned, then found as planned, without a difference."""
    settings = settings_on(kafka)

    assert actions(create_topics(settings, SINGLE, dry_run=True)) == ["missing"] * 5
    assert actions(create_topics(settings, SINGLE, dry_run=True)) == ["missing"] * 5

    created = create_topics(settings, SINGLE)
    again = create_topics(settings, SINGLE)

    assert actions(created) == ["created"] * 5
    assert actions(again) == ["exists"] * 5
    assert [outcome.partitions for outcome in again] == [4, 4, 2, 2, 2]
    assert [outcome.config for outcome in again] == [
        dict(plan.config) for plan in plan_topics(settings, SINGLE)
    ]


def test_two_runs_at_once_agree(kafka):
    """Each topic is created by one of them and found by the others; none fails."""
    settings = settings_on(kafka)
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: create_topics(settings, SINGLE), range(3)))

    for same_topic in zip(*runs, strict=True):
        assert sorted(actions(same_topic)) == ["created", "exists", "exists"]


def test_differing_topic_is_reported_and_left_alone(kafka):
    """Every difference is named, and the broker holds afterwards what it held before."""
    settings = settings_on(kafka)
    create_topics(settings, SINGLE)
    other = TopicOptions(
        events_partitions=6, outputs_partitions=2, replication=1, events_retention_ms=60_000
    )
    events, state, *outputs = create_topics(settings, other)

    assert events.action == "differs"
    assert events.detail == "partitions 4 (planned 6), retention.ms 259200000 (planned 60000)"
    assert events.partitions == 4
    assert (state.action, state.detail) == ("differs", "partitions 4 (planned 6)")
    assert actions(outputs) == ["exists"] * 3
    resource = ConfigResource(ResourceType.TOPIC, settings.events_topic)
    [described] = kafka.admin.describe_configs([resource]).values()
    assert described.result(30)["retention.ms"].value == "259200000"
    metadata = kafka.admin.list_topics(settings.events_topic, timeout=30)
    assert len(metadata.topics[settings.events_topic].partitions) == 4


def test_topic_that_cannot_be_made_fails_alone(kafka):
    """One topic with a name that Kafka refuses; the other four are made."""
    settings = settings_on(kafka).model_copy(update={"alerts_topic": "no spaces allowed"})
    outcomes = create_topics(settings, SINGLE)

    assert actions(outcomes) == ["created", "created", "failed", "created", "created"]
    assert "TOPIC_EXCEPTION" in outcomes[2].detail


def test_replication_beyond_the_brokers_fails_with_the_reason(kafka):
    """A replication that the cluster cannot give: nothing is made, the reason is Kafka's."""
    if kafka.broker is None:
        pytest.skip("the number of brokers is not known")
    outcomes = create_topics(settings_on(kafka), TopicOptions(replication=3))

    assert actions(outcomes) == ["failed"] * 5
    assert "INVALID_REPLICATION_FACTOR" in outcomes[0].detail
