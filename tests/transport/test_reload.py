"""Reloading: what is put in force, what is refused, and what becomes of batches meanwhile."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import weakref

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.config import Settings
from streamproc.engine.batch import RecordList
from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters
from streamproc.ruleset.loader import load_rules
from streamproc.transport import reload
from streamproc.transport.app import ready
from streamproc.transport.in_force import SAMPLE_BATCHES, RulesInForce
from streamproc.transport.reload import Reloader
from tests.engine.programs import NOW_MS, PAIR, SHELL, batch, document, record, rule_text

OTHER = 'process where process.name == "other.exe"'
DEADLINE_S = 120


class Bench:
    """A folder of rules, what is in force, and a reloader that watches the one for the other."""

    def __init__(self, folder, interval_s: float = 0.02) -> None:
        self.folder = folder
        self.settings = Settings(rules=(folder,), lateness_s=0)
        self.counters = Counters()
        self.rules = RulesInForce(
            ready(self.settings, load_rules(self.settings.rules), self.counters)
        )
        self.told = []
        self.prepared = []
        self.refusal: Exception | None = None
        self.interval_s = interval_s
        self.make()

    def make(self) -> None:
        self.reloader = Reloader(
            self.rules,
            self.settings.rules,
            lambda ruleset, breathe: ready(self.settings, ruleset, self.counters, breathe),
            self.counters,
            interval_s=self.interval_s,
            prepare=self._prepare,
            tell=self.told.append,
        )

    async def _prepare(self, new) -> None:
        self.prepared.append(new)
        if self.refusal is not None:
            raise self.refusal

    def run(self, *steps):
        """Run steps on a loop; after each wait for one more result and return all results."""
        results = []

        async def main():
            self.reloader.start(asyncio.get_running_loop())
            for step in steps:
                before = self.counters.reloads.copy()
                step()
                async with asyncio.timeout(DEADLINE_S):
                    while self.counters.reloads == before:
                        await asyncio.sleep(0.005)
                results.extend(self.counters.reloads - before)
            self.reloader.stop()
            await asyncio.to_thread(self.reloader._thread.join, DEADLINE_S)

        asyncio.run(main())
        return results

    def alerts(self, *names):
        """How many alerts events of some processes give."""
        events = [document(number, name) for number, name in enumerate(names)]
        return len(self.rules.detector.process(batch(*events), NOW_MS).alerts)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    write(folder, 0, SHELL)
    return folder


@pytest.fixture
def bench(folder):
    return Bench(folder)


def write(folder, number, query, **more):
    """At one stroke: half a file would be a broken one, should the reloader look just then."""
    half = folder / f"{number}.half"
    half.write_text(rule_text(number, query, **more), "utf-8")
    half.rename(folder / f"{number}.toml")


def test_changed_files_are_loaded_and_put_in_force(bench, folder):
    """The next batch is evaluated by the new set; metrics learn of it."""
    assert bench.alerts("cmd.exe", "other.exe") == 1
    digest = bench.rules.ruleset.digest
    assert bench.run(lambda: write(folder, 1, OTHER)) == ["accepted"]
    assert bench.alerts("cmd.exe", "other.exe") == 2
    assert bench.rules.ruleset.digest != digest
    assert [found.digest for found in bench.told] == [bench.rules.ruleset.digest]
    assert bench.counters.reloaded_at_s > 0


def test_rule_that_is_taken_away_is_gone(bench, folder):
    """On purpose: its file went."""
    write(folder, 1, OTHER)
    assert bench.run(bench.reloader.ask) == ["accepted"]
    bench.make()
    assert bench.run((folder / "0.toml").unlink) == ["accepted"]
    assert bench.alerts("cmd.exe", "other.exe") == 1


def broken_file(folder):
    (folder / "1.toml").write_text("[rule\n")


def half_file(folder):
    text = rule_text(0, SHELL)
    (folder / "0.toml").write_text(text[: len(text) // 2])


def wrong_query(folder):
    write(folder, 0, "process where process.name ==")


def nothing_left(folder):
    (folder / "0.toml").unlink()


@pytest.mark.parametrize("damage", [broken_file, half_file, wrong_query, nothing_left])
def test_bad_set_is_refused_and_the_old_one_stays(bench, folder, damage, caplog):
    """Not tried again before it changes; told as an error that names the set in force."""
    before = bench.rules.ruleset
    assert bench.run(lambda: damage(folder)) == ["refused"]
    assert bench.rules.ruleset is before
    assert bench.alerts("cmd.exe") == 1
    assert not bench.told
    assert f"digest {before.digest[:12]} (1 rule) stays in force" in caplog.text
    assert bench.counters.reload_refusal in caplog.text
    assert bench.counters.reload_refusal


def test_repaired_set_is_taken_over(bench, folder):
    """A refusal is not for ever."""
    steps = (lambda: broken_file(folder), lambda: write(folder, 1, OTHER))
    assert bench.run(*steps) == ["refused", "accepted"]
    assert bench.counters.reload_refusal == ""
    assert bench.alerts("other.exe") == 1


def test_file_that_was_broken_from_the_start_holds_nothing_up(folder):
    """Its rule never ran, so nothing is lost by going on without it."""
    broken_file(folder)
    bench = Bench(folder)
    assert bench.run(lambda: write(folder, 2, OTHER)) == ["accepted"]
    assert len(bench.rules.ruleset.rejected) == 1
    assert bench.alerts("other.exe") == 1


def test_same_rules_are_not_compiled_again(bench, folder):
    """A file was touched or copied; but what is rejected may have changed."""
    broken_file(folder)
    refused = Bench(folder)
    detector = refused.rules.detector
    steps = (refused.reloader.ask, (folder / "1.toml").unlink)
    assert refused.run(*steps) == ["unchanged", "unchanged"]
    assert refused.rules.detector is detector
    assert not refused.rules.ruleset.rejected
    assert not refused.told[-1].rejected


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("topic s does not exist"),
        KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)),
        RuntimeError("our fault"),
    ],
)
def test_set_that_cannot_be_prepared_is_refused(bench, folder, error):
    """No topic for its sequences, no broker, or an error of ours: the old set goes on."""
    bench.refusal = error
    assert bench.run(lambda: write(folder, 1, OTHER)) == ["refused"]
    assert bench.alerts("other.exe") == 0
    bench.refusal = None
    bench.make()
    assert bench.run(bench.reloader.ask) == ["accepted"]


def test_files_that_change_while_they_are_read_are_read_again(bench, folder, monkeypatch):
    """No set is a mixture of two states of the folder."""
    loaded = []

    def load(paths, breathe):
        found = load_rules(paths, breathe=breathe)
        if not loaded:
            write(folder, 2, OTHER)
        loaded.append(len(found.rules))
        return found

    monkeypatch.setattr(reload, "load_rules", load)
    assert bench.run(lambda: write(folder, 1, OTHER)) == ["accepted"]
    assert loaded == [2, 3]
    assert len(bench.rules.ruleset.rules) == 3


def test_files_that_never_come_to_rest_are_refused(bench, folder, monkeypatch, caplog):
    """Somebody writes without end: nothing is put in force, and it is said."""
    count = iter(range(1_000))

    def load(paths, breathe):
        found = load_rules(paths, breathe=breathe)
        (folder / "0.toml").write_text(rule_text(0, SHELL) + "#" * next(count))
        return found

    monkeypatch.setattr(reload, "load_rules", load)
    bench.interval_s = 0
    bench.make()
    assert bench.run(bench.reloader.ask) == ["refused"]
    assert "changed during each of 10 readings" in caplog.text


def test_without_an_interval_only_a_signal_reloads(folder):
    """The files are not looked at."""
    bench = Bench(folder, interval_s=0)
    write(folder, 1, OTHER)
    assert bench.run(bench.reloader.ask) == ["accepted"]
    assert bench.alerts("other.exe") == 1


def test_partial_sequences_of_unchanged_rules_survive(folder):
    """Begun under one set, completed under the next; the alert names the set that completed it."""
    write(folder, 1, PAIR)
    bench = Bench(folder)
    assert bench.alerts("cmd.exe") == 1  # of the other rule; the sequence has begun
    assert bench.run(lambda: write(folder, 2, OTHER)) == ["accepted"]
    second = document(1, "x", file={"name": "a.txt"})
    second["event"]["category"] = ["file"]
    detector = bench.rules.detector
    assert not detector.process(RecordList([record(second, offset=1)]), NOW_MS).alerts
    found = detector.finish(NOW_MS).alerts
    assert len(found) == 3  # the shell and its two building blocks
    digest = bench.rules.ruleset.digest.encode()
    assert all(digest in alert.value for alert in found)


def test_old_set_is_let_go(folder, monkeypatch):
    """Though the new one is frozen: a worker that reloads each day does not grow."""
    write(folder, 2, PAIR)
    bench = Bench(folder)
    seen = batch(*(document(number, "cmd.exe") for number in range(3)))

    def load(paths, breathe):
        bench.rules.saw(seen)
        return load_rules(paths, breathe=breathe)

    monkeypatch.setattr(reload, "load_rules", load)
    rehearsed = []

    async def prepare(new):
        rehearsed.append(weakref.ref(new.program))

    bench.reloader._prepare = prepare
    old = [weakref.ref(bench.rules.detector), weakref.ref(bench.rules._now.program)]
    gc.disable()
    try:
        assert (
            bench.run(lambda: write(folder, 1, OTHER), lambda: write(folder, 1, SHELL))
            == ["accepted"] * 2
        )
    finally:
        gc.enable()
        gc.unfreeze()
    # Not even one that has rehearsed: what is cyclic and was garbage then is kept for good.
    assert [reference() is None for reference in (*old, *rehearsed)] == [True] * 3 + [False]


def test_new_set_has_met_what_was_evaluated_last(bench, folder, monkeypatch):
    """Its first batch finds answers instead of making them; nothing is counted twice."""
    seen = batch(*(document(number, "cmd.exe") for number in range(120)))

    def load(paths, breathe):
        bench.rules.saw(seen)  # while the set is loaded, the event loop evaluates
        return load_rules(paths, breathe=breathe)

    met = []

    async def prepare(new):
        met.append(len(new.program._splits))  # before it is in force

    monkeypatch.setattr(reload, "load_rules", load)
    bench.reloader._prepare = prepare
    assert bench.run(lambda: write(folder, 1, OTHER)) == ["accepted"]
    assert met == [1]
    assert not bench.counters.outcomes


def test_batches_are_kept_only_while_rules_are_loaded(bench):
    """The latest few; at other times every batch is let go when it is done."""
    batches = [batch(document(number, "cmd.exe")) for number in range(SAMPLE_BATCHES + 2)]
    bench.rules.saw(batches[0])
    with bench.rules.sampling() as sample:
        for one in batches:
            bench.rules.saw(one)
        assert list(sample) == batches[2:]
    bench.rules.saw(batches[0])
    assert list(sample) == batches[2:]


def test_interpreter_is_as_before_afterwards(bench, folder):
    """Turns and collection are changed only while a set is built."""
    turn_s = sys.getswitchinterval()
    bench.run(lambda: write(folder, 1, OTHER), lambda: broken_file(folder))
    assert (sys.getswitchinterval(), gc.isenabled()) == (turn_s, True)


def test_stop_gives_up_what_is_being_built(bench, folder, monkeypatch):
    """The thread ends at the next rule, and nothing is put in force."""

    def load(paths, breathe):
        bench.reloader.stop()
        return load_rules(paths, breathe=breathe)

    monkeypatch.setattr(reload, "load_rules", load)

    async def main():
        bench.reloader.start(asyncio.get_running_loop())
        bench.reloader.ask()
        await asyncio.to_thread(bench.reloader._thread.join, DEADLINE_S)

    asyncio.run(main())
    assert not bench.reloader._thread.is_alive()
    assert not bench.counters.reloads


def test_log_says_what_changed(bench, folder, caplog):
    """Who reads it knows which set runs, and since when."""
    caplog.set_level(logging.INFO)
    bench.run(lambda: write(folder, 1, OTHER))
    assert "rules reloaded (files have changed)" in caplog.text
    assert "1 added, 0 changed, 0 removed" in caplog.text
