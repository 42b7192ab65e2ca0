"""The one error of the language: a query is wrong, and where.

Law of the file: the place is worked out from the query text and a span alone, so whoever finds
a fault says only what is wrong and which characters it covers. Lines end at a line feed, as in
the editor that the reader has open.
"""

from __future__ import annotations

from streamproc.eql.nodes import Span

# A line is shown whole up to this width; of a longer one, the part around the fault. Queries on
# one line of several thousand characters exist, and nobody finds a caret in the wrapped output.
SHOWN_WIDTH = 160
_LEAD = 40
_CUT = "..."


class EqlSyntaxError(Exception):
    """A query is not EQL; ``str()`` shows the place, the line and an underline of the fault.

    Attributes:
        message: What is wrong and, where known, what to write instead. One line.
        text: The whole query.
        span: The characters at fault, offsets into ``text``.
        line: Line of the fault's first character, counted from 1.
        column: Column of the fault's first character in its line, in characters, from 1.
    """

    def __init__(self, message: str, text: str, span: Span) -> None:
        # All arguments go to the base class: that is what pickling calls the class with again.
        super().__init__(message, text, span)
        start = min(max(span.start, 0), len(text))
        self.message = message
        self.text = text
        self.span = Span(start, max(span.end, start))
        self.line = text.count("\n", 0, start) + 1
        self.column = start - text.rfind("\n", 0, start)

    def __str__(self) -> str:
        line_start = self.span.start - self.column + 1
        line_end = self.text.find("\n", line_start)
        line = self.text[line_start : None if line_end < 0 else line_end].rstrip("\r")
        offset = self.column - 1
        width = max(1, min(self.span.end - self.span.start, len(line) - offset))
        shown, offset, width = _window(line, offset, width)
        # Tabs stay tabs under the line, so that the underline stands where the fault stands.
        indent = "".join("\t" if character == "\t" else " " for character in shown[:offset])
        return f"{self.line}:{self.column}: {self.message}\n{shown}\n{indent}{'^' * width}"


def _window(line: str, offset: int, width: int) -> tuple[str, int, int]:
    """Cut ``line`` to SHOWN_WIDTH characters around the fault; return it with the new place."""
    if len(line) <= SHOWN_WIDTH:
        return line, offset, width
    start = max(0, min(offset - _LEAD, len(line) - SHOWN_WIDTH))
    end = start + SHOWN_WIDTH
    before = _CUT if start else ""
    after = _CUT if end < len(line) else ""
    width = min(width, max(1, end - offset))
    return before + line[start:end] + after, offset - start + len(before), width
