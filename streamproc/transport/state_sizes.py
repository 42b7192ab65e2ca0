"""How many bytes the newest snapshots of the held sequence state take.

Law of the file: what is written or read anyway is measured; nothing is packed to be weighed.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamproc.ops.counters import Counters, Partition


class StateSizes:
    """Bytes by partition and scope; their sum is kept in ``Counters.sequence_state_bytes``."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._sizes: dict[Partition, dict[str, int]] = {}

    def replace(self, partition: Partition, sizes: Mapping[str, int]) -> None:
        """Take the place of all that is known of a partition; nothing: it is no longer held."""
        gone = self._sizes.pop(partition, {})
        if sizes:
            self._sizes[partition] = dict(sizes)
        self._counters.sequence_state_bytes += sum(sizes.values()) - sum(gone.values())

    def note(self, partition: Partition, scope: str, size: int) -> None:
        """Take a scope's new snapshot; 0 bytes: it is forgotten."""
        sizes = self._sizes.setdefault(partition, {})
        before = sizes.pop(scope, 0)
        if size:
            sizes[scope] = size
        self._counters.sequence_state_bytes += size - before
