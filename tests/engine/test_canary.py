"""The canary: seen by its own rule alone, and no way for an event to hide from the others."""

from __future__ import annotations

import orjson

from streamproc.engine.canary import RULE_ID, canary_event, canary_rule, new_token
from streamproc.engine.detector import Detector, DetectorOptions
from streamproc.engine.program import Program
from streamproc.ops.counters import Counters
from tests.engine.programs import NOW_MS, SHELL, batch, document, ruleset

TOKEN = new_token()
EVERYTHING = "any where true"


def canary_detector(*queries: str, token: str = TOKEN) -> tuple[Detector, Counters]:
    counters = Counters()
    program = Program(ruleset(*queries), canary=canary_rule(token))
    return Detector(program, DetectorOptions(), counters), counters


def test_its_alert_leaves_on_a_way_of_its_own():
    """Prefilter, decoding, its rule and the writing of alerts, but no alert; one outcome."""
    run, counters = canary_detector(SHELL)
    values = [document(), orjson.loads(canary_event(TOKEN, 1, NOW_MS - 40)), document(1)]
    found = run.process(batch(*values), NOW_MS)
    [canary] = found.canaries

    assert orjson.loads(canary.value)["kibana.alert.rule.rule_id"] == RULE_ID
    assert canary.event_ms == NOW_MS - 40
    assert len(found.alerts) == 2
    assert counters.outcomes == {"matched": 2, "canary": 1}
    assert sum(counters.rule_matches.values()) == sum(counters.alerts.values()) == 2


def test_no_other_rule_looks_at_it():
    """Not even one that matches everything."""
    run, counters = canary_detector(EVERYTHING)
    found = run.process(batch(orjson.loads(canary_event(TOKEN, 1, NOW_MS))), NOW_MS)

    assert found.alerts == []
    assert counters.outcomes == {"canary": 1}


def test_an_event_with_another_token_is_an_event_like_any():
    """Whoever makes his events look like a canary hides nothing."""
    run, counters = canary_detector(EVERYTHING, SHELL)
    forged = document() | orjson.loads(canary_event(new_token(), 1, NOW_MS))
    forged["event"] = document()["event"]
    forged["data_stream"] = {}
    found = run.process(batch(forged), NOW_MS)

    assert len(found.alerts) == 2
    assert found.canaries == []
    assert counters.outcomes == {"matched": 1}


def test_a_rule_with_index_patterns_passes_over_another_workers_canary():
    """It lies in an index of its own: a rule for logs alone does not alert on it."""
    counters = Counters()
    program = Program(ruleset(EVERYTHING, more='index = ["logs-*"]'), canary=canary_rule(TOKEN))
    run = Detector(program, DetectorOptions(), counters)
    stranger = orjson.loads(canary_event(new_token(), 1, NOW_MS))
    found = run.process(batch(stranger, stranger | {"data_stream": {}}), NOW_MS)

    assert counters.outcomes == {"unmatched": 1, "matched": 1}
    assert len(found.alerts) == 1


def test_a_worker_without_a_canary_knows_none():
    """The event ends in the prefilter, as one that nobody asks about."""
    counters = Counters()
    run = Detector(Program(ruleset(SHELL)), DetectorOptions(), counters)
    run.process(batch(orjson.loads(canary_event(TOKEN, 1, NOW_MS))), NOW_MS)

    assert counters.outcomes == {"filtered": 1}


def test_canaries_of_halved_batches_come_out(monkeypatch):
    """An error of ours beside one is isolated; the canary is counted once."""
    run, counters = canary_detector(SHELL)
    evaluate = run._evaluate

    def fail(record, *rest):
        if record.offset == 3:
            raise MemoryError("injected")
        evaluate(record, *rest)

    monkeypatch.setattr(run, "_evaluate", fail)
    values = [document(n) for n in range(8)]
    values[5] = orjson.loads(canary_event(TOKEN, 1, NOW_MS))
    found = run.process(batch(*values), NOW_MS)

    assert counters.outcomes == {"matched": 6, "failed": 1, "canary": 1}
    assert len(found.canaries) == 1
