"""Plain state of sequences: what is known of one scope, and the events that wait in it.

Law of the file: everything here is plain values that a snapshot can hold; what moves them is
``streamproc.engine.sequences``. Orders and times of waiting events are decided here, in
``Lane.release``, and nowhere else.

What there is one of for each waiting event is no business of the garbage collection: nothing in
it ever points back to it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from streamproc.eql.sequence import Hits, JoinKey, SequenceState

Ordinal: TypeAlias = tuple[int, bool, str, Any, int]
"""Timestamp, whether the tiebreaker is null, its kind, the tiebreaker, offset."""
NEVER = 1 << 62
LONG_AGO = -NEVER


class Prospect(NamedTuple):
    """A rule that an event may be part of, as far as its bytes tell.

    Attributes:
        rule: The rule.
        queries: Which of its queries the event may match, ascending.
    """

    rule: str
    queries: tuple[int, ...]


Prospects: TypeAlias = tuple[Prospect, ...]


class Arrival(msgspec.Struct, gc=False):
    """One event that can take part in sequences.

    Attributes:
        timestamp_ns: Event time, nanoseconds since the epoch.
        tiebreaker: A scalar that orders events of one timestamp before the offset does; None
            sorts last.
        offset: Offset of the record in the partition.
        broker_ms: Time of the record, milliseconds since the epoch: when it reached the broker.
            Where producers set it, the caller bounds it by the wall clock.
        payload: What the alert needs of the event, carried along unread.
        hits: Rule to what the event can do in that rule's sequence.
        prospects: Rules of which that is not known: they were not asked yet.
        arrived_ms: Broker time at which it came, by the clock of its scope; known while it waits
            in a quiet scope.
    """

    timestamp_ns: int
    tiebreaker: Any
    offset: int
    broker_ms: int
    payload: Any
    hits: Mapping[str, Hits]
    prospects: Prospects = ()
    arrived_ms: int = 0

    def ordinal(self) -> Ordinal:
        """Return its place in time: timestamp, tiebreaker (null last), then offset."""
        tiebreaker = self.tiebreaker
        if tiebreaker is None:
            return (self.timestamp_ns, True, "", 0, self.offset)
        kind = "text" if isinstance(tiebreaker, str) else ""
        return (self.timestamp_ns, False, kind, tiebreaker, self.offset)


class Start(msgspec.Struct, gc=False):
    """An event that may begin a sequence of a rule, which was not asked yet.

    Attributes:
        timestamp_ns: Event time.
        touched_ms: Broker time at which its turn came.
        payload: As in ``Arrival``.
        queries: As in ``Prospect``.
    """

    timestamp_ns: int
    touched_ms: int
    payload: Any
    queries: tuple[int, ...]


class Held(msgspec.Struct, gc=False):
    """An event that waits, its place in time, and the broker time at which it came."""

    ordinal: Ordinal
    arrival: Arrival
    arrived_ms: int
    is_released: bool = False


@dataclass(slots=True)
class Lane:
    """Events that wait until no earlier one can come.

    Attributes:
        heap: The waiting events, a heap by ordinal.
        frontier: Ordinal of the last event released; an earlier one is late.
        arrived: The waiting events in order of arrival, and some that are released already.
    """

    heap: list[tuple[Ordinal, Held]] = field(default_factory=list)
    frontier: Ordinal | None = None
    arrived: deque[Held] = field(default_factory=deque, compare=False)

    def add(self, held: Held) -> None:
        """Take an event in: O(log n)."""
        heapq.heappush(self.heap, (held.ordinal, held))
        self.arrived.append(held)
        if len(self.arrived) > 2 * len(self.heap) + 64:  # so that it costs O(1) for each event
            self.arrived = deque(item for item in self.arrived if not item.is_released)

    def release(self, before_ns: int, arrived_before_ms: int) -> Iterator[Held]:
        """Give out, in order, the events earlier than a time and those that came before one.

        What an event that has waited long enough has to be preceded by goes with it.
        """
        last: Ordinal | None = None
        while self.arrived:
            held = self.arrived[0]
            if not held.is_released:
                if held.arrived_ms >= arrived_before_ms:
                    break
                last = held.ordinal if last is None else max(last, held.ordinal)
            self.arrived.popleft()
        heap = self.heap
        while heap and (heap[0][0][0] < before_ns or (last is not None and heap[0][0] <= last)):
            yield self.pop()

    def pop(self) -> Held:
        """Give out the earliest event."""
        ordinal, held = heapq.heappop(self.heap)
        held.is_released = True
        if self.frontier is None or ordinal > self.frontier:
            self.frontier = ordinal
        return held

    def oldest_ms(self) -> int:
        """Return the broker time of the event that has waited longest; NEVER without one."""
        while self.arrived and self.arrived[0].is_released:
            self.arrived.popleft()
        return self.arrived[0].arrived_ms if self.arrived else NEVER


class Deadline(NamedTuple):
    """When a match that waits for a trailing missing event is settled.

    Attributes:
        deadline_ms: Event time up to which a missing event discards it.
        due_ms: Broker time after which it is settled without an event that says so.
        number: Tells apart equal ones, so that keys are never compared.
        rule: The rule of the match.
        key: Its join key.
    """

    deadline_ms: int
    due_ms: int
    number: int
    rule: str
    key: JoinKey


@dataclass(slots=True)
class Quiet:
    """The waiting events of a scope in which they would all change nothing if their turns came.

    They would not as long as no rule of which one may follow has begun anything, nor may begin
    it by another. Then they may as well take their turns later, many at a time: in the same
    order, and before anything that is told by them. It is for speed alone, and in no snapshot.

    Attributes:
        waiting: The events, in order of arrival. While there are any, none waits in a lane.
        news: Events that came after those, of which no more was looked at than what they may be.
            Offset and clocks of the scope do not tell of them yet.
        is_timed: Whether no event had a tiebreaker: then the order of time, and of arrival within
            one time, is theirs.
        room: So many may be news before turns are taken; 0: the scope is not quiet.
        known: Those prospects, by identity, that the rest tells of; each with what keeps it alive.
        starting: Rules of which an event may begin a sequence.
        following: Rules of which an event may do something to one that was begun.
        age: Events since it was last found out whether the scope is quiet.
    """

    waiting: list[Arrival] = field(default_factory=list)
    news: list[Arrival] = field(default_factory=list)
    is_timed: bool = True
    room: int = 0
    known: dict[int, Any] = field(default_factory=dict)
    starting: set[str] = field(default_factory=set)
    following: set[str] = field(default_factory=set)
    age: int = NEVER

    def forget(self) -> None:
        """Forget all that was known of what waits."""
        self.age = 0
        self.known, self.starting, self.following = {}, set(), set()


@dataclass(slots=True)
class Scope:
    """Everything known of one scope.

    Attributes:
        offset: The last input offset that this state includes; late events are not part of it.
        clock_ms: Broker time at which it was offered.
        newest_ns: The scope's event time: of its newest event, never past the broker's time.
        settled_ms: Event time up to which matches were settled because broker time had passed.
        ordinary: Events whose time is at most the lateness past the broker's.
        ahead: Events of a clock that runs ahead by more. They wait apart, so that one wrong
            timestamp does not make the right ones after it late.
        states: Rule to its partial sequences; no empty ones.
        deadlines: A heap; some are of matches that were discarded since.
        deadlines_made: Numbers given to deadlines.
        starts: Rule to what may have begun further ones, in the order of their turns; none empty.
        reached: Rule to the last stage at which it may have a partial, where that is known.
        due_ms: Broker time at which it is next looked at; None: when the next event comes.
        quiet: The events that wait, while none of them can change anything.
    """

    offset: int = -1
    clock_ms: int = 0
    newest_ns: int = LONG_AGO
    settled_ms: int = LONG_AGO
    ordinary: Lane = field(default_factory=Lane)
    ahead: Lane = field(default_factory=Lane)
    states: dict[str, SequenceState] = field(default_factory=dict)
    deadlines: list[Deadline] = field(default_factory=list)
    deadlines_made: int = 0
    starts: dict[str, deque[Start]] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict, compare=False)
    due_ms: int | None = field(default=None, compare=False)
    quiet: Quiet = field(default_factory=Quiet, compare=False)

    def is_empty(self) -> bool:
        """Return whether no partial sequence would be lost if this scope were forgotten."""
        return not (self.states or self.starts or self.waiting())

    def waiting(self) -> int:
        """Return how many events wait."""
        quiet = self.quiet
        in_short = len(quiet.waiting) + len(quiet.news)
        return in_short + len(self.ordinary.heap) + len(self.ahead.heap)

    def oldest_ms(self) -> int:
        """Return the broker time of the event that has waited longest; NEVER without one."""
        in_short = self.quiet.waiting or self.quiet.news
        if in_short:
            return in_short[0].arrived_ms
        return min(self.ordinary.oldest_ms(), self.ahead.oldest_ms())

    def begin_quiet(self) -> None:
        """Let the events of the ordinary lane wait in short."""
        lane, quiet = self.ordinary, self.quiet
        for held in lane.arrived:
            if not held.is_released:
                held.arrival.arrived_ms = held.arrived_ms
                quiet.waiting.append(held.arrival)
        quiet.is_timed = all(arrival.tiebreaker is None for arrival in quiet.waiting)
        lane.heap, lane.arrived = [], deque()

    def end_quiet(self) -> None:
        """Let all events wait in the lanes."""
        quiet, lane = self.quiet, self.ordinary
        if quiet.waiting:
            held = self.held_quietly()
            lane.heap = sorted((item.ordinal, item) for item in held)  # which is a heap, too
            lane.arrived = deque(held)
            for arrival in quiet.waiting:
                arrival.arrived_ms = 0
        quiet.waiting, quiet.room = [], 0

    def held_quietly(self) -> list[Held]:
        """Return what waits in short, in order of arrival, as it would wait in a lane."""
        return [
            Held(arrival.ordinal(), arrival, arrival.arrived_ms) for arrival in self.quiet.waiting
        ]

    def first_waiting_ns(self) -> int | None:
        """Return the event time of the earliest event that waits in a lane."""
        heads = [lane.heap[0][0][0] for lane in (self.ordinary, self.ahead) if lane.heap]
        return min(heads, default=None)

    def await_trailing(self, rule: str, key: JoinKey, deadline_ms: int, due_ms: int) -> None:
        """Note when a match is to be settled."""
        self.deadlines_made += 1
        deadline = Deadline(deadline_ms, due_ms, self.deadlines_made, rule, key)
        heapq.heappush(self.deadlines, deadline)
