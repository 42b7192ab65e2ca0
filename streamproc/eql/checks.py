"""What is wrong with a query that is grammatical, as far as it can be told without events.

Law of the file: a check rejects only what can never be run: types that are known from the text
alone, and the rules of sequences and samples. A field has no type here, so nothing is
said about the kind of its values.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, NoReturn

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.nodes import (
    And,
    Arithmetic,
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
    Query,
    Sample,
    Sequence,
    SequenceTerm,
    Span,
)
from streamproc.eql.signatures import SIGNATURES

#: Levels of nesting that a condition may have. Every later stage walks a tree by recursion, and
#: Python gives up near a thousand calls; rules in use stay under ten.
MAX_DEPTH: Final = 100
#: ``with runs=N`` stands for N copies of a step.
MAX_RUNS: Final = 100


class Kind(enum.Enum):
    """What is known about a value from the query alone."""

    STRING = "a string"
    NUMBER = "a number"
    BOOLEAN = "a condition"
    ANY = "any"  # a field, or null, which stands for any type


class _Finding(NamedTuple):
    """What a subtree is: its kind, and whether it reads a field for certain.

    An optional field may turn out to be the constant null, so it may face another field.
    """

    kind: Kind
    has_field: bool


_S, _N, _B, _A = Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.ANY

# Kinds of the arguments of each function, then of its result. A function with more arguments
# than kinds repeats the last kind.
_FUNCTIONS: dict[str, tuple[tuple[Kind, ...], Kind]] = {
    "add": ((_N, _N), _N),
    "subtract": ((_N, _N), _N),
    "multiply": ((_N, _N), _N),
    "divide": ((_N, _N), _N),
    "modulo": ((_N, _N), _N),
    "between": ((_S, _S, _S, _B), _S),
    "cidrMatch": ((_A, _S), _B),
    "concat": ((_A,), _S),
    "endsWith": ((_S, _S), _B),
    "startsWith": ((_S, _S), _B),
    "indexOf": ((_S, _S, _N), _N),
    "length": ((_S,), _N),
    "number": ((_S, _N), _N),
    "string": ((_A,), _S),
    "stringContains": ((_S, _S), _B),
    "substring": ((_S, _N, _N), _S),
}


def check_query(query: Query, text: str) -> None:
    """Raise EqlSyntaxError, with its place in ``text``, if a rule of the language is broken."""
    body = query.body
    if isinstance(body, EventQuery):
        check_condition(body.condition, text)
    elif isinstance(body, Sequence):
        _check_sequence(body, text)
    else:
        _check_sample(body, text)


def check_condition(condition: Expr, text: str) -> None:
    """Raise EqlSyntaxError unless ``condition`` is well typed and yields true or false."""
    _Checker(text).condition(condition, 0)


class _Checker:
    """One walk over a condition, from the leaves up."""

    def __init__(self, text: str) -> None:
        self.text = text

    def check(self, expression: Expr, depth: int) -> _Finding:
        if depth >= MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels", expression)
        return _CHECKS[type(expression)](self, expression, depth)

    def literal(self, literal: Literal, depth: int) -> _Finding:
        return _Finding(_kind_of(literal), has_field=False)

    def field(self, field: Field, depth: int) -> _Finding:
        return _Finding(Kind.ANY, has_field=not field.is_optional)

    def call(self, call: Call, depth: int) -> _Finding:
        count = len(call.args)
        signature = SIGNATURES[call.name.lower()]
        most = count if signature.max_args is None else signature.max_args
        if not signature.min_args <= count <= most:
            wanted = _range(signature.min_args, signature.max_args)
            self.fail(f"`{call.name}` takes {wanted}, not {count}", call)
        kinds, result = _FUNCTIONS[call.name]
        has_field = False
        for position, argument in enumerate(call.args):
            kind = kinds[min(position, len(kinds) - 1)]
            purpose = f"argument {position + 1} of `{call.name}`"
            has_field |= self.wanted(argument, kind, purpose, depth).has_field
        if call.name == "cidrMatch":
            self.cidr_match(call)
        return _Finding(result, has_field)

    def cidr_match(self, call: Call) -> None:
        address = call.args[0]
        if not isinstance(address, Field):
            self.fail("argument 1 of `cidrMatch` must be a field", address)
        for network in call.args[1:]:
            if not isinstance(network, Literal) or not isinstance(network.value, str):
                self.fail('the networks of `cidrMatch` must be constants "..."', network)
            try:
                ipaddress.ip_network(network.value, strict=False)
            except ValueError:
                self.fail("not a network: write it as `10.0.0.0/8` or `fe80::/10`", network)

    def negate(self, negate: Negate, depth: int) -> _Finding:
        finding = self.wanted(negate.operand, Kind.NUMBER, "the operand of `-`", depth)
        return _Finding(Kind.NUMBER, finding.has_field)

    def arithmetic(self, arithmetic: Arithmetic, depth: int) -> _Finding:
        purpose = f"an operand of `{arithmetic.op}`"
        left = self.wanted(arithmetic.left, Kind.NUMBER, purpose, depth)
        right = self.wanted(arithmetic.right, Kind.NUMBER, purpose, depth)
        return _Finding(Kind.NUMBER, left.has_field or right.has_field)

    def comparison(self, comparison: Comparison, depth: int) -> _Finding:
        left = self.check(comparison.left, depth + 1)
        right = self.check(comparison.right, depth + 1)
        if left.has_field and right.has_field:
            self.fail(
                "comparisons against fields are not (currently) supported:"
                " one side must be a constant",
                comparison.right,
            )
        return _Finding(Kind.BOOLEAN, left.has_field or right.has_field)

    def membership(self, membership: Membership, depth: int) -> _Finding:
        operator = "in~" if membership.is_insensitive else "in"
        kind = Kind.STRING if membership.is_insensitive else Kind.ANY
        finding = self.wanted(membership.operand, kind, f"the left side of `{operator}`", depth)
        kind = finding.kind if kind is Kind.ANY else kind
        for value in membership.values:
            self.wanted(value, kind, f"a value of this `{operator}`", depth)
        return _Finding(Kind.BOOLEAN, finding.has_field)

    def pattern_match(self, match: PatternMatch, depth: int) -> _Finding:
        finding = self.check(match.operand, depth + 1)
        if finding.kind not in (Kind.STRING, Kind.ANY):
            self.fail(
                f"the left side of `{match.op}` must be a string, not {finding.kind.value};"
                " consider using `==`",
                match.operand,
            )
        return _Finding(Kind.BOOLEAN, finding.has_field)

    def negation(self, negation: Not, depth: int) -> _Finding:
        return self.condition(negation.operand, depth + 1)

    def terms(self, expression: And | Or, depth: int) -> _Finding:
        has_field = False
        for term in expression.terms:
            has_field |= self.condition(term, depth + 1).has_field
        return _Finding(Kind.BOOLEAN, has_field)

    def condition(self, expression: Expr, depth: int) -> _Finding:
        finding = self.check(expression, depth)
        if finding.kind not in (Kind.BOOLEAN, Kind.ANY):
            self.fail(f"a condition must be true or false, not {finding.kind.value}", expression)
        return _Finding(Kind.BOOLEAN, finding.has_field)

    def wanted(self, expression: Expr, kind: Kind, purpose: str, depth: int) -> _Finding:
        """Check a part that has to be of a kind; a part of unknown kind passes."""
        finding = self.check(expression, depth + 1)
        if Kind.ANY not in (kind, finding.kind) and finding.kind is not kind:
            self.fail(f"{purpose} must be {kind.value}, not {finding.kind.value}", expression)
        return finding

    def fail(self, message: str, at: Expr) -> NoReturn:
        raise EqlSyntaxError(message, self.text, at.span)


_CHECKS: dict[type, Callable[..., _Finding]] = {
    Literal: _Checker.literal,
    Field: _Checker.field,
    Call: _Checker.call,
    Negate: _Checker.negate,
    Arithmetic: _Checker.arithmetic,
    Comparison: _Checker.comparison,
    Membership: _Checker.membership,
    PatternMatch: _Checker.pattern_match,
    Not: _Checker.negation,
    And: _Checker.terms,
    Or: _Checker.terms,
}


def _kind_of(literal: Literal) -> Kind:
    match literal.value:
        case bool():
            return Kind.BOOLEAN
        case str():
            return Kind.STRING
        case int() | float():
            return Kind.NUMBER
        case _:
            return Kind.ANY


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least} argument{'s' if least > 1 else ''}"
    if least == most:
        return f"{least} argument{'s' if least > 1 else ''}"
    return f"{least} to {most} arguments"


# --- sequences and samples --------------------------------------------------------------


def _check_sequence(sequence: Sequence, text: str) -> None:
    for term in _with_until(sequence):
        check_condition(term.query.condition, text)
    for term in sequence.terms:
        if not 1 <= term.runs <= MAX_RUNS:
            _fail(f"runs must be between 1 and {MAX_RUNS}, not {term.runs}", text, term.span)
    if sum(term.runs for term in sequence.terms) < 2:
        _fail("a sequence needs at least two steps", text, sequence.span)
    _check_key_counts(_with_until(sequence), text)
    _check_missing(sequence, text)
    until = sequence.until
    if until is not None and (until.is_missing or until.runs != 1):
        _fail("`until` takes a plain step: no `![` and no runs", text, until.span)


def _check_missing(sequence: Sequence, text: str) -> None:
    missing = [term for term in sequence.terms if term.is_missing]
    if missing and sequence.maxspan_ms is None:
        _fail(
            "a missing step `![...]` needs a time limit: write `with maxspan=...`",
            text,
            missing[0].span,
        )
    if len(missing) == len(sequence.terms):
        _fail("a sequence needs a step that is not missing", text, missing[0].span)


def _check_sample(sample: Sample, text: str) -> None:
    for term in sample.terms:
        check_condition(term.query.condition, text)
        if term.is_missing or term.runs != 1:
            _fail("a sample takes plain filters: no `![` and no runs", text, term.span)
    if len(sample.terms) < 2:
        _fail("a sample needs at least two filters", text, sample.span)
    if not sample.keys and not sample.terms[0].keys:
        _fail("a sample needs at least one key: write `sample by field`", text, sample.span)
    _check_key_counts(sample.terms, text)


def _check_key_counts(terms: Iterable[SequenceTerm], text: str) -> None:
    expected: int | None = None
    for term in terms:
        count = len(term.keys)
        if expected is None:
            expected = count
        elif count != expected:
            message = f"every step needs the same number of keys: expected {expected}"
            _fail(f"{message}, found {count}", text, term.span)


def _with_until(sequence: Sequence) -> tuple[SequenceTerm, ...]:
    return sequence.terms if sequence.until is None else (*sequence.terms, sequence.until)


def _fail(message: str, text: str, span: Span) -> NoReturn:
    raise EqlSyntaxError(message, text, span)
