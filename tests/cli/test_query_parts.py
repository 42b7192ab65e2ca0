"""Parts of a query: all of them, and text that still means the same."""

import pytest

from streamproc.cli.query_parts import event_queries, fields_read, query_lines
from streamproc.eql.parser import parse_query

QUERIES = [
    "any where true",
    "process where a == 1 and (b == 2 or c == 3) and not (d and e) | head 3",
    'process where a == 1 or b : ("x", "y*")',
    "sequence by a [process where b and c] with runs=3 [any where true] until [file where d]",
]


@pytest.mark.parametrize("text", QUERIES)
def test_query_lines_are_the_query(text: str):
    """Broken into lines, the text still parses to the same tree."""
    tree = parse_query(text)

    assert parse_query("\n".join(query_lines(tree))) == tree


def test_fields_and_parts_of_a_query():
    """Join keys, function arguments and until are read too."""
    body = parse_query(
        "sequence by a.a with maxspan=1m [process where length(b.b) > 1] by c.c"
        " ![any where d.d] by e.e until [file where ?f.f == null] by g.g"
    ).body

    assert fields_read(body) == {"a.a", "b.b", "c.c", "d.d", "e.e", "f.f", "g.g"}
    assert [name for name, _ in event_queries(body)] == ["step 1", "step 2 (missing)", "until"]
