"""How much memory the process may use, as the operating system limits it.

Law of the file: whatever is not known is no limit; reading it never fails.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# A container sees its own group at the root: version 2, then version 1.
_PLACES = ("memory.max", "memory/memory.limit_in_bytes")
_NO_LIMIT_BYTES = 1 << 60  # version 1 says "no limit" by a number near 2^63


def memory_limit_bytes(root: Path = _ROOT) -> int:
    """Return the limit of this process's control group, bytes; 0 if it has none.

    Args:
        root: Where control groups are mounted; replaced in tests.
    """
    for place in _PLACES:
        try:
            limit = int((root / place).read_text())
        except (OSError, ValueError):  # not there, or the word "max"
            continue
        return limit if limit < _NO_LIMIT_BYTES else 0
    return 0
