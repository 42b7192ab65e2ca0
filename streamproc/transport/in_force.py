"""The rules that evaluate: one value, replaced whole.

Law of the file: whoever evaluates asks for the detector anew for each batch and uses that one for
all of it. All of a rule set that changes with it (what exceptions and suppression will be, too)
hangs on the one value, so that no event meets half of a set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from streamproc.engine.batch import Batch
from streamproc.engine.detector import Detector
from streamproc.engine.program import Program
from streamproc.ruleset.ruleset import RuleSet

SAMPLE_BATCHES = 8
"""Batches in the sample of what is evaluated: the latest ones, about 64 MiB of large records."""


class Ready(NamedTuple):
    """A rule set that was loaded, compiled and given a detector."""

    ruleset: RuleSet
    program: Program
    detector: Detector


class RulesInForce:
    """Holds what evaluates at present. For the event loop; reading is safe from any thread."""

    def __init__(self, ready: Ready) -> None:
        self._now = ready
        self._sample: deque[Batch] | None = None

    @property
    def ruleset(self) -> RuleSet:
        """The rule set in force."""
        return self._now.ruleset

    @property
    def detector(self) -> Detector:
        """The detector to use for the next batch."""
        return self._now.detector

    @property
    def has_sequences(self) -> bool:
        """Whether there are sequence rules."""
        return bool(self._now.program.sequences.rules)

    def saw(self, batch: Batch) -> None:
        """Be told of each batch that is evaluated."""
        sample = self._sample  # read once: the thread that samples may end it at any moment
        if sample is not None:
            sample.append(batch)

    @contextmanager
    def sampling(self) -> Iterator[deque[Batch]]:
        """Keep the latest batches meanwhile, from any thread; at other times none is kept."""
        sample = self._sample = deque(maxlen=SAMPLE_BATCHES)
        try:
            yield sample
        finally:
            self._sample = None

    def replace(self, ready: Ready) -> Ready:
        """Put another set in force, between two batches, and return the one before.

        Raises:
            ValueError: Its sequences cannot go on; nothing has changed.
        """
        before = self._now
        ready.detector.take_over(before.detector)
        self._now = ready
        return before

    def describe(self, ruleset: RuleSet) -> None:
        """Note another description (what was rejected) of the same rules."""
        self._now = self._now._replace(ruleset=ruleset)
