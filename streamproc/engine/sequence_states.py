"""The sequence state of every partition that a worker or a replay reads.

Law of the file: bounds are shared by all partitions; a partition that is given up gives back what
it held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamproc.engine.sequence_budget import SequenceBudget, SequenceLimits
from streamproc.engine.sequence_scope import Scope
from streamproc.engine.sequences import PartitionSequences
from streamproc.eql.sequence import SequenceMachine
from streamproc.ops.counters import Partition


class SequenceStates:
    """States by topic and partition; not for use by two threads."""

    def __init__(self, machines: Mapping[str, SequenceMachine], limits: SequenceLimits) -> None:
        self._machines = machines
        self.budget = SequenceBudget(limits)
        self._states: dict[Partition, PartitionSequences] = {}

    def of(self, partition: Partition) -> PartitionSequences:
        """Return the state of a partition; an empty one is made at the first look."""
        state = self._states.get(partition)
        if state is None:
            state = PartitionSequences(self._machines, self.budget)
            self._states[partition] = state
        return state

    def restore(self, partition: Partition, scopes: Mapping[str, Scope]) -> None:
        """Begin a partition anew with the scopes of its snapshots."""
        self.close(partition)
        self.of(partition).restore(scopes)

    def close(self, partition: Partition) -> None:
        """Forget a partition."""
        state = self._states.pop(partition, None)
        if state is not None:
            state.close()

    def items(self) -> Iterator[tuple[Partition, PartitionSequences]]:
        """Yield every partition with its state."""
        yield from self._states.items()
