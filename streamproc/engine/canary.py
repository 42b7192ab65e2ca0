"""The canary: a synthetic event, and the one rule that it matches.

Law of the file: an event is this worker's canary if it bears the worker's token, 128 random bits
that were never anywhere else. It is then looked at by the canary rule alone, and its alert leaves
on a way of its own. Every other event, another worker's canary too, is an event like any: nobody
can hide one from the rules by making it look like a canary.
"""

from __future__ import annotations

import secrets

import orjson

from streamproc.eql.compiler import CompileOptions
from streamproc.ruleset.datemath import iso_utc
from streamproc.ruleset.rule import Rule
from streamproc.ruleset.validate import QueryFault, check_query

RULE_ID = "streamproc-canary"
DATASET = "streamproc.canary"


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_hex(16)


def canary_rule(token: str) -> Rule:
    """Return the rule that matches the events of one worker."""
    text = f'any where streamproc.canary.token == "{token}"'
    checked = check_query(text, CompileOptions())
    if isinstance(checked, QueryFault):
        raise TypeError(checked.reason)
    return Rule(
        rule_id=RULE_ID,
        name="Canary",
        version=1,
        path="(built in)",
        query_text=text,
        query=checked.query,
        severity="low",
        risk_score=0,
        description="A synthetic event has come the whole way. Nothing happened.",
        matchers=checked.matchers,
    )


def canary_event(token: str, number: int, now_ms: int) -> bytes:
    """Return a synthetic event as a shipper would write it.

    Its index (metrics-streamproc.canary-default) is none that rules look at.

    Args:
        token: The worker's.
        number: Counts the worker's events.
        now_ms: The time of the event, milliseconds since the epoch.
    """
    return orjson.dumps(
        {
            "@timestamp": iso_utc(now_ms),
            "message": "A synthetic event of streamproc: measures, reports nothing",
            "data_stream": {"type": "metrics", "dataset": DATASET, "namespace": "default"},
            "event": {"kind": "metric", "dataset": DATASET, "module": "streamproc"},
            "host": {"id": RULE_ID, "name": RULE_ID},
            "streamproc": {"canary": {"token": token, "number": number}},
        }
    )
