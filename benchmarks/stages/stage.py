"""What a stage is, and what it gives: rows, wanted values, or why there are none.

Law of the file: what could not be measured is in the result, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.session import Session

NOT_QUICK = "not part of a quick run"


@dataclass(frozen=True, slots=True)
class Target:
    """A value that the project wants, and what was measured.

    Attributes:
        name: What.
        wanted: At least this, or with ``is_limit`` at most.
        measured: None if it was not measured; ``why`` says why then.
        unit: "" for ratios.
    """

    name: str
    wanted: float
    measured: float | None
    unit: str = ""
    is_limit: bool = False
    why: str = ""

    @property
    def is_met(self) -> bool | None:
        """None if it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.wanted if self.is_limit else self.measured >= self.wanted

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "wanted": self.wanted,
            "is_limit": self.is_limit,
            "measured": self.measured,
            "met": self.is_met,
            "why": self.why,
        }


@dataclass(slots=True)
class Result:
    """What a stage gives.

    Attributes:
        rows: What was measured, for ``json``; which keys they have is the stage's matter.
        targets: What was wanted.
        facts: More about the stage as a whole.
        left_out: What could not be measured, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the results file; the targets are listed apart, all stages together."""
        return {"rows": self.rows, "left_out": self.left_out, **self.facts}


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a run.

    Attributes:
        key: Its name for ``--only`` and in the results file.
        title: What it asks.
        seconds: The longest that it should take, in a full and in a quick run.
        measure: Does it, given the session and the seconds.
    """

    key: str
    title: str
    seconds: tuple[float, float]
    measure: Callable[[Session, float], Result]
