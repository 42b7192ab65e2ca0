"""The stream that the demonstration sends: fifty hosts at work, the story, the near misses.

Law of the file: the same seed and the same calls give the same events, byte for byte, but for
the times that the caller passes in. Every event that a rule must answer is in ``expected``.
"""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

from streamproc.demo.computer import Computer
from streamproc.demo.fleet import build_fleet
from streamproc.demo.processes import Process
from streamproc.demo.story import NEAR_MISSES, STORY, Step, report_by_defender

# One event in this many is a near miss: enough of them for the matchers to have work in sight.
NEAR_MISS_INTERVAL = 1_000
# How much a host of a role does, against the others.
_BUSYNESS = {"workstation": 2, "build": 6, "kubernetes": 5, "web": 4}
# Events of one call lie this far apart, so that their order can be seen in their times.
_SPACING_S = 0.000_01


class Sent(NamedTuple):
    """One event to be sent.

    Attributes:
        key: ``host.id``, the record's key.
        value: The event as JSON.
    """

    key: bytes
    value: bytes


class Expected(NamedTuple):
    """An event that a rule must answer with an alert."""

    event_id: str
    rule_id: str
    host: str


class Traffic:
    """Makes the events; knows which of them must be answered.

    Attributes:
        hosts_count: How many hosts take part.
        expected: The events sent so far that need an alert, in the order of the story.
        near_misses: How many look-alikes were sent so far.
    """

    def __init__(self, seed: int) -> None:
        hosts = build_fleet(seed)
        self.hosts_count = len(hosts)
        self.expected: list[Expected] = []
        self.near_misses = 0
        self._source = random.Random(seed)  # noqa: S311 - a repeatable stream, nothing secret
        self._computers = {host.name: Computer(host, seed) for host in hosts}
        self._choices = tuple(self._computers.values())
        self._weights = tuple(accumulate(_BUSYNESS.get(host.role, 3) for host in hosts))
        self._until_near_miss = NEAR_MISS_INTERVAL
        self._story = list(STORY)
        self._labelled: dict[tuple[str, str], Process] = {}

    def everyday(self, count: int, now_s: float) -> list[Sent]:
        """The next ``count`` events of an ordinary day, near misses among them.

        Args:
            count: How many.
            now_s: Time of the first one, seconds since the epoch; the others follow closely.
        """
        chosen = self._source.choices(self._choices, cum_weights=self._weights, k=count)
        sent = []
        for position, computer in enumerate(chosen):
            time_s = now_s + position * _SPACING_S
            self._until_near_miss -= 1
            if self._until_near_miss:
                sent.append(_encode(computer.next_event(time_s)))
            else:
                self._until_near_miss = NEAR_MISS_INTERVAL
                sent.append(self._near_miss(time_s))
        return sent

    def story(self, progress: float, now_s: float) -> list[Sent]:
        """The steps of the story that are due and were not yet given out, in order.

        Args:
            progress: Share of the run that has passed, 0 to 1; 1 gives all that are left.
            now_s: Time of the events, seconds since the epoch.
        """
        sent = []
        while self._story and self._story[0].at <= progress:
            sent.append(_encode(self._play(self._story.pop(0), now_s)))
        return sent

    def _near_miss(self, now_s: float) -> Sent:
        host, task = NEAR_MISSES[self.near_misses % len(NEAR_MISSES)]
        self.near_misses += 1
        return _encode(self._computers[host].run_task(task, now_s))

    def _play(self, step: Step, now_s: float) -> dict[str, Any]:
        computer = self._computers[step.host]
        parent = self._labelled.get((step.host, step.parent)) or computer.standing(step.parent)
        process, document = computer.start(step.program, step.args, parent, now_s)
        if step.label:
            self._labelled[step.host, step.label] = process
        if step.is_defender:
            document = report_by_defender(document)
        if step.rule_id:
            self.expected.append(Expected(document["event"]["id"], step.rule_id, step.host))
        return document


def _encode(document: dict[str, Any]) -> Sent:
    return Sent(document["host"]["id"].encode(), orjson.dumps(document))
