"""Streams that a producer in trouble, or an attacker, would send.

Law of the file: each is ordinary traffic with one thing changed, so that a rate differs from the
ordinary one by that thing alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.traffic.stream import Traffic

LARGE = "large"
CANDIDATES = "candidates"
HOT = "hot"

LARGE_BYTES = 1_000_000
LARGE_EVERY = 100
CANDIDATE_SHARE = 0.20
HOT_KEY = b"one-host"
_SCRIPT = (
    'function Update-Inventory ($Path = \\"C:\\\\ops\\\\inventory\\") {\\n'
    "  Get-ChildItem $Path | ForEach-Object { $_.Name + ' & ' + $_.Length }\\n}\\n"
)


@dataclass(frozen=True, slots=True)
class HostileStream:
    """One of them.

    Attributes:
        key: Short name.
        title: What is odd about it.
        partition: All events go to this partition; None spreads them by key.
    """

    key: str
    title: str
    partition: int | None = None

    def traffic(self) -> Traffic:
        """A fresh source; knows what is planted once ``events`` is drawn."""
        return Traffic(near_misses=CANDIDATE_SHARE if self.key == CANDIDATES else 0.0)

    def events(self, traffic: Traffic, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each event."""
        for number, (key, value) in enumerate(traffic.events(count)):
            # All alerts are large, too: a worker that skips what is large misses them.
            planted = traffic.planted
            is_alert = bool(planted) and planted[-1].number == number
            if self.key == LARGE and (is_alert or number % LARGE_EVERY == 0):
                value = enlarged(value)
            yield (HOT_KEY if self.key == HOT else key), value


STREAMS = (
    HostileStream(LARGE, "1 % events of 1 MB"),
    HostileStream(CANDIDATES, "20 % candidates"),
    HostileStream(HOT, "one hot partition", partition=0),
)


def enlarged(value: bytes) -> bytes:
    """The event with the text of a script before its other fields: ``LARGE_BYTES`` in all."""
    head = b'{"powershell":{"file":{"script_block_text":"'
    tail = b'"}},'
    room = LARGE_BYTES - len(value) - len(head) - len(tail) + 1
    script = _SCRIPT.encode()
    text = script * (room // len(script))
    return head + text + b" " * (room - len(text)) + tail + value[1:]
