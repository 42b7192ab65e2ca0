"""The HTTP server and the pages beside ``/metrics``: what they say, and to how many at once."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request

import pytest

from streamproc.errors import ConfigError
from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.counters import Counters, Lag
from streamproc.ops.facts import RejectedRule, RuleFacts, WorkerFacts
from streamproc.ops.health import STUCK_S, Health
from streamproc.ops.metrics import ANSWERS_AT_ONCE, Page, serve_metrics
from streamproc.ops.pages import health_pages

FACTS = WorkerFacts(
    version="1.2.3",
    ruleset_digest="abc",
    config_digest="def",
    rules=(RuleFacts("r-1", "First", "high"), RuleFacts("r-2", "Second", "low", "sequence")),
    rejected=(RejectedRule("rules/bad.toml", "no query", 7, 3),),
    loaded_at_s=900.0,
    settings={"group_id": "g", "sasl_password": "********"},
)


class Worker:
    """A worker's health, pages and the monotonic time."""

    def __init__(self, facts: WorkerFacts = FACTS) -> None:
        self.now_s = 100.0
        self.counters = Counters()
        self.health = Health(clock=lambda: self.now_s)
        self.collector = StreamprocCollector(self.counters, facts, unready=self.health.unready)
        self.pages = health_pages(self.counters, self.health, self.collector, lambda: 1_000.0)
        self.health.has_assignment = self.health.is_producer_up = True
        self.health.brokers_at_s = self.now_s
        self.health.beat()

    def ask(self, path: str) -> tuple[bool, dict]:
        page = self.pages[path]()
        return page.is_good, json.loads(page.body)


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # of our own making
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_good_worker_is_live_and_ready():
    worker = Worker()

    assert worker.ask("/livez") == (True, {"live": True, "standstill": None})
    assert worker.ask("/readyz") == (True, {"ready": True, "reasons": []})


def test_a_stuck_worker_says_what_stands_still():
    """And since when, in seconds."""
    worker = Worker()
    worker.now_s += STUCK_S + 1
    standstill = {"reason": "the event loop is blocked", "seconds": STUCK_S + 1}

    assert worker.ask("/livez") == (False, {"live": False, "standstill": standstill})


def test_waiting_for_brokers_is_a_matter_of_readiness():
    """A restart would not bring them back."""
    worker = Worker()
    worker.now_s += 600
    worker.health.beat()

    assert worker.ask("/livez")[0]
    assert worker.ask("/readyz") == (False, {"ready": False, "reasons": ["brokers"]})


def test_a_worker_without_rules_is_not_ready():
    """Whatever else is well."""
    worker = Worker(WorkerFacts("1", "d", ()))

    assert worker.ask("/readyz") == (False, {"ready": False, "reasons": ["rules"]})


def test_status_tells_rules_partitions_and_settings():
    """What was rejected with place and reason; lag; secrets as they were masked."""
    worker = Worker()
    worker.counters.partitions["in", 3] = Lag(5, 9, 995_000)
    worker.counters.outcomes.update(matched=1, filtered=7)
    worker.counters.reloads["refused"] = 2
    worker.counters.reload_refusal = "1 file is newly broken"
    is_good, status = worker.ask("/status")

    assert is_good
    assert (status["version"], status["live"], status["ready"]) == ("1.2.3", True, True)
    assert status["ruleset"] == {
        "digest": "abc",
        "loaded_at_s": 900.0,
        "rules": {"query": 1, "sequence": 1},
        "reloads": {"refused": 2},
        "refusal": "1 file is newly broken",
        "rejected": [{"path": "rules/bad.toml", "reason": "no query", "line": 7, "column": 3}],
        "rejected_count": 1,
    }
    assert status["partitions"] == [
        {"topic": "in", "partition": 3, "position": 5, "end": 9, "lag_records": 4,
         "lag_seconds": 5.0},
    ]  # fmt: skip
    assert status["events"]["filtered"] == 7
    assert status["events"]["matched"] == 1
    assert status["settings"] == FACTS.settings


def test_status_shows_the_rules_in_force():
    """After a reload those of the new set."""
    worker = Worker()
    worker.collector.facts = WorkerFacts("1.2.3", "xyz", (RuleFacts("r", "R", "low"),))
    _, status = worker.ask("/status")

    assert status["ruleset"]["digest"] == "xyz"
    assert status["ruleset"]["rejected"] == []


@pytest.fixture
def server():
    """A server with a good page, a bad one, and the metrics."""
    pages = {"/good": lambda: Page(True, b"{}"), "/bad": lambda: Page(False, b'{"why": 1}')}
    registry = metrics_registry(StreamprocCollector(Counters(), FACTS))
    server = serve_metrics("127.0.0.1", 0, registry, pages)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/good", 200, b"{}"),
        ("HEAD", "/good", 200, b""),
        ("GET", "/bad", 503, b'{"why": 1}'),
        ("GET", "/good?verbose", 200, b"{}"),
        ("GET", "/", 404, b'{"pages": "/metrics /good /bad"}\n'),
        ("POST", "/good", 405, b""),
    ],
)
def test_pages_are_served(server, method, path, status, body):
    """Good news is 200, bad news 503; nothing can be changed here."""
    assert get(server.port, path, method) == (status, body)


def test_callers_who_say_nothing_take_a_bounded_share(server):
    """Beyond so many at once a caller is turned away, and when they are gone it works again."""
    idle = [
        socket.create_connection(("127.0.0.1", server.port)) for _ in range(ANSWERS_AT_ONCE + 1)
    ]
    refused = idle[-1]
    refused.settimeout(30)
    assert refused.recv(1) == b""  # hung up on
    for one in idle:
        one.close()
    answers = []
    while (200, b"{}") not in answers:
        try:
            answers.append(get(server.port, "/good"))
        except (urllib.error.URLError, ConnectionError):
            assert len(answers) < 1_000


def test_it_listens_on_ipv6_too():
    """As pods with IPv6 addresses alone need."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    registry = metrics_registry(StreamprocCollector(Counters(), FACTS))
    try:
        server = serve_metrics("::1", 0, registry)
    except ConfigError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with urllib.request.urlopen(f"http://[::1]:{server.port}/metrics") as answer:
        assert answer.status == 200
    server.close()
