"""Requirements and clauses: what they look like, how often they are met, which says another one."""

from __future__ import annotations

import pytest

from streamproc.eql.requirements import Clause, Key, NonAscii, Requirement, Scalar, Text, implies


def clause(*requirements: Requirement) -> Clause:
    return Clause(requirements, frozenset(("process.name",)), 0.1)


@pytest.mark.parametrize(
    ("requirement", "shown"),
    [
        (Text("cmd.exe", True, True), '"cmd.exe"'),
        (Text("cmd", True), '"cmd*"'),
        (Text("cmd", at_end=True), '"*cmd"'),
        (Key("taint_flags", True), "key taint_flags"),
        (Scalar("pid", "4"), "pid 4"),
        (NonAscii(), "a character beyond ASCII"),
    ],
)
def test_shown(requirement: Requirement, shown: str) -> None:
    """For people; and what is shown has a share of the events."""
    assert str(requirement) == shown
    assert 0 < requirement.share < 1


def test_a_text_under_a_name_is_rarer() -> None:
    """Of the events with a value, not all have it there."""
    assert Text("svchost.exe", True, True, "name").share < Text("svchost.exe", True, True).share


def test_a_long_clause_is_shown_in_short() -> None:
    """Eight of its requirements, and how many more there are."""
    texts = [Text(f"text{number}") for number in range(10)]
    assert str(clause(*texts)).endswith('"*text7*", and 2 more')
    assert str(clause(*texts[:2])) == 'process.name: "*text0*", "*text1*"'


SH = Text("sh", True, True, "name")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((SH,), (Text("sh", True, True),), True),
        ((SH,), (Text("s", True),), True),
        ((SH,), (Text("s", at_end=True), Text("h", at_end=True)), True),
        ((Text("sh"),), (Text("sh", True),), False),
        ((Text("sh", True, True),), (SH,), False),
        ((SH,), (Text("sh", True, True, "path"),), False),
        ((SH, Text("bash")), (Text("sh"),), True),
        ((SH, Text("zoo")), (Text("sh"),), False),
        ((SH, Key("pid", True)), (Text("sh"),), False),
        ((Scalar("pid", "4"),), (Scalar("pid", "4"),), False),  # of texts alone it is asked
    ],
)
def test_implies(
    one: tuple[Requirement, ...], other: tuple[Requirement, ...], expected: bool
) -> None:
    """Whoever satisfies the one satisfies the other."""
    assert implies(clause(*one), clause(*other)) is expected


def test_large_clauses_are_not_compared() -> None:
    """It would take longer than it saves."""
    texts = [Text(f"text{number}") for number in range(9)]
    assert implies(clause(*texts[:8]), clause(*texts[:8]))
    assert not implies(clause(*texts), clause(*texts))
