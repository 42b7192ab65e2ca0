"""Query text to syntax tree: a recursive descent parser of the whole language.

Law of the file: the tree says what was written, with the place of every part; a text that is
not EQL ends in an EqlSyntaxError that underlines the place and, where the mistake is a known
one, says what to write. No text ends in any other error: nesting is limited, long flat
conditions are not.

    statement   = query { pipe } END
    query       = event | sequence | sample
    event       = ( "any" | IDENTIFIER | STRING ) "where" condition
    sequence    = "sequence" [ by ] [ "with" "maxspan" "=" INTEGER unit ]
                  term { term } [ "until" term ]
    sample      = "sample" [ by ] term { term }
    term        = ( "[" | "![" ) event "]" [ by ] [ "with" "runs" "=" INTEGER ]
    by          = "by" field { "," field }
    unit        = "ms" | "s" | "m" | "h" | "d"
    pipe        = "|" ( "head" | "tail" ) INTEGER
    condition   = conjunct { "or" conjunct }
    conjunct    = negation { "and" negation }
    negation    = { "not" } sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ]
    sum         = product { ( "+" | "-" ) product }
    product     = signed { ( "*" | "/" | "%" ) signed }
    signed      = { "-" | "+" } tested
    tested      = primary [ [ "not" ] ( "in" | "in~" ) "(" condition { "," condition } ")"
                          | ( ":" | "like" | "like~" | "regex" | "regex~" )
                            ( constant | "(" constant { "," constant } ")" ) ]
    primary     = constant | call | [ "?" ] path | "(" condition ")"
    call        = ( IDENTIFIER | IDENTIFIER~ ) "(" condition { "," condition } ")"
    path        = name { "." name }
    name        = IDENTIFIER | QUOTED_IDENTIFIER
    constant    = STRING | INTEGER | DECIMAL | "true" | "false" | "null"
"""

from __future__ import annotations

import difflib
from typing import NoReturn

from streamproc.eql import lexer
from streamproc.eql.checks import check_query
from streamproc.eql.cursor import Cursor, place
from streamproc.eql.nodes import (
    And,
    Arithmetic,
    Body,
    Call,
    Comparison,
    EventQuery,
    Expr,
    Field,
    Literal,
    Membership,
    Negate,
    Not,
    Or,
    PatternMatch,
    Pipe,
    Query,
    Sample,
    Sequence,
    SequenceTerm,
    Span,
)
from streamproc.eql.signatures import SIGNATURES

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_PATTERN_OPERATORS = frozenset({":", "like", "like~", "regex", "regex~"})
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}
_CONSTANTS = {"true": True, "false": False, "null": None}
_NAMES = frozenset({lexer.IDENTIFIER, lexer.QUOTED_IDENTIFIER})
_NUMBERS = frozenset({lexer.INTEGER, lexer.DECIMAL})
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PIPES = frozenset({"head", "tail"})
_OTHER_PIPES = frozenset({"count", "filter", "sort", "unique", "unique_count"})
_REMOVED_FUNCTIONS = {
    "wildcard": "write `field like~ (...)` or `field : (...)`",
    "match": "write `field regex~ (...)`",
    "matchlite": "write `field regex~ (...)`",
    "arraycontains": "a comparison already looks at every value of an array",
    "arraysearch": "a comparison already looks at every value of an array",
    "arraycount": "arrays cannot be counted",
}


def parse_query(text: str) -> Query:
    """Parse and check a whole statement.

    Raises:
        EqlSyntaxError: The text is not EQL, or breaks a rule that can be checked without events.
    """
    query = _Parser(text).statement()
    check_query(query, text)
    return query


class _Parser(Cursor):
    """One method per rule of the grammar; each reads what the rule describes."""

    # --- statements ---------------------------------------------------------------------

    def statement(self) -> Query:
        if self.token.kind == lexer.END:
            self.fail("the query is empty")
        body = self.body()
        pipes: list[Pipe] = []
        while self.token.kind == "|":
            pipes.append(self.pipe())
        self.expect_end()
        return Query(body, tuple(pipes))

    def body(self) -> Body:
        if self.token.kind == "sequence":
            return self.sequence()
        if self.token.kind == "sample":
            return self.sample()
        if self.token.kind == "join":
            self.fail("`join` is not supported: write `sequence` or `sample`")
        return self.event()

    def event(self) -> EventQuery:
        start = self.token.start
        category: str | None = None
        if self.token.kind in (lexer.IDENTIFIER, lexer.STRING):
            category = str(self.advance().value)
        elif self.token.kind == "any":
            self.advance()
        elif self.token.kind == lexer.QUOTED_IDENTIFIER:
            self.fail('a back-ticked name is a field: write an event category as "..."')
        else:
            self.unexpected("an event category or `any`")
        self.expect("where")
        condition = self.condition()
        return EventQuery(category, condition, self.span_from(start))

    def sequence(self) -> Sequence:
        start = self.advance().start
        keys = self.keys()
        maxspan = self.maxspan() if self.token.kind == "with" else None
        if self.token.kind == "by":
            self.fail("write `by` before `with`")
        terms = self.terms()
        until = None
        if self.token.kind == "until":
            self.advance()
            until = self.term()
        return Sequence(terms, keys, maxspan, until, self.span_from(start))

    def sample(self) -> Sample:
        start = self.advance().start
        keys = self.keys()
        return Sample(self.terms(), keys, self.span_from(start))

    def terms(self) -> tuple[SequenceTerm, ...]:
        terms = [self.term()]
        while self.token.kind in ("[", "!["):
            terms.append(self.term())
        return tuple(terms)

    def term(self) -> SequenceTerm:
        start = self.token.start
        if self.token.kind not in ("[", "!["):
            self.unexpected("`[`")
        opened = self.advance()
        query = self.event()
        self.expect_close("]", opened)
        keys = self.keys()
        runs = self.runs() if self.token.kind == "with" else 1
        if self.token.kind == "by":
            self.fail("write `by` before `with`")
        return SequenceTerm(query, keys, runs, opened.kind == "![", self.span_from(start))

    def keys(self) -> tuple[Field, ...]:
        if self.token.kind != "by":
            return ()
        self.advance()
        return tuple(self.separated(self.key))

    def key(self) -> Field:
        start = self.token.start
        key = self.sum()
        if not isinstance(key, Field):
            self.fail("a key must be a field", self.span_from(start))
        return key

    def maxspan(self) -> int:
        self.advance()
        self.expect("maxspan")
        self.expect("=")
        number = self.token
        if number.kind == lexer.DECIMAL:
            self.fail("maxspan takes a whole number and a unit, such as `90s`")
        count = self.integer("a whole number and a unit, such as `30s`")
        if count <= 0:
            self.fail("maxspan must be positive", place(number))
        unit = self.token
        if unit.kind != lexer.IDENTIFIER:
            self.fail(f"maxspan has no unit: did you mean `{count}s`?", place(number))
        if unit.value not in _UNIT_MS:
            self.fail(f"`{unit.value}` is no unit of time: write one of ms, s, m, h, d")
        self.advance()
        return count * _UNIT_MS[str(unit.value)]

    def runs(self) -> int:
        self.advance()
        if self.token.kind != lexer.IDENTIFIER or self.token.value != "runs":
            self.unexpected("`runs`")
        self.advance()
        self.expect("=")
        return self.integer("a whole number of runs")

    def pipe(self) -> Pipe:
        start = self.advance().start
        name = self.token.value
        if self.token.kind != lexer.IDENTIFIER:
            self.unexpected("`head` or `tail`")
        if name not in _PIPES:
            is_old = name in _OTHER_PIPES
            verdict = "is not supported" if is_old else "does not exist"
            self.fail(f"pipe `{name}` {verdict}: the pipes are `head` and `tail`")
        self.advance()
        count = self.integer(f"a whole number after `{name}`")
        return Pipe(str(name), count, self.span_from(start))

    # --- conditions ---------------------------------------------------------------------
    # Few methods, each doing two levels of the grammar: the depth of the call stack for one
    # level of parentheses is what limits nesting.

    def condition(self) -> Expr:
        """``condition`` and ``conjunct``: flat, however many terms there are."""
        start = self.token.start
        alternatives: list[Expr] = []
        conjuncts = [self.negation()]
        group_start = start
        while True:
            kind = self.token.kind
            if kind == "and":
                self.advance()
                conjuncts.append(self.negation())
            elif kind == "or":
                alternatives.append(self.conjunction(conjuncts, group_start))
                self.advance()
                group_start = self.token.start
                conjuncts = [self.negation()]
            else:
                break
        last = self.conjunction(conjuncts, group_start)
        if not alternatives:
            return last
        alternatives.append(last)
        terms: list[Expr] = []
        for term in alternatives:
            terms.extend(term.terms if isinstance(term, Or) else (term,))
        return Or(tuple(terms), self.span_from(start))

    def conjunction(self, conjuncts: list[Expr], start: int) -> Expr:
        if len(conjuncts) == 1:
            return conjuncts[0]
        terms: list[Expr] = []
        for term in conjuncts:
            terms.extend(term.terms if isinstance(term, And) else (term,))
        return And(tuple(terms), self.span_from(start))

    def negation(self) -> Expr:
        """``negation``: any number of ``not``, and the comparison that they negate."""
        starts: list[int] = []
        while self.token.kind == "not":
            self.deepen()
            starts.append(self.advance().start)
        start = self.token.start
        expression = self.sum()
        if self.token.kind in _COMPARISONS:
            operator = self.advance().kind
            right = self.sum()
            if self.token.kind in _COMPARISONS:
                self.fail("comparisons cannot be chained: write `a < b and b < c`")
            span = self.span_from(start)
            if operator == "!=":
                expression = Not(Comparison("==", expression, right, span), span)
            else:
                expression = Comparison(operator, expression, right, span)
        for not_start in reversed(starts):
            expression = Not(expression, self.span_from(not_start))
        self.rise(len(starts))
        return expression

    def sum(self, minimum: int = 1) -> Expr:
        """``sum`` and ``product``, by precedence; ``minimum`` is the loosest operator taken."""
        start = self.token.start
        left = self.signed()
        while (binding := _BINDING.get(self.token.kind, 0)) >= minimum:
            operator = self.advance().kind
            right = self.sum(binding + 1)
            left = Arithmetic(operator, left, right, self.span_from(start))
        return left

    def signed(self) -> Expr:
        """``signed`` and ``tested``: signs bind looser than ``in``, ``like`` and the others."""
        minus_starts: list[int] = []
        signs = 0
        while self.token.kind in ("-", "+"):
            self.deepen()
            signs += 1
            sign = self.advance()
            if sign.kind == "-":
                minus_starts.append(sign.start)
        start = self.token.start
        expression = self.primary()
        kind = self.token.kind
        if kind in _PATTERN_OPERATORS:
            expression = self.pattern_match(expression, start)
        elif kind in ("in", "in~", "not"):
            expression = self.membership(expression, start)
        for minus_start in reversed(minus_starts):
            expression = _negated(expression, self.span_from(minus_start))
        self.rise(signs)
        return expression

    def membership(self, operand: Expr, start: int) -> Expr:
        is_negated = self.token.kind == "not"
        if is_negated:
            following = self.following()
            if following.kind not in ("in", "in~"):
                operator = self.source(following)
                if following.kind in _PATTERN_OPERATORS:
                    self.fail(f"only `not in` stands here: write `not field {operator} ...`")
                self.unexpected("an operator or the end of the condition")
            self.advance()
        operator = self.advance().kind
        self.expect("(", f"after `{operator}`")
        self.deepen()
        values = tuple(self.separated(lambda: self.listed(operator)))
        self.rise()
        self.expect(")", f"or `,` in the list of `{operator}`")
        span = self.span_from(start)
        tested = Membership(operand, values, operator == "in~", span)
        return Not(tested, span) if is_negated else tested

    def listed(self, operator: str) -> Literal:
        start = self.token.start
        value = self.condition()
        if not isinstance(value, Literal):
            self.fail(
                f"`{operator}` takes constants only;"
                " comparisons against fields are not (currently) supported",
                self.span_from(start),
            )
        return value

    def pattern_match(self, operand: Expr, start: int) -> PatternMatch:
        operator = self.advance().kind
        if self.token.kind == "(":
            self.advance()
            patterns = tuple(self.separated(lambda: self.pattern(operator)))
            self.expect(")", f"or `,` in the list of `{operator}`")
        else:
            patterns = (self.pattern(operator),)
        return PatternMatch(operator, operand, patterns, self.span_from(start))

    def pattern(self, operator: str) -> Literal:
        token = self.token
        if token.kind != lexer.STRING:
            hint = " (compare with `==` instead)" if token.kind in _NUMBERS else ""
            self.unexpected(f'a string "..." after `{operator}`{hint}')
        self.advance()
        return Literal(token.value, place(token))

    def primary(self) -> Expr:
        token = self.token
        kind = token.kind
        if kind == lexer.STRING or kind in _NUMBERS:
            self.advance()
            return Literal(token.value, place(token))
        if kind in _CONSTANTS:
            self.advance()
            return Literal(_CONSTANTS[kind], place(token))
        if kind == "(":
            self.deepen()
            self.advance()
            expression = self.condition()
            self.expect_close(")", token)
            self.rise()
            return expression
        if kind in (lexer.IDENTIFIER, lexer.TILDE_IDENTIFIER):
            following = self.following()
            if following.kind == "(" or kind == lexer.TILDE_IDENTIFIER:
                return self.call()
            if following.kind == "of":
                self.fail(
                    f"`{token.value} of` is not supported: relations between processes"
                    " are not part of EQL any more",
                    Span(token.start, following.end),
                )
        return self.field()

    def call(self) -> Call:
        token = self.advance()
        written = str(token.value)
        is_insensitive = token.kind == lexer.TILDE_IDENTIFIER
        lowered = written.rstrip("~").lower()
        signature = SIGNATURES.get(lowered)
        if signature is None:
            self.unknown_function(written, lowered, place(token))
        if is_insensitive and not signature.takes_tilde:
            self.fail(f"`{signature.name}` has no case-insensitive form `~`", place(token))
        self.expect("(", f"after `{written}`")
        self.deepen()
        args: list[Expr] = []
        if self.token.kind != ")":
            args = self.separated(self.condition)
        self.rise()
        self.expect(")", f"or `,` in the arguments of `{written}`")
        return Call(signature.name, tuple(args), is_insensitive, self.span_from(token.start))

    def field(self) -> Field:
        start = self.token.start
        is_optional = self.token.kind == "?"
        if is_optional:
            self.advance()
        if self.token.kind not in _NAMES:
            self.no_name("a field, a value, a function or `(`")
        pieces = [str(self.advance().value)]
        while True:
            if self.token.kind == ".":
                self.advance()
                if self.token.kind not in _NAMES:
                    self.no_name("the rest of a field name")
                pieces.append(str(self.advance().value))
            elif self.token.kind == "[" and self.following().kind == lexer.INTEGER:
                self.fail("array indexes are not supported: a comparison looks at every value")
            else:
                return Field(".".join(pieces), is_optional, self.span_from(start))

    def no_name(self, expected: str) -> NoReturn:
        kind = self.token.kind
        if kind in lexer.KEYWORDS:
            self.fail(f"expected {expected}: a field named `{kind}` is written in back-ticks")
        self.unexpected(expected)

    def unknown_function(self, written: str, lowered: str, span: Span) -> NoReturn:
        if lowered in _REMOVED_FUNCTIONS:
            self.fail(f"no function `{written}`: {_REMOVED_FUNCTIONS[lowered]}", span)
        if lowered in lexer.KEYWORDS:
            self.fail(f"keywords are lower-case: write `{written.lower()}`", span)
        similar = difflib.get_close_matches(lowered, SIGNATURES, n=1)
        guess = f", did you mean `{SIGNATURES[similar[0]].name}`?" if similar else ""
        self.fail(f"unknown function `{written}`{guess}", span)


def _negated(expression: Expr, span: Span) -> Expr:
    """Minus on a number is that number's negative; on anything else it is computed later."""
    if isinstance(expression, Literal):
        value = expression.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Literal(-value, span)
    return Negate(expression, span)
