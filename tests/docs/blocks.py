"""Code blocks of a Markdown file, each with the marker that says what becomes of it.

A marker is an HTML comment on the line before the fence:

* ``<!-- run -->``, ``<!-- run: exit 1 -->``: run without Kafka, with the exit code expected.
* ``<!-- kafka -->``, ``<!-- kafka: worker -->``: needs Kafka; the worker runs beside what follows.
* ``<!-- file: NAME -->``: written as a file that later blocks read.
* ``<!-- shows -->``: lines that the block before prints, in this order; ``...`` is anything.
* ``<!-- not run: why -->``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(
    r"^(?:<!-- (?P<kind>[a-z ]+?)(?:: (?P<detail>.+?))? -->\n)?```(?P<language>\w*)\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block; ``line`` is that of its fence, ``shows`` what it must print."""

    kind: str
    detail: str
    language: str
    text: str
    line: int
    shows: tuple[str, ...] = ()


def read_blocks(markdown: str) -> list[Block]:
    """Every fenced block in order; a ``shows`` block becomes part of the one before it."""
    blocks: list[Block] = []
    for found in _FENCE.finditer(markdown):
        block = Block(
            found["kind"] or "",
            found["detail"] or "",
            found["language"],
            found["text"],
            markdown.count("\n", 0, found.start("language")) + 1,
        )
        if block.kind == "shows":
            blocks[-1] = blocks[-1]._replace(shows=tuple(block.text.splitlines()))
        else:
            blocks.append(block)
    return blocks


def missing_line(shows: tuple[str, ...], output: str) -> str | None:
    """The first expected line that the output does not have, at or after the place of the last."""
    lines = iter(output.splitlines())
    for expected in shows:
        pattern = _pattern(expected)
        if not any(pattern.fullmatch(line.rstrip()) for line in lines):
            return expected
    return None


def _pattern(expected: str) -> re.Pattern[str]:
    # Blanks around ``...`` are those of aligned columns: any number of them.
    pieces = [re.escape(piece) for piece in re.split(r" *\.\.\. *", expected.rstrip())]
    return re.compile(".*".join(pieces))
