"""The generator: repeatable, well-formed, and never an alert that it did not announce."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest

from streamproc.demo.fleet import build_fleet
from streamproc.demo.story import NEAR_MISSES, STORY, UM_RULE_ID, WORKER_RULE_ID
from streamproc.demo.traffic import NEAR_MISS_INTERVAL, Sent, Traffic
from tests.demo.stand_in_worker import rules_that_match

NOW_S = 1_790_000_000.25


def play(seed: int, count: int = 6_000) -> tuple[Traffic, list[Sent]]:
    """A run in three calls: the first half of the story, everyday events, the rest."""
    traffic = Traffic(seed)
    sent = traffic.story(0.5, NOW_S)
    sent += traffic.everyday(count, NOW_S)
    sent += traffic.story(1.0, NOW_S + 10)
    return traffic, sent


@pytest.fixture(scope="module")
def run() -> tuple[Traffic, list[Sent], list[dict[str, Any]]]:
    traffic, sent = play(1)
    return traffic, sent, [orjson.loads(event.value) for event in sent]


@pytest.fixture(scope="module")
def look_alikes() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Process and parent of all events of a stream in which each near miss has come once."""
    sent = Traffic(1).everyday(NEAR_MISS_INTERVAL * len(NEAR_MISSES), NOW_S)
    processes = [orjson.loads(event.value)["process"] for event in sent]
    return [(process, process["parent"]) for process in processes]


def test_same_seed_gives_the_same_bytes():
    """A run can be repeated exactly; another seed is another company."""
    assert play(1, 500)[1] == play(1, 500)[1]
    assert play(1, 500)[1] != play(2, 500)[1]


def test_fleet_has_fifty_hosts_of_both_kinds():
    """Names and ids are unique; the two Exchange servers are Windows."""
    hosts = build_fleet(1)
    assert (
        len(hosts) == len({host.name for host in hosts}) == len({host.id for host in hosts}) == 50
    )
    assert {host.is_windows for host in hosts} == {True, False}
    assert all(host.is_windows for host in hosts if host.role == "exchange")


def test_every_host_is_at_work(run):
    """No host of the fleet is a mere name."""
    traffic, _, events = run
    assert len({event["host"]["id"] for event in events}) == traffic.hosts_count == 50


def test_event_ids_are_unique(run):
    """Alert ids are made from them: two events with one id would be one alert."""
    _, _, events = run
    assert len({event["event"]["id"] for event in events}) == len(events)


def test_key_is_the_host_id(run):
    """Partitioning by key keeps a host's events in order."""
    _, sent, events = run
    assert all(
        item.key.decode() == event["host"]["id"] for item, event in zip(sent, events, strict=True)
    )


def test_events_are_complete(run):
    """The ECS fields that rules and context requests read; times lie at the time passed in."""
    _, _, events = run
    for event in events:
        time_s = datetime.fromisoformat(event["@timestamp"]).timestamp()
        assert NOW_S - 0.001 <= time_s <= NOW_S + 11
        assert event["event"]["category"] == ["process"]
        assert event["event"]["type"] in (["start"], ["end"])
        assert set(event["data_stream"]) == {"type", "dataset", "namespace"}
        process = event["process"]
        assert process["executable"].endswith(process["name"])
        assert process["args"]
        assert process["args_count"] == len(process["args"])
        assert len(process["hash"]["sha256"]) == 64
        assert process["parent"]["name"]
        assert event["user"]["id"]


def test_starts_and_ends_pair_up(run):
    """A process ends at most once, after it started, under the same entity id."""
    _, _, events = run
    started: set[str] = set()
    ended: set[str] = set()
    for event in events:
        entity_id = event["process"].get("entity_id")
        if event["event"]["type"] == ["end"]:
            assert entity_id in started - ended
            ended.add(entity_id)
        else:
            assert entity_id not in started
            started |= {entity_id} if entity_id else set()
    assert len(ended) > 1_000


def test_events_are_as_large_as_real_ones(run):
    """2 to 3 kB on average: a rate in events means little if they are small."""
    _, sent, _ = run
    assert 2_000 <= sum(len(event.value) for event in sent) / len(sent) <= 3_300


def test_exactly_the_announced_events_match(run):
    """The rules' conditions, written out by hand, hold for the expected events and no other."""
    traffic, _, events = run
    matching = {
        (event["event"]["id"], rule_id) for event in events for rule_id in rules_that_match(event)
    }
    assert matching == {(item.event_id, item.rule_id) for item in traffic.expected}


def test_story_raises_both_rules():
    """Four web shell steps and two of the UM service; the last is early enough to be seen."""
    rules = [step.rule_id for step in STORY if step.rule_id]
    assert (rules.count(WORKER_RULE_ID), rules.count(UM_RULE_ID)) == (4, 2)
    assert [step.at for step in STORY] == sorted(step.at for step in STORY)
    assert STORY[-1].at <= 0.8


def test_story_contains_a_renamed_powershell(run):
    """Only ``pe.original_file_name`` gives it away."""
    _, _, events = run
    renamed = [
        event["process"]["name"]
        for event in events
        if event["process"].get("pe", {}).get("original_file_name") == "PowerShell.EXE"
        and event["process"]["name"] != "powershell.exe"
    ]
    assert renamed == ["aspnet_perf.exe"]


def test_one_step_comes_without_entity_ids(run):
    """Its context requests have to fall back."""
    traffic, _, events = run
    expected = {item.event_id for item in traffic.expected}
    lacking = [event for event in events if "entity_id" not in event["process"]]
    assert len(lacking) == 1
    assert lacking[0]["event"]["id"] in expected
    assert lacking[0]["data_stream"]["dataset"] == "m365_defender.event"


def test_story_is_given_out_once_and_in_order():
    """However the progress jumps, every step comes exactly once."""
    traffic = Traffic(1)
    steps = [len(traffic.story(progress, NOW_S)) for progress in (0, 0.2, 0.2, 0.1, 1, 1)]
    assert steps == [0, 3, 0, 0, len(STORY) - 3, 0]


def test_near_misses_come_round(run):
    """One in so many events, each kind in its turn; the right parents are among them."""
    traffic, _, _ = run
    assert traffic.near_misses == 6_000 // NEAR_MISS_INTERVAL
    many = Traffic(3)
    many.everyday(NEAR_MISS_INTERVAL * len(NEAR_MISSES), NOW_S)
    assert many.near_misses == len(NEAR_MISSES)


@pytest.mark.parametrize(
    ("parent", "child", "argument"),
    [
        pytest.param("w3wp.exe", "cmd.exe", "DefaultAppPool", id="another pool"),
        pytest.param("w3wp.exe", "csc.exe", "MSExchangeOWAAppPool", id="a compiler"),
        pytest.param("UMWorkerProcess.exe", "werfault.exe", "", id="crash report"),
        pytest.param("umservice.exe", "UMWorkerProcess.exe", "", id="its own worker"),
        pytest.param("explorer.exe", "powershell.exe", "", id="an administrator"),
        pytest.param("explorer.exe", "cmd.exe", "", id="mentions w3wp.exe"),
        pytest.param("sshd", "grep", "", id="mentions w3wp.exe on Linux"),
    ],
)
def test_near_miss_is_sent(look_alikes, parent: str, child: str, argument: str):
    """Each look-alike that the table promises is in the stream."""
    assert any(
        (started_by["name"], process["name"]) == (parent, child)
        and (not argument or argument in started_by["args"])
        for process, started_by in look_alikes
    )
