"""W3C trace context: from the headers of an event's record to the headers of what it causes.

Kafka headers of any name may come from anybody who writes events, so nothing is carried that is
not of the standard's form and size (https://www.w3.org/TR/trace-context/).

Law of the file: a context is carried as it came or not at all; a broken one costs no alert. The
same record gives the same headers.
"""

from __future__ import annotations

import re

from streamproc.model import Headers

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_TRACE_ID_END = 35  # of "00-<32 hex digits>"
_TRACESTATE_BYTES_MAX = 512  # what everybody has to carry on; more may be dropped
_MEMBERS_MAX = 32

_FIELDS = rb"([0-9a-f]{2})-([0-9a-f]{32}-[0-9a-f]{16})-([0-9a-f]{2})"
_TRACEPARENT = re.compile(_FIELDS + rb"(-[\x20-\x7e]*)?")
# No trace and no span have these ids.
_NO_IDS = re.compile(rb"0{32}-.*|.*-0{16}")
_MEMBER = re.compile(
    rb"[a-z0-9][a-z0-9_\-*/@]{0,255}="
    rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


def trace_headers(headers: Headers) -> Headers:
    """Return ``traceparent`` and ``tracestate`` of a record, valid ones only; mostly nothing.

    Of several, the last counts: each hop of a record adds to the end. A version of the standard
    that is not known yet is written as version 00, which it has to contain. Without a valid
    ``traceparent`` there is no ``tracestate``.
    """
    found = {name.lower(): value for name, value in headers}
    parent = _traceparent(found.get(TRACEPARENT))
    if parent is None:
        return []
    state = found.get(TRACESTATE)
    if state is None or not _is_tracestate(state):
        return [(TRACEPARENT, parent)]
    return [(TRACEPARENT, parent), (TRACESTATE, state)]


def trace_id(headers: Headers) -> str:
    """Return the trace's id, 32 hex digits, from headers made by ``trace_headers``; "": none."""
    for name, value in headers:
        if name == TRACEPARENT:
            return value[3:_TRACE_ID_END].decode("ascii")
    return ""


def _traceparent(value: bytes | None) -> bytes | None:
    fields = None if value is None else _TRACEPARENT.fullmatch(value)
    if fields is None:
        return None
    version, ids, flags, rest = fields.groups()
    if version == b"ff" or _NO_IDS.fullmatch(ids):
        return None
    if version == b"00":
        return value if rest is None else None
    return b"00-%b-%02x" % (ids, int(flags, 16) & 1)  # "sampled" is all that version 00 knows


def _is_tracestate(value: bytes) -> bool:
    if len(value) > _TRACESTATE_BYTES_MAX:
        return False
    members = [member for part in value.split(b",") if (member := part.strip(b" \t"))]
    return 0 < len(members) <= _MEMBERS_MAX and all(map(_MEMBER.fullmatch, members))
