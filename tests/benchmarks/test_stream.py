"""The benchmark's traffic: repeatable, realistic in its shares, and its alerts are known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from benchmarks.contenders.rules import Matchers
from benchmarks.session import alert_names
from benchmarks.traffic.hostile import LARGE_BYTES, STREAMS
from benchmarks.traffic.programs import ASKED_FOR, DESKTOP, LINUX, SERVER
from benchmarks.traffic.shapes import AUDITD, ENDPOINT, SOURCES, STYLES, SYSMON, template
from benchmarks.traffic.stream import ALERT_EVERY, Traffic
from streamproc.engine.program import Program
from streamproc.eql.event import Event
from streamproc.ruleset.loader import load_rules

EVENTS = 6_000
RULES = Path(__file__).resolve().parents[2] / "rules"


@pytest.fixture(scope="module")
def traffic():
    """Six thousand events and what was planted in them."""
    traffic = Traffic()
    return traffic, list(traffic.events(EVENTS))


def test_same_seed_gives_the_same_events_however_many_are_drawn(traffic):
    """The beginning of a long stream is the short stream; another seed is another stream."""
    _, events = traffic

    assert list(Traffic().events(500)) == events[:500]
    assert next(Traffic(seed=1).events(1)) != events[0]


def test_shipped_rules_find_what_was_planted_and_nothing_else(traffic):
    """One alert in every block; every rule on every event, without a prefilter."""
    planted, events = traffic
    matchers = Matchers([RULES])
    for _, value in events:
        matchers.evaluate(value)

    assert len(planted.planted) == EVENTS // ALERT_EVERY
    assert matchers.found == alert_names(planted.planted)


def test_expected_of_a_shorter_stream_is_the_beginning(traffic):
    """What lies behind the end of the shorter stream is not expected of it."""
    planted, _ = traffic

    assert planted.expected(ALERT_EVERY) == planted.planted[:1]


def test_shares_are_those_that_are_stated(traffic):
    """15 to 25 % of the events name programs that rules ask about; about 3 kB; all kinds."""
    _, events = traffic
    documents = [Event(orjson.loads(value)) for _, value in events]
    asked = sum(d.values("process.name")[0] in ASKED_FOR for d in documents) / EVENTS
    kinds = Counter(d.values("host.name")[0].partition("-")[0] for d in documents)
    sources = Counter(d.values("agent.type")[0] for d in documents)
    size = sum(len(value) for _, value in events) / EVENTS

    assert 0.15 <= asked <= 0.25
    assert {kind: round(count / EVENTS, 1) for kind, count in kinds.items()} == {
        "srv": 0.3, "mbx": 0.0, "pc": 0.3, "lnx": 0.3
    }  # fmt: skip
    assert sources["endpoint"] / EVENTS > 0.6
    assert 0.05 <= sources["winlogbeat"] / EVENTS <= 0.25
    assert 0.05 <= sources["auditbeat"] / EVENTS <= 0.15
    assert 2_700 <= size <= 3_500


def test_ways_of_writing_have_their_shares(traffic):
    """Most is nested and plain; dotted keys and escapes that hide text do occur."""
    _, events = traffic
    dotted = sum(b'"process.name"' in value for _, value in events) / EVENTS
    escaped = sum(b"\\u0026" in value or b"\\/" in value for _, value in events) / EVENTS

    assert 0.04 <= dotted <= 0.2
    assert 0.01 <= escaped <= 0.2


def test_attacks_come_in_every_shape_that_a_rule_reads():
    """An engine that knows one source alone would miss some."""
    source = Traffic(alert_every=20)
    drawn = [value for _, value in source.events(2_000)]
    planted = [Event(orjson.loads(drawn[attack.number])) for attack in source.planted]

    assert {event.values("agent.type")[0] for event in planted} == {"endpoint", "winlogbeat"}


def test_key_is_the_host_id(traffic):
    """Partitioned as shippers do it."""
    _, events = traffic

    for key, value in events[:200]:
        assert Event(orjson.loads(value)).values("host.id") == (key.decode(),)


@pytest.mark.parametrize(
    ("activity", "source"),
    [
        (SERVER[0], ENDPOINT),
        (DESKTOP[-4], ENDPOINT),
        (LINUX[5], ENDPOINT),
        (SERVER[0], SYSMON),
        (LINUX[5], AUDITD),
    ],
)
def test_styles_say_the_same(activity, source):
    """All ways of writing an event give the same fields."""
    blanks = dict.fromkeys(["account", "number", "small", "hex", "event", "clock"], "7")
    fields = ("process.command_line", "process.name", "host.os.type", "event.type", "agent.id")
    read = []
    for style in STYLES:
        text = template(activity, "start", style, source)
        filled = text % _Sevens(blanks)
        event = Event(orjson.loads(filled))
        read.append([event.values(field) for field in fields])

    assert all(read[0])
    assert all(values == read[0] for values in read)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_writes_ecs(source):
    """The fields that rules ask about stand where ECS has them."""
    activity = LINUX[0] if source == AUDITD else SERVER[0]
    event = Event(orjson.loads(template(activity, "start", "nested", source) % _Sevens()))

    assert event.values("process.name") == (activity.name,)
    assert event.values("process.args")[0] == activity.executable
    assert event.values("event.category") == ("process",)
    assert event.values("event.type") == ("start",)
    assert event.values("data_stream.dataset")


def test_styles_differ_in_their_bytes():
    """Dotted keys, Go's escapes and needless escapes do occur."""
    texts = {style: template(LINUX[5], "start", style) for style in STYLES}

    assert '"process.parent.name"' in texts["dotted"]
    assert "\\u0026" in texts["go"]
    assert "\\/usr\\/bin\\/curl" in texts["slashes"]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.key)
def test_hostile_stream_raises_what_was_planted(stream):
    """What is odd about it hides no alert and invents none."""
    traffic = stream.traffic()
    matchers = Matchers([RULES])
    for _, value in stream.events(traffic, ALERT_EVERY):
        matchers.evaluate(value)

    assert len(traffic.planted) == 1
    assert matchers.found == alert_names(traffic.planted)


def test_hostile_streams_are_what_they_are_called():
    """1 % of 1 MB, with all alerts among them; a fifth are candidates; one key."""
    large, candidates, hot = (
        list(stream.events(stream.traffic(), ALERT_EVERY)) for stream in STREAMS
    )
    program = Program(load_rules([RULES]))
    looked_at = program.prefilter.candidates([value for _, value in candidates])

    assert sum(len(value) == LARGE_BYTES for _, value in large) in {20, 21}
    assert 0.15 <= len(looked_at) / ALERT_EVERY <= 0.25
    assert len({key for key, _ in hot}) == 1


class _Sevens(dict):
    """Blanks that nobody named are a digit."""

    def __missing__(self, key):
        return "7"
