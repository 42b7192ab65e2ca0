"""Rules are loaded anew while the worker runs: when their files change, and on SIGHUP.

Law of the file: a new set is built whole beside the running one, by a thread of its own, and takes
its place by one assignment on the event loop, which evaluates each batch in one piece: every event
is evaluated once, by one set. Whatever is wrong with a new set, the old one goes on.

The thread and the event loop share the interpreter. So that no batch waits for long, the thread
sleeps longer than it works, and the interpreter is handed over in short turns meanwhile; garbage is
not collected, for a pass would walk all the new objects (0.3 s and more for a thousand rules);
what is let go is let go rule by rule; and a new set has evaluated what came last, in rehearsal,
before it takes its place: the first batch would cost five times as much as the next ones.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from confluent_kafka import KafkaException

from streamproc.engine.batch import Batch
from streamproc.engine.detector import Detector
from streamproc.errors import StreamprocError
from streamproc.ops.counters import Counters
from streamproc.ruleset.breath import Breathe
from streamproc.ruleset.changes import changes, is_unchanged, refusal
from streamproc.ruleset.garbage import collection_paused
from streamproc.ruleset.loader import load_rules
from streamproc.ruleset.ruleset import RuleSet
from streamproc.ruleset.watch import RuleWatch
from streamproc.transport.in_force import Ready, RulesInForce

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")
Build: TypeAlias = Callable[[RuleSet, Breathe], Ready]
"""Compiles a rule set; breathes between any two rules."""

SETTLE_S = 1.0
"""Seconds between two looks at files that have changed: whether they are still being written."""

THREAD = "streamproc-rules"
"""Name of the thread that watches and loads."""

READS_MAX = 10  # times that files which change while they are read are read again
TURN_S = 0.0001  # the interpreter is handed over after so long, fifty times as often as usual
WORK_S = 0.002  # the thread works for at least so long before it sleeps ...
SLEEP_TIMES = 3  # ... so many times as long as it has worked,
SLEEP_S_MAX = 0.03  # and never longer than this
REHEARSED_AT_ONCE = 50  # records
# An agent has its detector until the next batch, and must not be the last to have it.
LINGER_S = 0.2


class _StoppedError(Exception):
    """The worker stops: what is being built is not needed any more."""


class Reloader:
    """Watches the rule files from a thread of its own and puts new sets in force.

    Args:
        rules: What is in force.
        paths: Files and folders, as ``load_rules`` takes them.
        build: Compiles; run in the thread.
        counters: Counted into, by result: ``accepted``, ``refused``, ``unchanged``.
        interval_s: Seconds between two looks at the files; 0: only when asked.
        prepare: Makes room for what a set needs before it is put in force; run on the event loop.
        tell: Told of each set put in force, on the event loop.
    """

    def __init__(
        self,
        rules: RulesInForce,
        paths: Sequence[Path],
        build: Build,
        counters: Counters,
        *,
        interval_s: float,
        prepare: Callable[[Ready], Awaitable[None]],
        tell: Callable[[RuleSet], None],
    ) -> None:
        self._rules = rules
        self._paths = tuple(paths)
        self._build = build
        self._counters = counters
        self._interval_s = interval_s
        self._prepare = prepare
        self._tell = tell
        self._watch = RuleWatch(paths, rules.ruleset.fingerprint, self._breathe)
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = False
        self._resumed_s = 0.0  # of the thread's own CPU time
        self._loop: asyncio.AbstractEventLoop | None = None
        # A daemon: a file system that hangs must not keep a worker from ending.
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch; ``loop`` is where batches are evaluated."""
        self._loop = loop
        self._thread.start()

    def ask(self, why: str = "SIGHUP") -> None:
        """Load the rules anew, whether their files have changed or not (any thread)."""
        self._asked.put(why)

    def stop(self) -> None:
        """Put nothing in force any more; what is being built is given up."""
        self._stopping = True
        self._asked.put("")

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                why = self._asked.get(timeout=self._pause_s())
            except queue.Empty:
                why = ""
            try:
                if not self._stopping and (why or self._watch.look()):
                    self._reload(why or "files have changed")
            except _StoppedError:
                return
            except Exception as error:
                # Whatever it is: the rules in force must go on, and their files be watched.
                logger.error("rules not reloaded: %s", error, exc_info=not _is_ours(error))
                self._count_refusal(str(error) if _is_ours(error) else type(error).__name__)

    def _pause_s(self) -> float | None:
        if not self._interval_s:
            return None
        return self._interval_s if self._watch.is_known else min(SETTLE_S, self._interval_s)

    def _reload(self, why: str) -> None:
        began_s, self._resumed_s = time.monotonic(), time.thread_time()
        with _beside_the_event_loop(), self._rules.sampling() as sample:
            ruleset = self._read()
            self._watch.know(ruleset.fingerprint)
            old = self._rules.ruleset
            if reason := refusal(old, ruleset):
                self._refuse(why, reason, ruleset)
            elif is_unchanged(old, ruleset, self._breathe):
                self._keep(why, ruleset)
            else:
                ruleset = self._exchange(why, ruleset, sample, began_s)
            leftover = [ruleset]
            del ruleset, old
            _retire(leftover, self._breathe)

    def _read(self) -> RuleSet:
        """Load files that did not change meanwhile: no mixture of two states of a folder."""
        for _ in range(READS_MAX):
            ruleset = load_rules(self._paths, breathe=self._breathe)
            if self._watch.is_still(ruleset.fingerprint):
                return ruleset
            logger.info("rules changed while they were read; they are read again")
            leftover = [ruleset]
            del ruleset
            _retire(leftover, self._breathe)
        raise StreamprocError(f"the rule files changed during each of {READS_MAX} readings")

    def _exchange(
        self, why: str, ruleset: RuleSet, sample: deque[Batch], began_s: float
    ) -> RuleSet:
        """Compile a set and put it in force; return the set that is not needed any more."""
        difference = changes(self._rules.ruleset, ruleset, self._breathe)
        try:
            ready = self._build(ruleset, self._breathe)
            self._rehearse(ready.detector, list(sample))
            gc.freeze()  # or the first collection would walk the new set: see above
            before = self._on_loop(self._take_over(ready))
        except (StreamprocError, KafkaException, ValueError) as error:
            self._refuse(why, str(error), ruleset)
            return ruleset
        old = before.ruleset
        tell_rules(ruleset, told=old)
        logger.info(
            "rules reloaded (%s) in %.1f s: %s; digest %s, before %s",
            why, time.monotonic() - began_s, difference, ruleset.digest[:12], old.digest[:12],
        )  # fmt: skip
        time.sleep(LINGER_S)
        return old

    def _rehearse(self, detector: Detector, sample: Sequence[Batch]) -> None:
        """Let a new set evaluate records that were evaluated, to no effect but that it met them."""
        rehearse, now_ms = detector.rehearsal(), time.time_ns() // 1_000_000
        for batch in sample:
            for start in range(0, len(batch), REHEARSED_AT_ONCE):
                stop = min(start + REHEARSED_AT_ONCE, len(batch))
                rehearse(batch.slice(start, stop), now_ms)
                self._breathe()

    def _keep(self, why: str, ruleset: RuleSet) -> None:
        """Find that nothing changed, but perhaps what is rejected or skipped."""
        same = replace(ruleset, rules=self._rules.ruleset.rules, digest=self._rules.ruleset.digest)
        self._on_loop(self._describe(same))
        logger.info("rules are unchanged (%s): digest %s", why, ruleset.digest[:12])

    def _count_refusal(self, reason: str) -> None:
        self._counters.reload_refusal = reason
        self._counters.reloads["refused"] += 1

    def _refuse(self, why: str, reason: str, ruleset: RuleSet) -> None:
        self._count_refusal(reason)
        for error in ruleset.rejected:
            logger.error("rule file: %s", error)
        in_force = self._rules.ruleset
        logger.error(
            "rules not reloaded (%s): %s; digest %s (%d rule%s) stays in force",
            why, reason, in_force.digest[:12], len(in_force.rules), "s"[len(in_force.rules) == 1 :],
        )  # fmt: skip

    def _breathe(self) -> None:
        """Let the event loop work."""
        if self._stopping:
            raise _StoppedError
        worked_s = time.thread_time() - self._resumed_s
        if worked_s >= WORK_S:
            time.sleep(min(SLEEP_TIMES * worked_s, SLEEP_S_MAX))
            self._resumed_s = time.thread_time()

    # -- on the event loop ---------------------------------------------------------------------

    def _on_loop(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            raise RuntimeError("the reloader is not started")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _take_over(self, ready: Ready) -> Ready:
        await self._prepare(ready)
        if self._stopping:
            raise _StoppedError
        before = self._rules.replace(ready)
        self._count(ready.ruleset, "accepted")
        return before

    async def _describe(self, ruleset: RuleSet) -> None:
        self._rules.describe(ruleset)
        self._count(ruleset, "unchanged")

    def _count(self, ruleset: RuleSet, result: str) -> None:
        self._tell(ruleset)
        self._counters.reloaded_at_s = time.time()
        self._counters.reload_refusal = ""
        self._counters.reloads[result] += 1  # last: who sees it sees the new set


def tell_rules(ruleset: RuleSet, told: RuleSet | None = None) -> None:
    """Log what was loaded, and everything that was left out or is odd and was not ``told`` yet."""
    known = {*map(str, told.rejected), *told.warnings} if told else set()
    for error in ruleset.rejected:
        if str(error) not in known:
            logger.error("rule left out: %s", error)
    for warning in ruleset.warnings:
        if warning not in known:
            logger.warning("%s", warning)
    if ruleset.rules:
        logger.info(
            "rules: %d loaded, %d rejected, %d skipped; digest %s",
            len(ruleset.rules), len(ruleset.rejected), len(ruleset.skipped), ruleset.digest[:12],
        )  # fmt: skip


def _is_ours(error: Exception) -> bool:
    return isinstance(error, StreamprocError)


@contextmanager
def _beside_the_event_loop() -> Iterator[None]:
    """Short turns of the interpreter, and no collection of garbage."""
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    gc.collect()  # what is garbage now would be kept for good by the freezing
    try:
        with collection_paused():
            yield
    finally:
        sys.setswitchinterval(turn_s)


def _retire(leftover: list[RuleSet], breathe: Breathe) -> None:
    """Let go of a rule set, of which ``leftover`` holds the last reference, rule by rule.

    All at once it would stop the interpreter for as long as it takes: 0.17 s for a thousand rules.
    """
    rules = list(leftover.pop().rules)
    while rules:
        del rules[-1]
        breathe()
