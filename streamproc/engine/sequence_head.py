"""Host and time of an undecoded record: all that an event needs to wait for its turn.

Law of the file: what ``read_head`` returns is what the decoded event says, or it returns None and
the record has to be decoded. It does not look at the rest: broken text in other fields is noticed
when, and if, the record is decoded.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streamproc.eql.dates import parse_instant


class Head(NamedTuple):
    """What places an event: ``host.id``, and ``@timestamp`` in nanoseconds since the epoch."""

    host_id: str
    timestamp_ns: int


class _Host(msgspec.Struct, gc=False):
    id: str | None = None


class _Document(
    msgspec.Struct, gc=False, rename={"timestamp": "@timestamp", "dotted_id": "host.id"}
):
    timestamp: str
    host: _Host | None = None
    dotted_id: str | None = None


_decode = msgspec.json.Decoder(_Document).decode


def read_head(value: bytes) -> Head | None:
    """Return a record's head; None when only decoding can tell. About a third of its cost."""
    try:
        document = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # another type than text, or broken: the decoder is to find out
    host_id = None if document.host is None else document.host.id
    if host_id is None:
        host_id = document.dotted_id
    elif document.dotted_id is not None:
        return None  # two values
    timestamp_ns = parse_instant(document.timestamp)
    if host_id is None or timestamp_ns is None:
        return None
    return Head(host_id, timestamp_ns)
