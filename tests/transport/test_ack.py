"""The commit log of one partition against a naive model that knows every record."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.transport.ack import AckLog, NoIndex


@st.composite
def runs_and_order(draw: st.DrawFn):
    """Deliveries with gaps between them, and the order (with repeats) in which they are done."""
    runs = []
    offset = draw(st.integers(0, 5))
    for length, gap in draw(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=12)):
        runs.append((offset, offset + length))
        offset += length + gap
    order = draw(st.lists(st.sampled_from(runs), max_size=30)) if runs else []
    return runs, order


class NaiveLog:
    """Keeps every record; the watermark is found by walking all of them."""

    def __init__(self, runs: list[tuple[int, int]]) -> None:
        self.runs = runs
        self.done: set[int] = set()

    def finish(self, run: tuple[int, int]) -> None:
        self.done.update(range(*run))

    def watermark(self) -> int | None:
        mark = None
        for first, following in self.runs:
            if not self.done.issuperset(range(first, following)):
                break
            mark = following
        return mark


@settings(deadline=None, max_examples=200)
@given(runs_and_order())
def test_watermark_is_the_completed_prefix(case) -> None:
    """After every acknowledgement the watermark is the naive model's, neither ahead nor behind."""
    runs, order = case
    log, model = AckLog(), NaiveLog(runs)
    for first, following in runs:
        log.deliver(first, following)
    for run in order:
        log.append(run[0])
        model.finish(run)
        assert log.watermark == model.watermark()
    assert len(log) == len(set(runs) - set(order))


@settings(deadline=None, max_examples=100)
@given(runs_and_order(), st.randoms(use_true_random=False))
def test_deliveries_and_acknowledgements_may_alternate(case, random) -> None:
    """A run that is delivered later never lets the watermark pass an earlier one in flight."""
    runs, _ = case
    log, delivered = AckLog(), []
    waiting = list(runs)
    model = NaiveLog(delivered)
    while waiting or len(model.done) < sum(stop - start for start, stop in runs):
        if waiting and random.random() < 0.5:
            delivered.append(waiting.pop(0))
            log.deliver(*delivered[-1])
        elif delivered:
            run = random.choice(delivered)
            log.append(run[0])
            model.finish(run)
        assert log.watermark == model.watermark()


def test_on_done_is_called_once_for_each_delivery() -> None:
    """Repeated and unknown acknowledgements free no slot twice."""
    done: list[int] = []
    log = AckLog(lambda: done.append(1))
    log.deliver(0, 10)
    log.deliver(10, 20)
    for first in (10, 10, 99, 0, 0):
        log.append(first)
    assert len(done) == 2
    assert log.watermark == 20


def test_oldest_is_that_of_the_first_delivery_in_flight() -> None:
    """The age of a log is that of its oldest open delivery, also behind completed ones."""
    log = AckLog()
    assert log.oldest_at_s() is None
    log.deliver(0, 1, at_s=5.0, timestamp_ms=70)
    log.deliver(1, 2, at_s=6.0, timestamp_ms=80)
    log.append(1)
    assert log.oldest_at_s() == 5.0
    assert (log.watermark, log.timestamp_ms) == (None, 0)
    log.append(0)
    assert log.oldest_at_s() is None
    assert (log.watermark, log.timestamp_ms) == (2, 80)


@pytest.mark.parametrize("offset", [0, 17])
def test_no_index_knows_no_offset(offset: int) -> None:
    """Faust asks the index before it appends; the log itself refuses repeats."""
    index = NoIndex()
    index.add(offset)
    index.difference_update({offset})
    assert offset not in index
