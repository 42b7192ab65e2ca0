"""Records that could not be evaluated, kept whole with the reason: nothing is lost in silence.

Law of the file: the value is the record's own bytes. Only a value above the limit of the topic is
cut; its full size and SHA-256 then tell what is missing.
"""

from __future__ import annotations

import hashlib

from streamproc.engine.trace_context import trace_headers
from streamproc.model import Headers, Output, Record

# Room that a record needs beside its value: key, header names and values, framing.
_OVERHEAD_BYTES = 4096
_ERROR_LENGTH_MAX = 512


def dead_letter(
    record: Record, reason: str, error: str, ruleset_digest: str, bytes_max: int
) -> Output:
    """Make the dead letter of a record.

    Args:
        record: The record as consumed.
        reason: A word from a bounded set: those of ``DecodeError``, or ``failed``.
        error: What happened, for people; cut to 512 characters.
        ruleset_digest: Digest of the rule set that was running.
        bytes_max: Largest record that may be produced, in bytes.

    Returns:
        Key ``topic:partition:offset``; headers ``reason``, ``error``, ``topic``, ``partition``,
        ``offset``, ``ruleset.digest``, for a cut value also ``truncated``, ``size`` and
        ``sha256``, then the record's own headers as they came. Where those leave no room for
        the value, ``headers_dropped`` counts them, and the trace context alone is kept.
    """
    value = record.value or b""
    place = f"{record.topic}:{record.partition}:{record.offset}"
    headers: Headers = [
        ("reason", reason.encode()),
        ("error", error[:_ERROR_LENGTH_MAX].encode("utf-8", "replace")),
        ("topic", record.topic.encode()),
        ("partition", b"%d" % record.partition),
        ("offset", b"%d" % record.offset),
        ("ruleset.digest", ruleset_digest.encode()),
    ]
    own = sum(len(name) + len(content) for name, content in record.headers)
    room = bytes_max - _OVERHEAD_BYTES - own
    if room < 0:  # absurd headers: the value matters more
        room, own = bytes_max - _OVERHEAD_BYTES, 0
        headers.append(("headers_dropped", b"%d" % len(record.headers)))
        headers.extend(trace_headers(record.headers))  # bounded, unlike the others
    else:
        headers.extend(record.headers)
    if len(value) > room:
        headers[6:6] = [
            ("truncated", b"true"),
            ("size", b"%d" % len(value)),
            ("sha256", hashlib.sha256(value).hexdigest().encode()),
        ]
        value = value[:room]
    return Output(place.encode(), value, headers)
