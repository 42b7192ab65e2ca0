"""One host at work: which process starts or ends next, as an event.

Law of the file: a computer's events follow from its seed and the calls made, nothing else. Event
and entity ids are unique, because every event takes the next sequence number of its host.
"""

from __future__ import annotations

import random
from collections import deque
from itertools import accumulate
from typing import Any, NamedTuple

from streamproc.demo.fleet import ROOT, SYSTEM, Host
from streamproc.demo.processes import Process, describe_event, entity_id
from streamproc.demo.programs import FILES, STANDING, Program, Task
from streamproc.demo.tasks import TASKS

# Beyond this many started and not yet ended processes, the oldest one ends first.
_RUNNING_MAX = 12
_PID_MAX = 32768


class _Running(NamedTuple):
    process: Process
    parent: Process


class Computer:
    """A host with its standing processes, and the tasks that come and go on it."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self._source = random.Random(f"{seed}:{host.name}")  # noqa: S311 - nothing secret
        self._sequence = 0
        self._tasks = TASKS[host.role]
        self._weights = tuple(accumulate(task.weight for task in self._tasks))
        self._pending: deque[tuple[Task, Process]] = deque()
        self._running: deque[_Running] = deque()
        self._standing = {
            key: self._make_process(FILES[file], args, is_system=key != "explorer")
            for key, (file, args) in STANDING[host.role].items()
        }

    def standing(self, key: str) -> Process:
        """A process that has been running since before the first event."""
        return self._standing[key]

    def next_event(self, now_s: float) -> dict[str, Any]:
        """The host's next everyday event: a task's start, its follow-up, or an end."""
        if self._pending:
            task, parent = self._pending.popleft()
            return self._run(task, parent, now_s)
        if len(self._running) > _RUNNING_MAX:
            oldest = self._running.popleft()
            return self._describe(oldest.process, oldest.parent, now_s, is_end=True)
        task = self._source.choices(self._tasks, cum_weights=self._weights)[0]
        return self._run(task, self._standing[task.parent], now_s)

    def start(
        self, program: Program, args: tuple[str, ...], parent: Process, now_s: float
    ) -> tuple[Process, dict[str, Any]]:
        """Start a program as SYSTEM (or root) under ``parent``: the process and its event."""
        process = self._make_process(program, args, is_system=True)
        return process, self._describe(process, parent, now_s, is_end=False)

    def run_task(self, task: Task, now_s: float) -> dict[str, Any]:
        """Start one given task under its standing parent; its follow-ups come later."""
        return self._run(task, self._standing[task.parent], now_s)

    def end(self, process: Process, parent: Process, now_s: float) -> dict[str, Any]:
        """The event of a process that ends."""
        return self._describe(process, parent, now_s, is_end=True)

    def _run(self, task: Task, parent: Process, now_s: float) -> dict[str, Any]:
        program = FILES[task.program]
        args = tuple(self._fill(part) if "{" in part else part for part in task.args)
        process = self._make_process(program, args, is_system=task.is_system)
        self._pending.extend((follow_up, process) for follow_up in task.then)
        self._running.append(_Running(process, parent))
        return self._describe(process, parent, now_s, is_end=False)

    def _fill(self, part: str) -> str:
        source = self._source
        return part.format(
            user=self.host.users[0].name,
            number=1000 + int(source.random() * 9000),
            small=1 + int(source.random() * 9),
            hex=f"{source.getrandbits(32):08x}",
        )

    def _make_process(self, program: Program, args: tuple[str, ...], *, is_system: bool) -> Process:
        self._sequence += 1
        pid = 4 * (1 + int(self._source.random() * (_PID_MAX // 4)))
        privileged = SYSTEM if self.host.is_windows else ROOT
        return Process(
            executable=program.executable,
            args=args,
            user=privileged if is_system else self.host.users[0],
            pid=pid,
            entity_id=entity_id(self.host, pid, self._sequence),
            original_name=program.original_name,
            signer=program.signer,
        )

    def _describe(
        self, process: Process, parent: Process, now_s: float, *, is_end: bool
    ) -> dict[str, Any]:
        self._sequence += 1
        return describe_event(
            self.host, process, parent, number=self._sequence, now_s=now_s, is_end=is_end
        )
