"""Fixtures for all tests, and the rule for tests that need a real Kafka.

A test that uses one of the fixtures below is marked ``kafka`` by itself. Where no broker is to be
had such tests are skipped and one loud line at the end says so; with
``STREAMPROC_TEST_REQUIRE_KAFKA=1`` they fail instead, so that CI can never go green without them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.kafka.broker import KafkaBroker, KafkaUnavailableError, fetch_kafka, find_java
from tests.kafka.cluster import EXTERNAL_VARIABLE, REQUIRE_VARIABLE, KafkaCluster

NO_KAFKA = "no Kafka: "
LEFT_OUT = pytest.StashKey[dict[str, str]]()
BROKERS = pytest.StashKey[list[KafkaBroker]]()

# How long an example takes says how busy the machine is, and nothing about the program.
settings.register_profile("streamproc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamproc")


def pytest_configure(config: pytest.Config) -> None:
    # A run in the background of a shell ignores Ctrl-C, and so would every process that a test
    # starts and interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[LEFT_OUT] = {}
    config.stash[BROKERS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"kafka", "make_kafka_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaCluster]:
    """The Kafka that all tests of the run share: started by the first that asks for it.

    ``kafka.bootstrap`` names it and ``kafka.create_topic("events", partitions=4)`` makes a topic
    and returns its unique name. Tests that harm the broker take ``kafka_broker`` instead.
    """
    try:
        cluster = KafkaCluster.start(tmp_path_factory.mktemp("kafka"))
    except KafkaUnavailableError as error:
        _do_without(request.config, str(error))
    if cluster.broker is not None:
        request.config.stash[BROKERS].append(cluster.broker)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def make_kafka_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., KafkaBroker]]:
    """Starts brokers of one's own: takes what ``KafkaBroker`` takes after its directory.

    They run until they are stopped or the run ends.
    """
    try:
        find_java()
        fetch_kafka()
    except KafkaUnavailableError as error:
        _do_without(request.config, str(error))
    brokers = request.config.stash[BROKERS]

    def make(**options: Any) -> KafkaBroker:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), **options)
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def kafka_broker(make_kafka_broker: Callable[..., KafkaBroker]) -> Iterator[KafkaBroker]:
    """A running broker for this test alone, to be stopped, killed, paused and restarted."""
    broker = make_kafka_broker()
    yield broker
    broker.kill()


def _do_without(config: pytest.Config, reason: str) -> None:
    """End the test: there is no Kafka. Never returns."""
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(f"{REQUIRE_VARIABLE} is set, but there is no Kafka: {reason}", pytrace=False)
    pytest.skip(NO_KAFKA + reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if item.get_closest_marker("kafka"):
        if report.skipped and isinstance(report.longrepr, tuple):
            _, _, reason = report.longrepr
            if NO_KAFKA in reason:
                item.config.stash[LEFT_OUT][item.nodeid] = reason.partition(NO_KAFKA)[2]
        elif report.failed:
            for broker in item.config.stash[BROKERS]:
                if broker.pid is None and broker is not item.config.stash[BROKERS][-1]:
                    continue  # ended with an earlier test
                section = f"end of the log of the broker at {broker.bootstrap}"
                report.sections.append((section, broker.log_tail()))
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for kind in ("event", "sequence", "parse"):
        _tell_conformance(terminalreporter, kind)
    left_out = config.stash[LEFT_OUT]
    if left_out:
        reason = next(iter(left_out.values())).splitlines()[0]
        terminalreporter.write_line(
            f"NOT RUN: {len(left_out)} tests need a real Apache Kafka, and {reason}. Install a "
            f"JDK 17 and Maven, or name a broker in {EXTERNAL_VARIABLE} (host:port).",
            red=True,
            bold=True,
        )


def _tell_conformance(terminalreporter: pytest.TerminalReporter, kind: str) -> None:
    """Say how many conformance tests of a kind gave the expected answer, if any ran."""
    place = f"tests/eql/test_conformance_{kind}.py::"
    right, wrong = (
        sum(report.nodeid.startswith(place) for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed")
    )
    if right + wrong:
        terminalreporter.write_line(f"conformance, {kind}: {right} of {right + wrong} tests right")
