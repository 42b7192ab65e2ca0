"""A rule set compiled for running: prefilter, matchers and index patterns, all by rule position.

Law of the file: a program never changes; a reload compiles a new one beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from streamproc.engine.field_reader import FieldReader, content_key, reader_of, take_head
from streamproc.engine.prefilter import Prefilter
from streamproc.engine.sequence_rules import SPAN_DEFAULT_MS, Candidate, SequenceRules, head_of
from streamproc.eql.dates import is_instant, parse_instant
from streamproc.eql.event import Event
from streamproc.eql.literals import required_clauses
from streamproc.eql.nodes import EventQuery
from streamproc.eql.requirements import Clauses
from streamproc.eql.simplify import fields_of
from streamproc.ruleset.breath import Breathe, go_on
from streamproc.ruleset.garbage import collection_paused
from streamproc.ruleset.indices import IndexSelector
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.ruleset import RuleSet

Matcher: TypeAlias = Callable[[Event], bool]
Progress: TypeAlias = Callable[[int, int], None]

_SPLITS_MAX = 8192  # answers of the prefilter whose split is remembered
# A reader takes a few milliseconds to make and some tens of kB; real traffic asks for dozens.
_READERS_MAX = 512
# Programs repeat themselves all day: what rules answered about the same values of all the fields
# that they ask about is remembered. About 1 kB each.
_ANSWERS_MAX = 8192
_START_COST = 2.0  # of an event that may begin a sequence, beside one of a single-event rule
# What the engine asks of every event.
_ALWAYS_READ = frozenset({"@timestamp", "host.id"})


class Asked:
    """Single-event rules that are candidates together, and what asking them has brought.

    Attributes:
        positions: Their positions, ascending.
        is_keyed: Whether what they answer depends on neither host nor time.
        reader: Reads the fields that they ask about; None until it is needed.
        answers: Those that matched, by the values of the fields that they ask about.
    """

    __slots__ = ("answers", "is_keyed", "positions", "reader")

    def __init__(self, positions: tuple[int, ...], *, is_keyed: bool) -> None:
        self.positions = positions
        self.is_keyed = is_keyed
        self.reader: FieldReader | None = None
        self.answers: dict[bytes, tuple[int, ...]] = {}


class Program:
    """A rule set, ready to run.

    Positions count the single-event rules first, then the sequence rules. The prefilter knows
    one query of each single-event rule and one for each step of a sequence; ``split`` turns its
    answers into positions.

    Attributes:
        rules: All rules by position.
        matchers: The compiled queries of the single-event rules, by position.
        sequences: The sequence rules, by position less the number of single-event rules.
        prefilter: Finds candidates among undecoded records.
        selector: Which positions look at an event, by its index name.
        digest: Digest of the rule set.
        canary: Position of the canary rule, the last of the single-event rules; None without one.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        progress: Progress | None = None,
        span_default_ms: int = SPAN_DEFAULT_MS,
        canary: Rule | None = None,
        breathe: Breathe = go_on,
    ) -> None:
        """Compile.

        Args:
            ruleset: The rules.
            progress: Called with queries done and queries in all.
            span_default_ms: Span of sequences without ``maxspan``, milliseconds.
            canary: The rule of the worker's synthetic events (``streamproc.engine.canary``).
            breathe: Called between any two steps, each of which is about one rule.
        """
        with collection_paused():
            self._compile(ruleset, progress, span_default_ms, canary, breathe)

    def _compile(
        self,
        ruleset: RuleSet,
        progress: Progress | None,
        span_default_ms: int,
        canary: Rule | None,
        breathe: Breathe,
    ) -> None:
        self.digest = ruleset.digest
        self._splits: dict[tuple[int, ...], tuple[Asked | None, tuple[Candidate, ...]]] = {}
        singles = [rule for rule in ruleset.rules if not rule.is_sequence]
        self.canary = None if canary is None else len(singles)
        if canary is not None:
            singles.append(canary)
        joined = [rule for rule in ruleset.rules if rule.is_sequence]
        self.rules: tuple[Rule, ...] = (*singles, *joined)
        self.matchers: tuple[Matcher, ...] = tuple(rule.matchers[0] for rule in singles)
        self.sequences = SequenceRules(joined, span_default_ms)
        queries = [(rule, _event_query(rule)) for rule in singles]
        # Position of the sequence rule of each further query, and the query's in the rule.
        self._owners: list[tuple[int, int]] = []
        for position, sequence in enumerate(self.sequences.rules):
            queries += [(sequence.rule, query) for query in sequence.queries]
            self._owners += [(position, query) for query in range(len(sequence.queries))]
        clauses = []
        self._fields: list[frozenset[str]] = []
        for done, (rule, query) in enumerate(queries, 1):
            clauses.append(record_clauses(rule, query))
            if done <= len(singles):
                self._fields.append(_fields_read(rule, query))
            breathe()
            if progress is not None:
                progress(done, len(queries))
        costs = [1.0] * len(singles)
        costs += [1.0 if query else _START_COST for _, query in self._owners]
        self.prefilter = Prefilter(clauses, breathe, costs)
        self.selector = IndexSelector(self.rules, breathe)
        self._unkeyed = frozenset(
            position for position, read in enumerate(self._fields) if read & _ALWAYS_READ
        )
        self._asked: dict[tuple[int, ...], Asked] = {}
        self._answers = 0
        self._readers: dict[frozenset[str], FieldReader] = {}

    def split(self, candidates: tuple[int, ...]) -> tuple[Asked | None, tuple[Candidate, ...]]:
        """Return the single-event and the sequence rules of an answer of the prefilter.

        Returns:
            The single-event rules, None without any, and candidates in ``sequences.rules``.
        """
        known = self._splits.get(candidates)
        if known is None:
            count = len(self.matchers)
            singles = tuple(sorted(item for item in candidates if item < count))
            queries: dict[int, list[int]] = {}
            for item in sorted(item for item in candidates if item >= count):
                position, query = self._owners[item - count]
                queries.setdefault(position, []).append(query)
            joined = (Candidate(position, tuple(found)) for position, found in queries.items())
            known = self.ask(singles) if singles else None, tuple(joined)
            if len(self._splits) < _SPLITS_MAX:
                self._splits[candidates] = known
        return known

    def ask(self, positions: tuple[int, ...]) -> Asked:
        """Return what it takes to ask these single-event rules, ascending, about a record."""
        known = self._asked.get(positions)
        if known is None:
            known = Asked(positions, is_keyed=self._unkeyed.isdisjoint(positions))
            if len(self._asked) < _SPLITS_MAX:
                self._asked[positions] = known
        return known

    def examine(
        self, asked: Asked, value: bytes, *, asks_head: bool
    ) -> tuple[tuple[int, ...], tuple[Any, int] | None]:
        """Ask single-event rules about a record of which no more is read than what they ask for.

        Returns:
            The positions of those that match, as far as that can be told without decoding the
            record, and the event's host and time if asked for; all of them and None where it has
            to be decoded.
        """
        positions = asked.positions
        document = self.reader(asked).read(value)
        if document is None:
            return positions, None
        taken = take_head(document) if asked.is_keyed else None
        if taken is not None:
            host_id, stamp = taken
            if not asks_head:
                left = self._remembered(asked, document) if is_instant(stamp) else positions
                return left, None
            instant = parse_instant(stamp)
            if instant is None:
                return positions, None
            return self._remembered(asked, document), (host_id, instant)
        event = Event(document)
        head = head_of(event)
        if head is None or (isinstance(head[0], str) and not head[0].strip()):
            return positions, None  # to be counted, and given a time
        return self._matching(positions, event), head

    def _remembered(self, asked: Asked, document: dict[str, Any]) -> tuple[int, ...]:
        """Ask rules about values that were met before, but for host and time."""
        key = content_key(document)
        if key is None:
            return self._matching(asked.positions, Event(document))
        known = asked.answers.get(key)
        if known is None:
            if self._answers >= _ANSWERS_MAX:
                self._forget_answers()
            known = asked.answers[key] = self._matching(asked.positions, Event(document))
            self._answers += 1
        return known

    def _forget_answers(self) -> None:
        for asked in self._asked.values():
            asked.answers.clear()
        self._answers = 0

    def _matching(self, positions: tuple[int, ...], event: Event) -> tuple[int, ...]:
        """Evaluate the rules at ``positions``."""
        left = []
        for position in positions:
            try:
                if self.matchers[position](event):
                    left.append(position)
            except Exception:  # noqa: BLE001  # met again, and reported, with the whole event
                left.append(position)
        return tuple(left)

    def reader(self, asked: Asked) -> FieldReader:
        """Return what reads the fields that these single-event rules ask about, and a few more."""
        if asked.reader is None:
            fields = _ALWAYS_READ.union(*(self._fields[position] for position in asked.positions))
            known = self._readers.get(fields)
            if known is None:
                if len(self._readers) >= _READERS_MAX:
                    # Not the whole decoder: which records are looked at how must not depend on
                    # what came before.
                    fields = _ALWAYS_READ.union(*self._fields)
                known = self._readers[fields] = self._readers.get(fields) or reader_of(fields)
            asked.reader = known
        return asked.reader


def lacks_timestamp(event: Event) -> bool:
    """Whether an event does not say when it was."""
    stamps = event.values("@timestamp")
    return not stamps or parse_instant(stamps[0]) is None


def _fields_read(rule: Rule, query: EventQuery) -> frozenset[str]:
    """Return every field that the rule's matcher may ask for."""
    return frozenset((*fields_of(query.condition), rule.event_category_field))


def _event_query(rule: Rule) -> EventQuery:
    query = rule.query.body
    if not isinstance(query, EventQuery):
        raise TypeError(f"{rule.path}: the loader lets no {type(query).__name__} through")
    return query


def record_clauses(rule: Rule, query: EventQuery) -> Clauses:
    """Return what a record needs to be a candidate.

    Nothing is asked of ``@timestamp``: the engine fills it in where a record lacks it.
    """
    clauses = required_clauses(query, rule.event_category_field)
    return tuple(clause for clause in clauses if "@timestamp" not in clause.fields)
