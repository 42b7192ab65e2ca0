"""When rule files have changed on disk and are fit to be read.

Law of the file: files that are being written are left alone. A change counts once two looks in a
row have found the same; what was tried is not tried again before it changes.

It polls (``sources.fingerprint``) instead of listening to the kernel: polling sees a ConfigMap's
link swap, a network file system and a container's bind mount alike, and costs about 25 ms a look
for a thousand rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.sources import fingerprint


class RuleWatch:
    """Looks at rule files whenever it is asked.

    Args:
        paths: What is watched, as ``load_rules`` takes it.
        known: Fingerprint of what is loaded.
        breathe: Called after each file that is looked at.
    """

    def __init__(self, paths: Sequence[Path], known: str, breathe: Breathe = go_on) -> None:
        self._paths = tuple(paths)
        self._known = known
        self._seen = known
        self._breathe = breathe

    def look(self) -> bool:
        """Look, and return whether what is there differs from what is known and is at rest."""
        before, self._seen = self._seen, fingerprint(self._paths, self._breathe)
        return self._seen == before and not self.is_known

    @property
    def is_known(self) -> bool:
        """Whether the last look found what is known; if not, and it was not at rest, look soon."""
        return self._seen == self._known

    def know(self, tried: str) -> None:
        """Learn which state of the files was loaded or refused, by its fingerprint."""
        self._known = tried
        self._seen = tried

    def is_still(self, state: str) -> bool:
        """Return whether the files are still in a state, named by its fingerprint."""
        return fingerprint(self._paths, self._breathe) == state
