"""The benchmark's traffic: repeatable, realistic in its shares, and its alerts are known."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from benchmarks.contenders.rules import Matchers
from benchmarks.traffic.programs import ASKED_FOR, DESKTOP, LINUX, SERVER
from benchmarks.traffic.shapes import STYLES, template
from benchmarks.traffic.stream import ALERT_EVERY, Traffic
from streamproc.eql.event import Event

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

    expected = {f"{p.rule_id}|{p.host_id}|{p.event_id}" for p in planted.planted}
    assert len(expected) == EVENTS // ALERT_EVERY
    assert matchers.found == expected


def test_expected_of_a_shorter_stream_is_the_beginning(traffic):
    """What lies behind the end of the shorter stream is not expected of it."""
    planted, _ = traffic

    assert planted.expected(ALERT_EVERY) == planted.planted[:1]


def test_shares_are_those_that_are_stated(traffic):
    """15 to 25 % of the events name programs that rules ask about; about 3 kB; all kinds."""
    _, events = traffic
    documents = [Event(orjson.loads(value)) for _, value in events]
    asked = sum(d.values("process.name")[0] in ASKED_FOR for d in documents) / EVENTS
    windows = sum(d.values("host.os.type") == ("windows",) for d in documents) / EVENTS
    size = sum(len(value) for _, value in events) / EVENTS

    assert 0.15 <= asked <= 0.25
    assert 0.6 <= windows <= 0.75
    assert 2_500 <= size <= 3_700


def test_key_is_the_host_id(traffic):
    """Partitioned as shippers do it."""
    _, events = traffic

    for key, value in events[:200]:
        assert Event(orjson.loads(value)).values("host.id") == (key.decode(),)


@pytest.mark.parametrize("activity", [SERVER[0], DESKTOP[-4], LINUX[5]])
def test_styles_say_the_same(activity):
    """All ways of writing an event give the same fields."""
    blanks = dict.fromkeys(["account", "number", "small", "hex", "event", "clock"], "7")
    fields = ("process.command_line", "process.parent.name", "host.os.type", "event.type")
    read = []
    for style in STYLES:
        text = template(activity, "start", style)
        filled = text % _Sevens(blanks)
        event = Event(orjson.loads(filled))
        read.append([event.values(field) for field in fields])

    assert all(read[0])
    assert all(values == read[0] for values in read)


def test_styles_differ_in_their_bytes():
    """Dotted keys, Go's escapes and needless escapes do occur."""
    texts = {style: template(LINUX[5], "start", style) for style in STYLES}

    assert '"process.parent.name"' in texts["dotted"]
    assert "\\u0026" in texts["go"]
    assert "\\/usr\\/bin\\/curl" in texts["slashes"]


class _Sevens(dict):
    """Blanks that nobody named are a digit."""

    def __missing__(self, key):
        return "7"
