"""What an event must contain to match a query: texts, keys, scalars, and clauses of them.

Law of the file: a share is a guess that steers what is looked for first; it never decides what
matches. Upper and lower case are not told apart, and texts are kept with ASCII letters lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from streamproc.eql.frequency import (
    NON_ASCII_SHARE,
    SHARE_UNDER_NAME,
    bounded,
    share_of_constant,
    share_of_key,
    share_of_text,
)

_IMPLIED_MAX: Final = 64  # pairs of texts that are compared


class Text(NamedTuple):
    """Some value contains ``text``, at its very start or end where so marked.

    ``name`` is the last component of the path of the value's field, where that is to tell values
    apart; "" where a value of any field will do.
    """

    text: str
    at_start: bool = False
    at_end: bool = False
    name: str = ""

    @property
    def share(self) -> float:
        """Estimated share of all events (0 to 1) that satisfy this."""
        share = share_of_text(self.text, self.at_start, self.at_end)
        return share * SHARE_UNDER_NAME if self.name else share

    def __str__(self) -> str:
        return f'"{"" if self.at_start else "*"}{self.text}{"" if self.at_end else "*"}"'


class Key(NamedTuple):
    """Some field has ``name`` as a component of its path, the last one if ``is_last``."""

    name: str
    is_last: bool

    @property
    def share(self) -> float:
        """Estimated share of all events (0 to 1) that satisfy this."""
        return share_of_key(self.name)

    def __str__(self) -> str:
        return f"key {self.name}"


class Scalar(NamedTuple):
    """Some field whose path ends in ``name`` may be ``constant``: it is not surely another.

    A constant is a natural number, ``true`` or ``false``, as text: 1 and True are equal in Python.
    Another is an integer for an integer, false for true and true for false; whatever else the
    field holds (a string, an array, a fraction) might be equal.
    """

    name: str
    constant: str

    @property
    def share(self) -> float:
        """Estimated share of all events (0 to 1) that satisfy this."""
        return min(share_of_key(self.name), share_of_constant(self.constant))

    def __str__(self) -> str:
        return f"{self.name} {self.constant}"


@dataclass(frozen=True, slots=True)
class NonAscii:
    """Some value has a character beyond ASCII."""

    @property
    def share(self) -> float:
        """Estimated share of all events (0 to 1) that satisfy this."""
        return NON_ASCII_SHARE

    def __str__(self) -> str:
        return "a character beyond ASCII"


Requirement: TypeAlias = Text | Key | Scalar | NonAscii


class Clause(NamedTuple):
    """At least one of ``requirements`` is satisfied; ``fields`` are those that they are about.

    ``share`` is the estimated share of all events (0 to 1) that satisfy the clause.
    """

    requirements: tuple[Requirement, ...]
    fields: frozenset[str]
    share: float

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.requirements[:8]))
        rest = len(self.requirements) - 8
        return f"{' | '.join(sorted(self.fields))}: {shown}{f', and {rest} more' * (rest > 0)}"


Clauses: TypeAlias = tuple[Clause, ...]


def implies(one: Clause, other: Clause) -> bool:
    """Whether each text of the one contains a text of the other; asked of small clauses only."""
    return len(one.requirements) * len(other.requirements) <= _IMPLIED_MAX and all(
        any(_holds_text(item, text) for text in other.requirements) for item in one.requirements
    )


def _holds_text(one: Requirement, other: Requirement) -> bool:
    return (
        isinstance(one, Text)
        and isinstance(other, Text)
        and other.name in ("", one.name)
        and bounded(*other[:3]) in bounded(*one[:3])
    )
