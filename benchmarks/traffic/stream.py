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
from itertools import accumulate
from typing import Any, NamedTuple

from benchmarks.traffic.programs import (
    DESKTOP,
    EXCHANGE,
    LINUX,
    SERVER,
    UM_EXPLOITS,
    WEB_SHELLS,
    Activity,
)
from benchmarks.traffic.shapes import encode, template

SEED = 20260821
ALERT_EVERY = 2_000  # events
END_SHARE = 0.35  # of the events are ends of processes, which no shipped rule looks at
WORKER_RULE = "f81ee52c-297e-46d9-9205-07e66931df26"
UM_RULE = "483c4daf-b0c6-49e0-adf3-0bfa93231d6b"
EVENT_PREFIX = "NGM5YzljYjM+++++"

# Kind of host: hosts, share of the events, what runs there, edition, kernel.
_KINDS: tuple[tuple[str, int, float, Sequence[Activity], str, str], ...] = (
    ("srv", 90, 0.30, SERVER, "Windows Server 2019 Datacenter", "1809 (10.0.17763.6189)"),
    ("mbx", 6, 0.04, EXCHANGE, "Windows Server 2019 Standard", "1809 (10.0.17763.6189)"),
    ("pc", 260, 0.33, DESKTOP, "Windows 11 Enterprise", "23H2 (10.0.22631.4169)"),
    ("lnx", 70, 0.33, LINUX, "Debian", "6.1.0-25-amd64 #1 SMP Debian 6.1.106-3 (2024-08-26)"),
)
_ACCOUNTS = ("asmith", "jdoe", "mgarcia", "h.müller", "o'neill", "josé", "svc-build", "lwang")
# One host, one producer. Of a hundred producers so many write in each way.
_STYLES = (("nested", 78), ("dotted", 10), ("go", 8), ("slashes", 4))


class Planted(NamedTuple):
    """An event that must raise an alert of a shipped rule."""

    number: int
    rule_id: str
    host_id: str
    event_id: str


class Traffic:
    """Events by seed; iterating starts over.

    Attributes:
        planted: What the events drawn so far must raise, in order.
    """

    def __init__(self, seed: int = SEED) -> None:
        self._random = random.Random(seed)
        self._hosts = [_Hosts(self._random, *kind) for kind in _KINDS]
        self._shares = list(accumulate(kind[2] for kind in _KINDS))
        self._templates: dict[tuple[int, str, str], str] = {}
        self._alert_at = 0
        self.planted: list[Planted] = []

    def events(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield key (the host's id) and value of ``count`` events; to be called once."""
        source = self._random
        for number in range(count):
            if number % ALERT_EVERY == 0:
                self._alert_at = number + source.randrange(ALERT_EVERY)
            if number == self._alert_at:
                yield self._attack(number)
            else:
                hosts = source.choices(self._hosts, cum_weights=self._shares)[0]
                activity = source.choices(hosts.activities, cum_weights=hosts.weights)[0]
                action = "end" if source.random() < END_SHARE else "start"
                yield self._event(number, source.choice(hosts.hosts), activity, action)

    def expected(self, count: int) -> list[Planted]:
        """What the first ``count`` events must raise."""
        return [planted for planted in self.planted if planted.number < count]

    def _attack(self, number: int) -> tuple[bytes, bytes]:
        source = self._random
        is_web_shell = source.random() < 0.6
        attacks = WEB_SHELLS if is_web_shell else UM_EXPLOITS
        activity = source.choices(attacks, [attack.weight for attack in attacks])[0]
        host = source.choice(self._hosts[1].hosts)
        rule_id = WORKER_RULE if is_web_shell else UM_RULE
        event_id = f"{EVENT_PREFIX}{number:08d}"
        self.planted.append(Planted(number, rule_id, host.fields["hostid"], event_id))
        return self._event(number, host, activity, "start")

    def _event(
        self, number: int, host: _Host, activity: Activity, action: str
    ) -> tuple[bytes, bytes]:
        key = (id(activity), action, host.style)
        text = self._templates.get(key)
        if text is None:
            text = self._templates[key] = template(activity, action, host.style)
        return host.key, (text % host.blanks(self._random, number)).encode()


class _Hosts:
    """The hosts of one kind and what runs on them."""

    def __init__(
        self,
        source: random.Random,
        kind: str,
        count: int,
        share: float,
        activities: Sequence[Activity],
        variant: str,
        kernel: str,
    ) -> None:
        self.activities = activities
        self.weights = list(accumulate(activity.weight for activity in activities))
        self.hosts = [_Host(source, f"{kind}-{n:03d}", variant, kernel) for n in range(count)]


class _Host:
    """One host: what all of its events share, and the processes that it started last."""

    def __init__(self, source: random.Random, name: str, variant: str, kernel: str) -> None:
        styles, shares = zip(*_STYLES, strict=True)
        self.style = str(source.choices(styles, shares)[0])
        host_id = str(uuid.UUID(int=source.getrandbits(128), version=4))
        self.key = host_id.encode()
        shared = {
            "host": name,
            "hostid": host_id,
            "variant": variant,
            "kernel": kernel,
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
