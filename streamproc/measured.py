"""What one core does, as the last recorded benchmark measured it.

Law of the file: it is written by ``python -m tests.docs.generated`` from the newest file in
``benchmarks/results`` and never by hand; a test compares the two.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Measured(NamedTuple):
    """What a worker did with one rule set.

    Attributes:
        events_per_cpu_s: Events per second of CPU time, all threads of the worker together.
        peak_bytes: Most memory that the worker held, bytes.
    """

    events_per_cpu_s: int
    peak_bytes: int


RUN: Final = "2026-11-22, AMD EPYC"
EVENT_BYTES: Final = 3257
RULE_SETS: Final = {
    "shipped": Measured(events_per_cpu_s=117225, peak_bytes=164614144),
    "corpus": Measured(events_per_cpu_s=29438, peak_bytes=213819392),
}
