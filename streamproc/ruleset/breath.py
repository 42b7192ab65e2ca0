"""Long work that lets others have the interpreter: who does it calls ``breathe`` at each step.

Law of the file: a step that has no breath in it takes a few milliseconds at most, whatever the
number of rules. Without a breath a thread that reads a thousand files, or hashes a thousand texts,
keeps the interpreter for tens of milliseconds on end: each of those calls lets go of it for some
microseconds, too short for another thread to wake up, and the other's turn begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Breathe: TypeAlias = Callable[[], object]
"""Called between any two steps of long work; it may sleep, and may raise to give the work up."""


def go_on() -> None:
    """Breathe nowhere: nobody else waits for the interpreter."""
