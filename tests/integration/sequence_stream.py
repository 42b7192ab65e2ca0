"""A stream of sequences: hosts whose events come out of order, and the batch answer to them.

The answer is that of ``compile_query(...).search`` over each host's events sorted by time; only
the ids of its alerts are made by the engine's own functions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from streamproc.engine.identity import building_block_id, event_identity, sequence_alert_id
from streamproc.eql.event import Event
from streamproc.eql.query import compile_query
from streamproc.model import Record

MINUTE_MS = 60_000
DISORDER_MS = 1_500
"""Most by which an event is moved from its place in time."""

# Name, query, and the fields of its join key.
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "spawn-connects": (
        """sequence by host.id, process.entity_id with maxspan=1m
  [process where event.type == "start" and process.name == "rundll32.exe"]
  [network where destination.port == 4444]""",
        ("host.id", "process.entity_id"),
    ),
    "parent-child": (
        """sequence by host.id with maxspan=30s
  [process where process.name == "winword.exe"] by process.entity_id
  [process where process.name == "powershell.exe"] by process.parent.entity_id""",
        ("host.id", "process.entity_id"),
    ),
    "failures": (
        """sequence by host.id, user.id with maxspan=10m
  [authentication where event.outcome == "failure"] with runs=4
  [authentication where event.outcome == "success"]""",
        ("host.id", "user.id"),
    ),
    "until-end": (
        """sequence by host.id, process.entity_id with maxspan=1m
  [process where process.name == "certutil.exe"]
  [file where file.extension == "exe"]
  until [process where event.type == "end"]""",
        ("host.id", "process.entity_id"),
    ),
    "no-signature": (
        """sequence by host.id, process.entity_id with maxspan=20s
  [process where process.name == "updater.exe"]
  ![file where file.name == "signed.cat"]
  [file where file.extension == "dll"]""",
        ("host.id", "process.entity_id"),
    ),
    "never-logged": (
        """sequence by host.id, process.entity_id with maxspan=5s
  [process where process.name == "service.exe"]
  ![file where file.name == "service.log"]""",
        ("host.id", "process.entity_id"),
    ),
}
NOISE = ("svchost.exe", "chrome.exe", "teams.exe", "explorer.exe", "code.exe", "git.exe")


class Timed(NamedTuple):
    """An event, when it happened and when it is sent, milliseconds."""

    at_ms: int
    sent_ms: int
    document: dict[str, Any]


class SequenceStream(NamedTuple):
    """Records (key, value) in the order in which they are sent, and the ids that must come out."""

    records: list[tuple[bytes, bytes]]
    shells: set[str]
    blocks: set[str]


def make_stream(
    events: int, hosts: int, begin_ms: int, end_ms: int, share: float = 0.15, seed: int = 11
) -> SequenceStream:
    """Events of ``hosts`` from ``begin_ms`` to ``end_ms``; a ``share`` of them can be a step."""
    source = random.Random(seed)
    timed = []
    for number in range(events):
        at_ms = begin_ms + number * (end_ms - begin_ms) // events
        sent_ms = at_ms + (source.randrange(DISORDER_MS) if source.random() < 0.3 else 0)
        host = f"host-{source.randrange(hosts)}"
        is_noise = source.random() >= share
        timed.append(Timed(at_ms, sent_ms, _document(number, at_ms, host, source, is_noise)))
    timed.sort(key=lambda item: item.sent_ms)
    documents = [item.document for item in timed]
    shells, blocks = expected_ids(documents)
    records = [(item["host"]["id"].encode(), orjson.dumps(item)) for item in documents]
    return SequenceStream(records, shells, blocks)


def rule_id(name: str) -> str:
    number = list(RULES).index(name)
    return f"5e900000-0000-4000-8000-{number:012d}"


def write_rules(folder) -> None:
    """The rules as files."""
    folder.mkdir()
    for name, (query, _) in RULES.items():
        text = (
            f'[metadata]\nmaturity = "production"\n[rule]\nrule_id = "{rule_id(name)}"\n'
            f'name = "{name}"\ndescription = "For a test."\nauthor = ["streamproc"]\n'
            'license = "Apache-2.0"\nseverity = "high"\nrisk_score = 73\ntype = "eql"\n'
            f"language = \"eql\"\nversion = 1\nquery = '''\n{query}\n'''\n"
        )
        (folder / f"{name}.toml").write_text(text, "utf-8")


def expected_ids(documents: Iterable[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The ids of the shell and the building-block alerts of the batch answer."""
    by_host: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        if document["process"]["name"] not in NOISE:
            by_host.setdefault(document["host"]["id"], []).append(document)
    shells: set[str] = set()
    blocks: set[str] = set()
    for name, (query, key) in RULES.items():
        compiled = compile_query(query)
        for found in by_host.values():
            found.sort(key=lambda document: document["@timestamp"])
            for sequence in compiled.search(found):
                steps = [Event(document) for document in sequence if document is not None]
                identities = [event_identity(step, _NOWHERE) for step in steps]
                join_key = tuple(steps[0].values(field)[0] for field in key)
                shell = sequence_alert_id(rule_id(name), identities, join_key)
                shells.add(shell)
                blocks.update(building_block_id(shell, n) for n in range(len(steps)))
    return shells, blocks


_NOWHERE = Record(None, "", 0, 0, 0, [])


def iso(at_ms: int) -> str:
    from streamproc.ruleset.datemath import iso_utc

    return iso_utc(at_ms)


def _document(
    number: int, at_ms: int, host: str, source: random.Random, is_noise: bool
) -> dict[str, Any]:
    entity = f"{host}-p{source.randrange(6)}"
    document: dict[str, Any] = {
        "@timestamp": iso(at_ms),
        "event": {"id": f"e{number}", "kind": "event", "category": ["process"], "type": ["start"]},
        "host": {"id": host, "name": host.upper(), "os": {"type": "windows"}},
        "user": {"id": f"S-1-5-{source.randrange(3)}"},
        "process": {"entity_id": entity, "pid": number % 60_000, "name": source.choice(NOISE)},
    }
    if not is_noise:
        _make_step(document, source)
    return document


def _make_step(document: dict[str, Any], source: random.Random) -> None:
    event, process = document["event"], document["process"]
    process["name"] = "step.exe"
    kind = source.randrange(10)
    if kind == 0:
        process["name"] = "rundll32.exe"
    elif kind == 1:
        event["category"] = ["network"]
        document["destination"] = {"port": 4444, "ip": "203.0.113.7"}
    elif kind == 2:
        process["name"] = "winword.exe"
    elif kind == 3:
        host = document["host"]["id"]
        process["name"] = "powershell.exe"
        process["parent"] = {"entity_id": f"{host}-p{source.randrange(6)}"}
    elif kind in (4, 5):
        event["category"] = ["authentication"]
        event["outcome"] = "success" if source.random() < 0.2 else "failure"
    elif kind == 6:
        process["name"] = source.choice(("certutil.exe", "updater.exe", "service.exe"))
    elif kind == 7:
        event["category"] = ["file"]
        name = source.choice(("a.exe", "b.dll", "signed.cat", "service.log"))
        document["file"] = {"name": name, "extension": name.rpartition(".")[2]}
    elif kind == 8:
        event["type"] = ["end"]
    else:
        process["name"] = "updater.exe"
