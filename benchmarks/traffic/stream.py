"""A seeded stream of endpoint events of which every alert of the shipped rules is known.

Law of the file: event ``n`` of a seed is the same however many are drawn, so that the first
thousand of a long stream are a short stream. What is expected comes from what was planted, never
from an engine.
"""

from __future__ import annotations

import random
import uuid
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from benchmarks.traffic.programs import (
    DESKTOP,
    EXCHANGE,
    LINUX,
    NEAR_MISSES,
    SERVER,
    UM_EXPLOITS,
    WEB_SHELLS,
    Activity,
)
from benchmarks.traffic.shapes import AUDITD, ENDPOINT, SYSMON, encode, template

SEED = 20260821
ALERT_EVERY = 2_000  # events
END_SHARE = 0.35  # of the events are ends of processes, which no shipped rule looks at
WORKER_RULE = "f81ee52c-297e-46d9-9205-07e66931df26"
UM_RULE = "483c4daf-b0c6-49e0-adf3-0bfa93231d6b"
EVENT_PREFIX = "NGM5YzljYjM+++++"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of host.

    Attributes:
        name: Beginning of the hosts' names.
        count: How many hosts there are.
        share: Their share of the events.
        activities: What runs there.
        edition: Of the operating system.
        kernel: Its version.
        source: What watches the hosts that Elastic Defend does not.
        every: One host in so many is watched by ``source``.
    """

    name: str
    count: int
    share: float
    activities: Sequence[Activity]
    edition: str
    kernel: str
    source: str
    every: int


_SERVER_2019 = "1809 (10.0.17763.6189)"
_DEBIAN = "6.1.0-25-amd64 #1 SMP Debian 6.1.106-3 (2024-08-26)"
_KINDS = (
    Kind("srv", 90, 0.30, SERVER, "Windows Server 2019 Datacenter", _SERVER_2019, SYSMON, 5),
    Kind("mbx", 6, 0.04, EXCHANGE, "Windows Server 2019 Standard", _SERVER_2019, SYSMON, 3),
    Kind("pc", 260, 0.33, DESKTOP, "Windows 11 Enterprise", "23H2 (10.0.22631.4169)", SYSMON, 6),
    Kind("lnx", 70, 0.33, LINUX, "Debian", _DEBIAN, AUDITD, 4),
)
_ACCOUNTS = ("asmith", "jdoe", "mgarcia", "h.müller", "o'neill", "josé", "svc-build", "lwang")
# One host, one producer. Of a hundred producers so many write in each way.
_STYLES = (("nested", 78), ("dotted", 10), ("go", 8), ("slashes", 4))


class Planted(NamedTuple):
    """An event that must raise an alert of a shipped rule.

    ``event_id`` is Sysmon's record id where Sysmon saw it, else ``event.id``.
    """

    number: int
    rule_id: str
    host_id: str
    event_id: str


class Traffic:
    """Events by seed.

    Args:
        seed: The same seed gives the same events.
        alert_every: One event in so many raises an alert.
        near_misses: Share of further events that are candidates of a shipped rule and match none.

    Attributes:
        planted: What the events drawn so far must raise, in order.
    """

    def __init__(
        self, seed: int = SEED, alert_every: int = ALERT_EVERY, near_misses: float = 0.0
    ) -> None:
        self._random = random.Random(seed)
        self._alert_every = alert_every
        self._near_misses = near_misses
        self._hosts = [_Hosts(self._random, kind) for kind in _KINDS]
        self._shares = list(accumulate(kind.share for kind in _KINDS))
        self._templates: dict[tuple[int, str, str, str], str] = {}
        self._alert_at = 0
        self.planted: list[Planted] = []

    def events(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield key (the host's id) and value of ``count`` events; to be called once."""
        source = self._random
        for number in range(count):
            if number % self._alert_every == 0:
                self._alert_at = number + source.randrange(self._alert_every)
            if number == self._alert_at:
                yield self.attack(number)
            elif self._near_misses and source.random() < self._near_misses:
                host = source.choice(self._hosts[1].hosts)
                yield self._event(number, host, source.choice(NEAR_MISSES), "start")
            else:
                hosts = source.choices(self._hosts, cum_weights=self._shares)[0]
                activity = source.choices(hosts.activities, cum_weights=hosts.weights)[0]
                action = "end" if source.random() < END_SHARE else "start"
                yield self._event(number, source.choice(hosts.hosts), activity, action)

    def expected(self, count: int) -> list[Planted]:
        """What the first ``count`` events must raise."""
        return [planted for planted in self.planted if planted.number < count]

    def attack(self, number: int) -> tuple[bytes, bytes]:
        """Key and value of an event that raises an alert; notes it as planted."""
        source = self._random
        is_web_shell = source.random() < 0.6
        attacks = WEB_SHELLS if is_web_shell else UM_EXPLOITS
        activity = source.choices(attacks, [attack.weight for attack in attacks])[0]
        host = source.choice(self._hosts[1].hosts)
        rule_id = WORKER_RULE if is_web_shell else UM_RULE
        event_id = f"{number:08d}" if host.source == SYSMON else f"{EVENT_PREFIX}{number:08d}"
        self.planted.append(Planted(number, rule_id, host.fields["hostid"], event_id))
        return self._event(number, host, activity, "start")

    def _event(
        self, number: int, host: _Host, activity: Activity, action: str
    ) -> tuple[bytes, bytes]:
        if host.source == AUDITD:
            action = "start"
        key = (id(activity), action, host.style, host.source)
        text = self._templates.get(key)
        if text is None:
            text = self._templates[key] = template(activity, action, host.style, host.source)
        return host.key, (text % host.blanks(self._random, number)).encode()


class _Hosts:
    """The hosts of one kind and what runs on them."""

    def __init__(self, source: random.Random, kind: Kind) -> None:
        self.activities = kind.activities
        self.weights = list(accumulate(activity.weight for activity in kind.activities))
        self.hosts = [_Host(source, kind, number) for number in range(kind.count)]


class _Host:
    """One host: what all of its events share, and the processes that it started last."""

    def __init__(self, source: random.Random, kind: Kind, number: int) -> None:
        styles = [style for style, _ in _STYLES]
        self.style = source.choices(styles, [share for _, share in _STYLES])[0]
        self.source = ENDPOINT if number % kind.every else kind.source
        host_id = str(uuid.UUID(int=source.getrandbits(128), version=4))
        self.key = host_id.encode()
        shared = {
            "host": f"{kind.name}-{number:03d}",
            "hostid": host_id,
            "variant": kind.edition,
            "kernel": kind.kernel,
            "address": ".".join(["10", *(str(source.randrange(255)) for _ in range(3))]),
            "mac": "-".join(f"{source.randrange(256):02X}" for _ in range(6)),
            "agent": str(uuid.UUID(int=source.getrandbits(128), version=4)),
            "account": source.choice(_ACCOUNTS),
            "uid": str(1000 + source.randrange(9000)),
            "disk": "VMware Virtual NVMe Disk",
        }
        # Without the quotes: blanks stand within strings.
        self.fields = {field: encode(value, self.style)[1:-1] for field, value in shared.items()}
        self._entities = [_entity(shared["agent"], source.randrange(9000)) for _ in range(8)]

    def blanks(self, source: random.Random, number: int) -> dict[str, Any]:
        """What the event's template asks for."""
        bits = source.getrandbits(96)
        pid = 1_000 + (bits & 0xFFFF)
        second = number // 50
        entity = _entity(self.fields["agent"], bits & 0xFFFFFFFF)
        entities = self._entities
        parent = entities[(bits >> 40) & 7]
        entities[(bits >> 43) & 7] = entity
        clock = f"{10 + second // 3600 % 14:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        return {
            **self.fields,
            "clock": f"{clock}.{(bits >> 46) % 10_000_000:07d}Z",
            "event": f"{number:08d}",
            "sequence": number,
            "pid": pid,
            "ppid": 1_000 + ((bits >> 16) & 0xFFFF),
            "entity": entity,
            "parent": parent,
            "grandparent": entities[(bits >> 50) & 7],
            "first": entities[0],
            "number": 1000 + (bits >> 53) % 9000,
            "small": 1 + (bits >> 60) % 9,
            "hex": f"{bits >> 32:016x}",
            "age": f"{(bits >> 30) % 90_000_000}.{(bits >> 20) % 1000:03d}",
        }


def _entity(agent: str, number: int) -> str:
    """An entity id as endpoints make them: agent, process and time in base 64."""
    text = f"{agent}-{number & 0xFFFF}-13297{number:010d}".encode()
    return b2a_base64(text, newline=False).decode()
