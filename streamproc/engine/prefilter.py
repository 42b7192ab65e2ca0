r"""Which rules may match which record, decided on the undecoded bytes.

Law of the file: **zero false negatives**. A rule that matches the decoded record is among its
candidates; the reverse is not promised. Every record gets one answer, whatever its bytes are.

How: the requirements of all rules become one Hyperscan database. Each rule is filed under its
rarest clause; a hit of that clause brings the rule up, and its other clauses are looked up
among the hits. Of rules that ask for a character beyond ASCII, a record of ASCII alone is no
candidate. A record that writes what the literals contain in a roundabout way (``\u0077`` for
``w``, a space after a colon) is found by expressions for that, rewritten and scanned again.

Where the rules' rarest literals are rare enough, a first scan runs over many records at once
(``first_scan``), and only records that pass it are scanned one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from streamproc.engine.first_scan import FirstScan
from streamproc.engine.json_text import (
    COLON_SPACE,
    JsonText,
    array_start,
    canonical,
    escape_expression,
    json_text,
    may_be_non_ascii,
    spacings,
    unescaped,
)
from streamproc.engine.literal_database import database
from streamproc.eql.requirements import Clause, Clauses, NonAscii, Requirement
from streamproc.ruleset.breath import Breathe, go_on

# Costs per record, nanoseconds.
RULE_COST: Final = 10_000
"""What one candidate costs: reading the record's fields that it asks for, and evaluating it."""

HIT_COST: Final = 700
"""One literal that is hit: a call from Hyperscan into Python, and its place among the hits."""

LITERAL_COST: Final = 10
"""One more literal to look for."""

SHORT_COST: Final = 60
"""The same of fewer than ``SHORT_BYTES``: the scan mistakes other texts for it."""

SHORT_BYTES: Final = 7

SMALL_RULE_SET: Final = 500
"""Up to this many literals in all, none is left out: a scan for so few costs the same."""

_MEMO_SIZE: Final = 8192  # sets of hits whose candidates are remembered

# Escapes of ASCII characters that JSON does not ask for. Simple, for they are searched in every
# record (hex digits cost that search half again); which character it is, is looked at in a hit.
_ESCAPES: Final = rb"\\u00"
_ESCAPES_AND_SLASH: Final = rb"\\(u00|/)"


class Entry(NamedTuple):
    """One rule under its trigger: what else must be among the hits.

    Attributes:
        position: The rule's place in the sequence that the prefilter was made from.
        all_of: Literals that must all be hit.
        any_of: Sets of literals, of each of which one must be hit.
    """

    position: int
    all_of: frozenset[int]
    any_of: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the prefilter does with one rule, for people.

    Attributes:
        clauses: The conditions that are checked, in human form; all must hold.
        trigger: The one that brings the rule up; None if the rule is always a candidate.
        reason: Why it is always a candidate; empty if it is not.
    """

    clauses: tuple[str, ...]
    trigger: str | None
    reason: str


class Prefilter:
    """Finds candidate rules for batches of undecoded records. Not for use by two threads.

    Args:
        rule_clauses: For each rule the clauses that its events satisfy (see
            ``eql.literals.required_clauses``); a rule without any is always a candidate.
        costs: What it costs that each rule is a candidate, in units of ``RULE_COST``; None: 1.
        breathe: Called after each rule that is filed, and each of its texts.

    Raises:
        PrefilterError: Hyperscan refuses the literals.
    """

    def __init__(
        self,
        rule_clauses: Sequence[Clauses],
        breathe: Breathe = go_on,
        costs: Sequence[float] | None = None,
    ) -> None:
        self._clauses = tuple(tuple(rule) for rule in rule_clauses)
        literals = _Literals(_saved(self._clauses, costs or [1.0] * len(self._clauses)), breathe)
        self._all = tuple(range(len(self._clauses)))
        self._is_small = sum(_size(rule) for rule in self._clauses) <= SMALL_RULE_SET
        self._always: list[int] = []
        self._non_ascii: set[int] = set()
        self._in_ascii: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._kept: list[tuple[Clause, ...]] = []
        self._entries: dict[int, list[Entry]] = {}
        self._share = 0.0  # of the records that the rarest clauses bring up, as far as is guessed
        for position, clauses in enumerate(self._clauses):
            self._file(position, clauses, literals)
            breathe()
        self._memo: dict[frozenset[int], tuple[int, ...]] = {}
        self._hits: list[int] = []
        self._on_hit = _collector(self._hits)
        self._escape = self._spacing = 0
        self._hides: Callable[..., object] = bool
        self._full: Any = None
        self._first: FirstScan | None = None
        if self._entries:
            self._compile(literals)

    def _file(self, position: int, clauses: Clauses, literals: _Literals) -> None:
        """Put one rule under its rarest clause, with those others that earn their place."""
        trigger: frozenset[int] = frozenset()
        all_of: set[int] = set()
        any_of: list[frozenset[int]] = []
        kept = []
        non_ascii = [clause for clause in clauses if _is_non_ascii(clause)]
        if non_ascii:
            self._non_ascii.add(position)
        for clause in clauses:
            ids = literals.ids(clause, at_any_cost=not trigger or self._is_small)
            if not ids:
                continue
            kept.append(clause)
            if not trigger:
                trigger = ids
                self._share = min(1.0, self._share + clause.share)
            elif len(ids) == 1:
                all_of |= ids
            else:
                any_of.append(ids)
        self._kept.append((*kept, *non_ascii))
        if not trigger:
            self._always.append(position)
        entry = Entry(position, frozenset(all_of), tuple(any_of))
        for literal in trigger:
            self._entries.setdefault(literal, []).append(entry)

    def _compile(self, literals: _Literals) -> None:
        """Number what is looked for: literals, then the escapes, then the spacings."""
        expressions = list(literals.expressions)
        self._escape = len(expressions)
        self._spacing = self._escape + 1
        ids = list(range(self._escape))
        escape = escape_expression(literals.characters)
        if escape is not None:
            self._hides = re.compile(escape).search
            expressions.append(_ESCAPES_AND_SLASH if "/" in literals.characters else _ESCAPES)
            ids.append(self._escape)
        for name in sorted(literals.names):
            for spacing in spacings(name):
                expressions.append(spacing)
                ids.append(self._spacing)
        self._full = database(expressions, ids, once=True)
        if not self._always:
            triggers = [literals.texts[item] for item in self._entries if item in literals.texts]
            self._first = FirstScan(triggers, self._share)

    @property
    def always(self) -> tuple[int, ...]:
        """Positions of the rules that are candidates for every record."""
        return tuple(self._always)

    def candidates(self, values: Sequence[bytes]) -> list[tuple[int, tuple[int, ...]]]:
        """The records that some rule may match, each with the positions of those rules.

        Args:
            values: Undecoded records, in any number and of any length.

        Returns:
            Pairs of index in ``values`` and ascending rule positions, by index; records that
            no rule can match are left out.
        """
        if self._full is None:
            return self._unscanned(values)
        hits, scan, on_hit, memo = self._hits, self._full.scan, self._on_hit, self._memo
        non_ascii = self._non_ascii
        found = []
        for index in self._suspects(values):
            value = values[index]
            hits.clear()
            scan(value, match_event_handler=on_hit)
            key = frozenset(hits)
            rules = memo.get(key)
            if rules is None:
                rules = self._rules(value, key)
            if rules and not non_ascii.isdisjoint(rules) and not may_be_non_ascii(value):
                rules = self._left_in_ascii(rules)
            if rules:
                found.append((index, rules))
        return found

    def describe(self, position: int) -> Explanation:
        """What is looked for on behalf of the rule at ``position``."""
        shown = tuple(str(clause) for clause in self._kept[position])
        if shown:
            return Explanation(shown, shown[0], "")
        if self._clauses[position]:
            reason = "its required texts are too short or have no ASCII characters"
        else:
            reason = "no text or rare field must occur in every event that it matches"
        return Explanation((), None, reason)

    # One record ------------------------------------------------------------------------

    def _unscanned(self, values: Sequence[bytes]) -> list[tuple[int, tuple[int, ...]]]:
        """Candidates where no rule has a literal."""
        rest = self._left_in_ascii(self._all)
        found = [self._all if may_be_non_ascii(value) else rest for value in values]
        return [(index, rules) for index, rules in enumerate(found) if rules]

    def _left_in_ascii(self, rules: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the candidates that a record of ASCII alone may match."""
        left = self._in_ascii.get(rules)
        if left is None:
            if len(self._in_ascii) >= _MEMO_SIZE:
                self._in_ascii.clear()
            left = tuple(rule for rule in rules if rule not in self._non_ascii)
            self._in_ascii[rules] = left
        return left

    def _rules(self, value: bytes, key: frozenset[int]) -> tuple[int, ...]:
        """Candidate rules of a record for whose hits they are not remembered."""
        roundabout = {self._escape, self._spacing}
        if not roundabout.isdisjoint(key):
            rewritten = self._rewritten(value, key)
            if rewritten is None:
                return self._all  # the decoder is to find out and report it
            key = rewritten - roundabout
        rules = self._memo.get(key)
        if rules is None:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            rules = self._memo[key] = self._resolve(key)
        return rules

    def _scan(self, value: bytes) -> frozenset[int]:
        """What is hit in one record."""
        hits = self._hits
        hits.clear()
        self._full.scan(value, match_event_handler=self._on_hit)
        return frozenset(hits)

    def _rewritten(self, value: bytes, hits: frozenset[int]) -> frozenset[int] | None:
        """The hits of a record once it is written plainly; None if it is no JSON.

        The two commonest ways that are not plain have a short cut.
        """
        if self._escape in hits and self._hides(value):
            plain = unescaped(value)
            if plain is None:
                return self._canonical_hits(value)
            value = plain
            hits = self._scan(value)
        if self._spacing not in hits:
            return hits
        # Texts that begin a value are found in the one, all others in the other: none that
        # begins a value contains what is replaced.
        closed = self._scan(value.replace(COLON_SPACE, COLON_SPACE[:-1]))
        return self._canonical_hits(value) if self._spacing in closed else hits | closed

    def _canonical_hits(self, value: bytes) -> frozenset[int] | None:
        plain = canonical(value)
        return None if plain is None else self._scan(plain)

    def _resolve(self, hits: frozenset[int]) -> tuple[int, ...]:
        """Candidate rules for a set of hit literals."""
        found = set(self._always)
        for literal in hits:
            for entry in self._entries.get(literal, ()):
                if entry.all_of <= hits and not any(map(hits.isdisjoint, entry.any_of)):
                    found.add(entry.position)
        return tuple(sorted(found))

    # Many records ----------------------------------------------------------------------

    def _suspects(self, values: Sequence[bytes]) -> Iterable[int]:
        """Indexes of the records that are worth a scan of their own."""
        if self._first is not None and self._first.is_worth_it():
            return self._first.passing(values)
        return range(len(values))


class _Literals:
    """Everything that is looked for, numbered; equal expressions share a number."""

    def __init__(self, saved: Mapping[tuple[Requirement, ...], float], breathe: Breathe) -> None:
        self._breathe = breathe
        self._saved = saved
        self.expressions: dict[bytes, int] = {}
        self.texts: dict[int, JsonText] = {}  # by number; array starts have none
        self.characters: set[str] = set()
        self.names: set[str] = set()
        self._by_clause: dict[tuple[object, ...], tuple[JsonText, ...]] = {}

    def ids(self, clause: Clause, *, at_any_cost: bool) -> frozenset[int]:
        """Numbers of the literals of which one must occur; empty if any record may pass.

        Unless they are wanted at any cost, also empty if new literals cost more than they save.
        """
        known = self._by_clause.get(clause.requirements)
        if known is None:
            known = tuple(_without_longer(clause, self._breathe))
            self._by_clause[clause.requirements] = known
        new = sum(_cost(text) for text in known if text.expression not in self.expressions)
        cost = new + HIT_COST * clause.share if new else 0
        if cost > self._saved[clause.requirements] and not at_any_cost:
            return frozenset()
        found = [text.expression for text in known]
        for text in known:
            self.characters.update(text.text)
            if text.name:
                self.names.add(text.name)
                found.append(array_start(text.name))
        for expression in found:
            self.expressions.setdefault(expression, len(self.expressions))
        self.texts.update((self.expressions[text.expression], text) for text in known)
        return frozenset(self.expressions[expression] for expression in found)


def _saved(
    rule_clauses: Iterable[Clauses], costs: Iterable[float]
) -> dict[tuple[Requirement, ...], float]:
    """What each clause saves, of all rules that have it, once their rarer ones are looked up."""
    saved: dict[tuple[Requirement, ...], float] = {}
    for clauses, cost in zip(rule_clauses, costs, strict=True):
        passing = cost * RULE_COST
        for clause in clauses:
            left = passing * min(clause.share, 1.0)
            saved[clause.requirements] = saved.get(clause.requirements, 0.0) + passing - left
            passing = left
    return saved


def _is_non_ascii(clause: Clause) -> bool:
    return all(isinstance(item, NonAscii) for item in clause.requirements)


def _cost(text: JsonText) -> int:
    return LITERAL_COST if text.is_plain and len(text.plain) >= SHORT_BYTES else SHORT_COST


def _size(clauses: Clauses) -> int:
    return sum(len(clause.requirements) for clause in clauses)


def _without_longer(clause: Clause, breathe: Breathe) -> Iterator[JsonText]:
    """What to look for, less what contains another alternative, which would be hit as well.

    Nothing if some alternative cannot be looked for: then any record may pass.
    """
    texts = []
    for requirement in clause.requirements:
        breathe()  # the longest known clause has thousands
        text = json_text(requirement)
        if text is None:
            return
        texts.append(text)
    kept: set[bytes] = set()
    lengths: list[int] = []
    for text in sorted(texts, key=lambda item: len(item.plain)):
        breathe()
        if any(_windows_in(text.plain, length, kept) for length in lengths):
            continue
        yield text
        if text.is_plain:
            kept.add(text.plain)
            if len(text.plain) not in lengths:
                lengths.append(len(text.plain))


def _windows_in(text: bytes, length: int, known: set[bytes]) -> bool:
    """Whether a part of ``text`` that is ``length`` bytes long is among ``known``."""
    for at in range(len(text) - length + 1):  # noqa: SIM110 - a third of the cost of any()
        if text[at : at + length] in known:
            return True
    return False


def _collector(hits: list[int]) -> Callable[[int, int, int, int, object], None]:
    """Hyperscan's callback that appends the literal to ``hits``; called for every hit."""
    append = hits.append

    def on_hit(literal: int, start: int, end: int, flags: int, context: object) -> None:
        append(literal)

    return on_hit
