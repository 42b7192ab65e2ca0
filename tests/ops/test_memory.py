"""The memory limit of a container, in both versions of control groups."""

import pytest

from streamproc.ops.memory import memory_limit_bytes


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("memory.max", "536870912\n", 536870912),
        ("memory.max", "max\n", 0),
        ("memory/memory.limit_in_bytes", "268435456\n", 268435456),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 0),  # none, in version 1
        ("memory.max", "what?", 0),
    ],
)
def test_limit(tmp_path, name, content, expected):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)

    assert memory_limit_bytes(tmp_path) == expected


def test_no_control_groups(tmp_path):
    """Another system: no limit is known, and nothing fails."""
    assert memory_limit_bytes(tmp_path / "missing") == 0
