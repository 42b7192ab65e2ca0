"""The reader of code blocks and the comparison of outputs."""

from __future__ import annotations

import pytest

from tests.docs.blocks import missing_line, read_blocks

MARKDOWN = """\
text
<!-- run: exit 1 -->
```sh
false
```
<!-- shows -->
```text
a
```
```json
{}
```
"""


def test_markers_and_outputs_belong_to_their_block():
    """Kind, detail, language and text are read; what a block shows is joined to it."""
    command, plain = read_blocks(MARKDOWN)

    assert command[:5] == ("run", "exit 1", "sh", "false\n", 3)
    assert command.shows == ("a",)
    assert (plain.kind, plain.language) == ("", "json")


@pytest.mark.parametrize(
    ("shows", "output", "missing"),
    [
        (("a", "b"), "a\nx\nb\n", None),
        (("b", "a"), "a\nx\nb\n", "a"),
        (("took ... s",), "took 0.1 s\n", None),
        (("took ... s",), "took 0.1 min\n", "took ... s"),
        (("name ... value",), "name      value  \n", None),
        (("  indented",), "indented\n", "  indented"),
    ],
)
def test_expected_lines_are_found_in_order(shows, output, missing):
    """Lines between are passed over; order and indent count; ``...`` stands for anything."""
    assert missing_line(shows, output) == missing
