"""W3C trace context: what is carried, from which event, and that nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.engine.batch import RecordList
from streamproc.engine.dead_letters import dead_letter
from streamproc.engine.trace_context import trace_headers, trace_id
from tests.engine.programs import NOW_MS, PAIR, PARTITION, SHELL, TOPIC, detector, document, record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
STATE = b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
HEADERS = [("traceparent", PARENT), ("tracestate", STATE)]
OTHER = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00"


def carried(traceparent=PARENT, *tracestate):
    found = trace_headers(
        [("traceparent", traceparent), *(("tracestate", value) for value in tracestate)]
    )
    return [value for _, value in found]


def test_context_is_carried_as_it_came():
    """Both headers, in this order, under their own names, whatever stands between them."""
    headers = [("tracestate", STATE), ("other", b"1"), ("TraceParent", PARENT)]

    assert trace_headers(headers) == HEADERS
    assert trace_id(HEADERS) == TRACE
    assert trace_headers([("other", b"1")]) == []
    assert trace_id([("other", b"1")]) == ""


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        PARENT[:-1],
        PARENT + b"-00",  # version 00 has four fields
        PARENT + b"0",
        PARENT + b"\n",
        PARENT.upper(),
        PARENT.replace(b"-", b"_"),
        b"ff" + PARENT[2:],
        b"0x" + PARENT[2:],
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + b"-01",
        b" " + PARENT,
        b"cc" + PARENT[2:] + b"x",
        b"\xff" * 55,
    ],
)
def test_invalid_traceparent_is_ignored(value):
    """And its tracestate with it."""
    assert carried(value, STATE) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"cc" + PARENT[2:], PARENT),
        (b"cc" + PARENT[2:] + b"-what-comes-then", PARENT),
        (b"01" + PARENT[2:-2] + b"03", PARENT),
        (b"01" + PARENT[2:-2] + b"02", PARENT[:-2] + b"00"),
    ],
)
def test_later_version_is_written_as_the_one_that_is_known(value, expected):
    """Its first four fields are those of version 00, and of the flags only the first is."""
    assert carried(value) == [expected]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",",
        b"nothing",
        b"a=1,b",
        b"A=1",
        b"a=1\n",
        b"a=\xe9",
        b"a=1=2",
        b"a=" + b"x" * 511,
        b",".join(b"k%d=1" % number for number in range(33)),
    ],
)
def test_invalid_tracestate_is_left_out(value):
    """The traceparent goes on alone."""
    assert carried(PARENT, value) == [PARENT]


def test_tracestate_may_be_padded_and_have_empty_members():
    """As the standard allows; it is carried as it came."""
    assert carried(PARENT, b"a=1 , ,tenant@system=2,") == [PARENT, b"a=1 , ,tenant@system=2,"]


def test_last_of_several_counts():
    """A record that was passed on bears the context of each hop, the latest at the end."""
    headers = [("traceparent", OTHER), ("tracestate", b"a=1"), *HEADERS]

    assert trace_headers(headers) == HEADERS
    assert trace_headers([*HEADERS, ("traceparent", b"broken")]) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "x"]), st.binary())))
def test_whatever_is_carried_is_bounded_and_valid(headers):
    """Carried twice it is the same; it is never longer than 55 and 512 bytes."""
    found = trace_headers(headers)

    assert trace_headers(found) == found
    assert [len(value) <= limit for (_, value), limit in zip(found, (55, 512), strict=False)] == [
        True
    ] * len(found)


def traces(output):
    return [pair for pair in output.headers if pair[0].startswith("trace")]


def test_alert_and_requests_bear_the_context_of_the_event():
    """And the alert says where its event lies; an event without a context gives none."""
    found, _ = detector(SHELL)
    records = [record(document(), 41, headers=HEADERS), record(document(1), 42)]
    done = found.process(RecordList(records), NOW_MS)
    alert, plain = done.alerts

    assert traces(alert) == HEADERS
    assert alert.headers[-2:] == HEADERS
    assert alert.place == (TOPIC, PARTITION, 41)
    requests = [request for request in done.context_requests if request.key.startswith(alert.key)]
    assert requests
    assert [traces(request) for request in requests] == [HEADERS] * len(requests)
    assert traces(plain) == []


def test_sequence_bears_the_context_of_its_last_event():
    """Each building block that of its own event; the shell and the requests the last one's."""
    second = {**document(1), "event": {"category": ["file"], "id": "e1"}, "file": {"name": "a.txt"}}
    own = [("traceparent", OTHER)]
    found, _ = detector(PAIR)
    records = [record(document(), 1, headers=own), record(second, 2, headers=HEADERS)]
    done = found.process(RecordList(records), NOW_MS)
    if not done.alerts:
        done = found.advance((TOPIC, PARTITION), NOW_MS, NOW_MS)
    first_block, last_block, shell = done.alerts

    assert traces(first_block) == own
    assert traces(last_block) == traces(shell) == HEADERS
    assert (first_block.place, shell.place) == (None, (TOPIC, PARTITION, 2))
    assert [traces(request) for request in done.context_requests] == [HEADERS] * len(
        done.context_requests
    )
    assert done.context_requests


def test_dead_letter_keeps_the_context():
    """With all headers of the record; alone, where those are too many."""
    found, _ = detector(SHELL)
    done = found.process(RecordList([record(b"{", 7, headers=HEADERS)]), NOW_MS)
    (letter,) = done.dead_letters

    assert traces(letter) == HEADERS
    absurd = record(b"{", headers=[("h", b"x" * 10_000), *HEADERS])
    assert traces(dead_letter(absurd, "json", "", "", 10_000)) == HEADERS
