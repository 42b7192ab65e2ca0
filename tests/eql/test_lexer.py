"""Text becomes tokens; what is not EQL is answered with what to write instead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.lexer import KEYWORDS, Token, tokenize

# text, (kind, value) of each token before the end
TOKENS = [
    ("", []),
    (" \t\r\n", []),
    (
        "@timestamp _a A1",
        [("identifier", "@timestamp"), ("identifier", "_a"), ("identifier", "A1")],
    ),
    ("and AND In in", [("and", None), ("identifier", "AND"), ("identifier", "In"), ("in", None)]),
    ("in~ like~ regex~", [("in~", None), ("like~", None), ("regex~", None)]),
    ("endsWith~(", [("identifier~", "endsWith~"), ("(", None)]),
    ("any~", [("identifier~", "any~")]),
    ("`a b`", [("quoted identifier", "a b")]),
    ("`a``b`.`c.d`", [("quoted identifier", "a`b"), (".", None), ("quoted identifier", "c.d")]),
    ("![ [ !=", [("![", None), ("[", None), ("!=", None)]),
    ("a<=b", [("identifier", "a"), ("<=", None), ("identifier", "b")]),
    ("= == >= > < :", [(k, None) for k in ("=", "==", ">=", ">", "<", ":")]),
    ("+ - * / % , | ?", [(k, None) for k in "+-*/%,|?"]),
    ("0 18446744073709551615", [("integer", 0), ("integer", 2**64 - 1)]),
    ("18446744073709551616", [("decimal", 2.0**64)]),
    ("1. .5 1.5e-3 1e3 2E+1", [("decimal", n) for n in (1.0, 0.5, 0.0015, 1000.0, 20.0)]),
    ("5m", [("integer", 5), ("identifier", "m")]),
    ("1e", [("integer", 1), ("identifier", "e")]),
    (r'"a\b\t\n\f\r\"\'\\z"', [("string", "a\b\t\n\f\r\"'\\z")]),
    (r'"\u{41}\u{00e9}\u{1F600}\u{0010FFFF}"', [("string", "A\u00e9\U0001f600\U0010ffff")]),
    ('"" ""', [("string", ""), ("string", "")]),
    ('"// no /* comment */"', [("string", "// no /* comment */")]),
    (r'"""c:\win\d"""', [("string", r"c:\win\d")]),
    ('""""""', [("string", "")]),
    ('"""a"b""c"""', [("string", 'a"b""c')]),
    ('"""say "hi""""" ,', [("string", 'say "hi""'), (",", None)]),
    ('"""a""""', [("string", 'a"')]),
    ('"""a""" or """b"""', [("string", "a"), ("or", None), ("string", "b")]),
    ("a // rest ' \n b", [("identifier", "a"), ("identifier", "b")]),
    ("a /* x /* y */ ' */ b", [("identifier", "a"), ("identifier", "b")]),
    ("a/**/b", [("identifier", "a"), ("identifier", "b")]),
    ("? a", [("?", None), ("identifier", "a")]),
]


@pytest.mark.parametrize(("text", "expected"), TOKENS)
def test_tokens(text: str, expected: list[tuple[str, object]]) -> None:
    *tokens, end = tokenize(text)
    assert [(token.kind, token.value) for token in tokens] == expected
    assert end.kind == "end"


@pytest.mark.parametrize(("text", "kind"), [("7", int), ("7.", float), ("1e2", float)])
def test_a_number_keeps_its_type(text: str, kind: type) -> None:
    """Only digits make an integer; a point or an exponent makes a double."""
    assert type(tokenize(text)[0].value) is kind


def test_places() -> None:
    """A token covers its own characters, white space and comments belong to none."""
    text = 'a /* c */ == "x"  '
    assert [text[token.start : token.end] for token in tokenize(text)] == ["a", "==", '"x"', ""]
    assert tokenize(text)[-1] == Token("end", None, 16, 16)


# text, words of the message, the characters underlined
REFUSED = [
    ("a == 'x y' ", "double quotes", "'x y'"),
    ("a == 'x", "double quotes", "'x"),
    ('a == ?"x" ', '"""..."""', '?"x"'),
    ("a == ?'x\"y' ", '"""..."""', "?'x\"y'"),
    ('a !: "x"', "not field : value", "!:"),
    (r'a == "x\d"', r"write `\\d`", r"\d"),
    (r'a == "\u41"', "hexadecimal", r"\u41"),
    (r'a == "\u{4}"', "hexadecimal", r"\u{4}"),
    (r'a == "\u{000000041}"', "hexadecimal", r"\u{000000041}"),
    (r'a == "\u{D800}"', "not a Unicode character", r"\u{D800}"),
    (r'a == "\u{110000}"', "not a Unicode character", r"\u{110000}"),
    ('a == "x\ny"', "not closed on its line", '"x'),
    ('a == "c:\\" or b', "not closed on its line", '"c:\\" or b'),
    ('a == """x\ny"""', "raw string is not closed", '"""x'),
    ("a == 1 /* /* */", "comment is not closed", "/*"),
    ("a == `x", "name is not closed", "`x"),
    ("`` == 1", "cannot be empty", "``"),
    ("a == 1;", "leave `;` out", ";"),
    ("a && b", "write `and`", "&&"),
    ("a || b", "write `or`", "||"),
    ("!a", "write `not`", "!"),
    ("a <> b", "write `!=`", "<>"),
    ("a =~ b", "regex~", "=~"),
    ("a in ~ (1)", "without a space", "~"),
    ("a == 1e999", "too large", "1e999"),
    ("a == " + "9" * 5000, "too large", "9" * 5000),
    ("a == \u00e9", "unexpected character '\u00e9'", "\u00e9"),
    ("a\u00a0== 1", "unexpected character", "\u00a0"),
    ("a #", "unexpected character '#'", "#"),
]


@pytest.mark.parametrize(("text", "words", "underlined"), REFUSED)
def test_refused(text: str, words: str, underlined: str) -> None:
    with pytest.raises(EqlSyntaxError) as caught:
        tokenize(text)
    assert words in caught.value.message
    assert text[slice(*caught.value.span)] == underlined


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="abein09._@~`\"'\\/*!=<>[]()?:+-%,| \t\nu{}\u00e9", max_size=30))
def test_any_text_is_tokens_or_an_error(text: str) -> None:
    """Tokens come in order, do not overlap, and leave out only white space and comments."""
    try:
        tokens = tokenize(text)
    except EqlSyntaxError:
        return
    position = 0
    for token in tokens:
        between = text[position : token.start].strip(" \t\r\n")
        assert not between or between.startswith(("//", "/*"))
        assert token.start < token.end or token.kind == "end"
        position = token.end


def test_keywords_are_the_reserved_words() -> None:
    assert len(KEYWORDS) == 22
    assert not KEYWORDS & {"runs", "head", "tail", "process"}
