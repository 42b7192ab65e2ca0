"""The writer of the generated parts."""

from __future__ import annotations

import pytest

from tests.docs.generated import with_parts


def test_part_is_put_between_its_markers():
    """What stood there goes; all around it stays."""
    text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n"

    assert with_parts(text, {"x": "new\n"}) == "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n"


def test_missing_markers_are_an_error():
    """A part that has no place must not be dropped in silence."""
    with pytest.raises(ValueError, match="0 places"):
        with_parts("text", {"x": "new"})
