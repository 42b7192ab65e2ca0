"""An explained query as lines: a mark, the clause, and beside it the values that it saw.

Law of the file: a clause stays one line that can be read at a glance. Long lists and long values
are shortened, what was met first of all is kept, and the values stand in one column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rich.text import Text

from streamproc.eql.explain import Explanation, Junction, Seen
from streamproc.eql.nodes import Expr, Literal, Membership, PatternMatch
from streamproc.eql.printer import print_expression

_CONSTANTS_SHOWN_MAX = 4
_VALUES_SHOWN_MAX = 5
_VALUE_WIDTH_MAX = 80
_CLAUSE_WIDTH_MAX = 120
_COLUMN_MAX = 76  # a longer clause has its values on a line of their own

_YES, _NO = ("✓", "green"), ("✗", "red")


class _Row(NamedTuple):
    depth: int
    is_true: bool
    text: str
    saw: str


def clause_lines(explanation: Explanation) -> Iterator[Text]:
    """Yield the lines of a whole explanation."""
    rows = list(_rows(explanation, 1))
    widths = [_width(row) for row in rows if row.saw and _width(row) <= _COLUMN_MAX]
    column = max(widths, default=0) + 3
    for row in rows:
        line = Text("  " * row.depth)
        line.append(*(_YES if row.is_true else _NO))
        line.append(f" {row.text}", "" if row.saw else "bold")
        if not row.saw:
            yield line
        elif _width(row) <= _COLUMN_MAX:
            yield line.append(" " * (column - _width(row))).append(row.saw, "cyan")
        else:
            yield line
            yield Text("  " * row.depth + "      ").append(row.saw, "cyan")


def _width(row: _Row) -> int:
    return 2 * row.depth + 2 + len(row.text)


def _rows(explanation: Explanation, depth: int) -> Iterator[_Row]:
    if explanation.junction is Junction.CLAUSE:
        text = explanation.text
        if explanation.expression is not None:
            text = _clause(explanation.expression, explanation.met)
        yield _Row(depth, explanation.is_true, text, _saw(explanation))
        return
    is_whole = explanation.expression is None
    head = explanation.text if is_whole else explanation.junction.value
    yield _Row(depth, explanation.is_true, head, "")
    for child in explanation.children:
        yield from _rows(child, depth + 1)


def _clause(expr: Expr, met: Sequence[str]) -> str:
    """The text of a leaf, its list cut down to the constants that were met and a few others."""
    text = print_expression(expr)
    if isinstance(expr, PatternMatch) and len(expr.patterns) > _CONSTANTS_SHOWN_MAX:
        kept = _kept(expr.patterns, met)
        text = _with_rest(print_expression(replace(expr, patterns=kept)), expr.patterns)
    elif isinstance(expr, Membership) and len(expr.values) > _CONSTANTS_SHOWN_MAX:
        kept = _kept(expr.values, met)
        text = _with_rest(print_expression(replace(expr, values=kept)), expr.values)
    return _cut(text, _CLAUSE_WIDTH_MAX)


def _kept(constants: Sequence[Literal], met: Sequence[str]) -> tuple[Literal, ...]:
    first = sorted(constants, key=lambda constant: print_expression(constant) not in met)
    chosen = {id(constant) for constant in first[:_CONSTANTS_SHOWN_MAX]}
    return tuple(constant for constant in constants if id(constant) in chosen)


def _with_rest(text: str, constants: Sequence[Literal]) -> str:
    return f"{text.removesuffix(')')}, … {len(constants) - _CONSTANTS_SHOWN_MAX} more)"


def _saw(explanation: Explanation) -> str:
    seen = explanation.seen
    if not seen:
        return ""
    if len(seen) == 1:
        values = seen[0].values
        text = f"saw {quoted(values)}" if values else "no value"
    else:
        text = "saw " + "; ".join(map(_named, seen))
    met = ", ".join(_cut(constant, _VALUE_WIDTH_MAX) for constant in explanation.met[:2])
    return f"{text}, met {met}" if met else text


def _named(seen: Seen) -> str:
    return f"{_cut(seen.name, _VALUE_WIDTH_MAX)} = {quoted(seen.values)}"


def quoted(values: Iterable[Any]) -> str:
    """Values as EQL writes them, the first few; "no value" if there are none."""
    found = list(values)
    shown = [
        _cut(print_expression(Literal(value)), _VALUE_WIDTH_MAX)
        for value in found[:_VALUES_SHOWN_MAX]
    ]
    if len(found) > _VALUES_SHOWN_MAX:
        shown.append(f"… {len(found) - _VALUES_SHOWN_MAX} more")
    return ", ".join(shown) or "no value"


def _cut(text: str, width: int) -> str:
    """Keep the beginning and the end, which tell long paths and command lines apart."""
    if len(text) <= width:
        return text
    head = width * 2 // 3
    return f"{text[:head]}…{text[head + 1 - width :]}"
