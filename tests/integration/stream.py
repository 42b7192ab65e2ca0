"""A stream of which every alert is known beforehand, by construction and not by the engine."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Producer

from streamproc.engine.identity import alert_id

WORKER_RULE = "f81ee52c-297e-46d9-9205-07e66931df26"
UM_RULE = "483c4daf-b0c6-49e0-adf3-0bfa93231d6b"
REQUESTS = {WORKER_RULE: 5, UM_RULE: 4}  # the worker rule's own; the default set for the other
POOL = {"name": "w3wp.exe", "args": ["w3wp.exe", "-ap", "MSExchangeOWAAppPool"]}
ORDINARY = ("svchost.exe", "chrome.exe", "cmd.exe", "powershell.exe", "w3wp.exe", "teams.exe")


class Stream(NamedTuple):
    """Records (key, value) in order, and what must come out."""

    records: list[tuple[bytes, bytes]]
    alerts: set[str]
    requests: set[str]
    letters: int


def make_stream(events: int, hosts: int = 40, seed: int = 7) -> Stream:
    """One in 400 events is an attack, one in 5,000 records is not an event."""
    source = random.Random(seed)
    stream = Stream([], set(), set(), 0)
    letters = 0
    for number in range(events):
        host = f"host-{source.randrange(hosts)}"
        if number % 5_000 == 4_999:
            stream.records.append((host.encode(), b'{"process": "w3wp.exe", "msexchange'))
            letters += 1
            continue
        document = _document(host, number, source)
        if number % 400 == 0:
            rule = WORKER_RULE if number % 800 else UM_RULE
            document["process"] |= _attack(rule)
            alert = alert_id(rule, ("event", host, document["event"]["id"]))
            stream.alerts.add(alert)
            stream.requests.update(f"{alert}:{n}" for n in range(REQUESTS[rule]))
        stream.records.append((host.encode(), orjson.dumps(document)))
    return stream._replace(letters=letters)


def produce(bootstrap: str, topic: str, stream: Stream) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20}
    )
    for number, (key, value) in enumerate(stream.records):
        producer.produce(topic, value, key)
        if number % 1_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def _document(host: str, number: int, source: random.Random) -> dict[str, Any]:
    name = source.choice(ORDINARY)
    return {
        "@timestamp": f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:00.000Z",
        "event": {"id": f"e{number}", "kind": "event", "category": ["process"], "type": ["start"]},
        "host": {"id": host, "name": host.upper(), "os": {"type": "windows"}},
        "user": {"id": "S-1-5-18", "name": "SYSTEM"},
        "process": {
            "entity_id": f"p{number}",
            "pid": number % 60_000,
            "name": name,
            "executable": f"C:\\Windows\\System32\\{name}",
            "command_line": f"{name} /x " + "a" * source.randrange(200),
            "parent": {"name": "explorer.exe", "entity_id": f"q{number}", "args": ["explorer"]},
        },
    }


def _attack(rule: str) -> dict[str, Any]:
    if rule == WORKER_RULE:
        return {"name": "cmd.exe", "parent": {**POOL, "entity_id": "pool"}}
    return {
        "name": "evil.exe",
        "executable": "C:\\Temp\\evil.exe",
        "parent": {"name": "UMWorkerProcess.exe", "entity_id": "um", "args": []},
    }
