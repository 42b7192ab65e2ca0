"""A fault is shown at its own line and column, however the file writes the value."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.ruleset.places import WHOLE_FILE, key_place, syntax_place, value_place

FILE = '''\
# query = "not this one"
[metadata]
maturity = "production" # [rule] query = 1
query = "nor this"

[transform]
investigate = [
  { query = "[rule]", label = """
[rule]
query = 'trap'
""" },
]

[rule]
note = """
query = 'another trap \\""" '
"""
query = \'\'\'
process where
  X
\'\'\'
"quoted key" = 1
'''


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("metadata", "maturity"), 3, 1),
        (("rule", "query"), 18, 1),
        (("rule", "quoted key"), 22, 1),
        (("rule", "absent"), 14, 1),
        (("nowhere", "absent"), *WHOLE_FILE),
    ],
)
def test_a_key_is_found_past_look_alikes(path, line, column):
    """Comments, strings and other tables do not distract; a missing key is at its table."""
    tomllib.loads(FILE)

    assert key_place(FILE, *path) == (line, column)


def test_a_character_of_a_multi_line_query_is_found():
    """The line break behind the opening quotes belongs to the file and not to the query."""
    query = tomllib.loads(FILE)["rule"]["query"]

    assert value_place(FILE, query.index("X"), "rule", "query") == (20, 3)


@pytest.mark.parametrize(
    "value",
    [
        "'a X'",
        '"a X"',
        '"\\t\\u0041\\U00000041\\\\ \\"X"',
        "'''a X'''",
        "'''\na\nb X'''",
        '"""\na \\\n   b\\nX"""',
        '"""a\\tb ""X"""',
    ],
)
def test_every_way_to_write_a_string_leads_to_the_same_character(value):
    """Escapes and folded lines make the file longer than the value; the place allows for it."""
    text = f"[rule]\nname = 1\n  query = {value}\n"
    read = tomllib.loads(text)["rule"]["query"]
    line, column = value_place(text, read.index("X"), "rule", "query")

    assert text.splitlines()[line - 1][column - 1] == "X"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_text_in_front_leaves_the_place_right(prefix):
    """Whatever stands before it in the value, escaped as TOML demands."""
    escaped = prefix.replace("\\", "\\\\").replace('"', '\\"')
    text = f'[rule]\nquery = "{escaped}\N{SNOWMAN}!"\n'
    read = tomllib.loads(text)["rule"]["query"]
    line, column = value_place(text, len(read) - 1, "rule", "query")

    assert text.split("\n")[line - 1][column - 1] == "!"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[rule]\nname = = 1\n", (2, 8)),
        ("[rule]\nname =", (2, 7)),
        ("[rule]\nquery = '''\nabc", (3, 4)),
    ],
)
def test_a_syntax_error_is_at_the_place_that_the_parser_names(text, place):
    """The end of the document is the place behind the last character."""
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    found, reason = syntax_place(caught.value, text)

    assert found == place
    assert "(at " not in reason
