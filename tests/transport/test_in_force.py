"""What is in force, and the sample of what it evaluates: asked by one thread, ended by another."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import FrameType
from typing import Any

from streamproc.config import Settings
from streamproc.ops.counters import Counters
from streamproc.transport.app import ready
from streamproc.transport.in_force import RulesInForce
from tests.engine.programs import SHELL, batch, document, ruleset


def test_sampling_may_end_at_any_moment() -> None:
    """Even in the middle of a batch's being added: an agent that raises ends the worker."""
    rules = RulesInForce(ready(Settings(), ruleset(SHELL), Counters()))
    stack = ExitStack()
    steps: list[int] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is not RulesInForce.saw.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps.append(frame.f_lasti)
            if len(steps) == ends_at:
                stack.close()  # what the thread that loads rules may do between any two
        return trace

    def run() -> None:
        steps.clear()
        stack.enter_context(rules.sampling())
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            rules.saw(batch(document(0, "cmd.exe")))
        finally:
            sys.settrace(before)
            stack.close()

    ends_at = 0
    run()
    for ends_at in range(1, len(steps) + 1):  # noqa: B007  # read by trace
        run()
    assert ends_at > 1
