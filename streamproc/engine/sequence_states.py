"""The sequence state of every partition that a worker or a replay reads.

Law of the file: bounds are shared by all partitions; a partition that is given up gives back what
it held. While ``moving``, a state is ahead of its outputs and must not be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Scope
from streamproc.engine.sequence_starts import Reader
from streamproc.engine.sequences import PartitionSequences, check_spans
from streamproc.eql.sequence import SequenceMachine
from streamproc.ops.counters import Partition


class SequenceStates:
    """States by topic and partition; not for use by two threads."""

    def __init__(
        self, machines: Mapping[str, SequenceMachine], limits: SequenceLimits, reader: Reader
    ) -> None:
        self._machines = machines
        self._reader = reader
        self.budget = SequenceBudget(limits)
        self._states: dict[Partition, PartitionSequences] = {}
        self._moving: Counter[PartitionSequences] = Counter()

    def of(self, partition: Partition) -> PartitionSequences:
        """Return the state of a partition; an empty one is made at the first look."""
        state = self._states.get(partition)
        if state is None:
            state = PartitionSequences(self._machines, self.budget, self._reader)
            self._states[partition] = state
        return state

    def adopt(self, machines: Mapping[str, SequenceMachine], reader: Reader) -> None:
        """Go on with the rules of another program, between two batches.

        Rules of the same name, that is of the same definition (``SequenceRule.name``), keep their
        partial sequences, their waiting events and matches; others begin anew. This object stays
        the one that snapshots are taken of. It takes O(partitions x rules + scopes), about a
        millisecond for 10,000 hosts, some more where rules went away, however many partial
        sequences there are.

        To reload: compile the new program and its detector beside the running ones, then, between
        two batches, call ``new.take_over(old)`` of the detectors, which calls this, and use the
        new detector from then on.

        Raises:
            ValueError: A machine has no span; nothing has changed.
        """
        check_spans(machines)
        self._machines, self._reader = machines, reader
        for state in self._states.values():
            state.adopt(machines, reader)

    @contextmanager
    def moving(self, partition: Partition) -> Iterator[None]:
        """Say that a state moves and that its outputs are not all queued before the block ends.

        After an exception that never comes true: the state knows of events whose outputs are
        missing, and is not fit to be kept any more.
        """
        state = self.of(partition)
        self._moving[state] += 1
        yield
        self._moving[state] -= 1
        if self._moving[state] <= 0:  # below: it was given up meanwhile
            del self._moving[state]

    def is_settled(self) -> bool:
        """Return whether all outputs of all states are queued."""
        return not any(state in self._moving for state in self._states.values())

    def has_changes(self) -> bool:
        """Return whether a snapshot of any scope is outdated."""
        return any(state.changed for state in self._states.values())

    def holds(self, partition: Partition) -> bool:
        """Return whether the partition has a state here."""
        return partition in self._states

    def is_current(self, partition: Partition, state: PartitionSequences) -> bool:
        """Return whether a state is still that of the partition: not given up since."""
        return self._states.get(partition) is state

    def begin_anew(self, partition: Partition) -> int:
        """Forget all scopes of a partition whose offsets start again; return how many."""
        names = list(self.of(partition).scopes())
        self.close(partition)
        self.of(partition).changed.update(names)
        return len(names)

    def restore(self, partition: Partition, scopes: Mapping[str, Scope]) -> None:
        """Begin a partition anew with the scopes of its snapshots."""
        self.close(partition)
        self.of(partition).restore(scopes)

    def close(self, partition: Partition) -> None:
        """Forget a partition."""
        state = self._states.pop(partition, None)
        if state is not None:
            state.close()
            self._moving.pop(state, None)

    def items(self) -> Iterator[tuple[Partition, PartitionSequences]]:
        """Yield every partition with its state."""
        yield from self._states.items()
