"""The headers of alerts and context requests: to route by, without reading the value.

Law of the file: what comes from an event is bounded in length.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.engine.identity import first_of
from streamproc.engine.trace_context import trace_headers
from streamproc.eql.event import Event
from streamproc.model import Headers, Record
from streamproc.ruleset.rule import Rule

# A host id is a UUID or a name. Longer ones are cut in the header, not in the document.
_HEADER_BYTES_MAX = 512


def output_headers(rule: Rule, steps: Sequence[tuple[Event, Record]]) -> Headers:
    """Return the headers of the alert of some events and of its context requests.

    Args:
        rule: The rule.
        steps: The events with their records, in order; at least one. The trace goes on from the
            last one, which completed the match.
    """
    host_id = first_of([event for event, _ in steps], "host.id")
    named = b"" if host_id is None else str(host_id).encode("utf-8", "replace")
    return [
        ("host.id", named[:_HEADER_BYTES_MAX]),
        ("rule.id", rule.rule_id.encode()),
        ("severity", rule.severity.encode()),
        *trace_headers(steps[-1][1].headers),
    ]
