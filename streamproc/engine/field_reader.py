"""Some fields of an undecoded record, without decoding the rest.

Law of the file: where ``read`` returns a document, the fields that it was made for have the values
that the decoded record has, in every spelling of the record. Where that takes a look at more of
it (an object in an array, a number beyond 64 bits) or it is broken, it returns None.

What stands in other fields is not looked at closely: a number that no double holds, or nesting
that the decoder refuses, is noticed when the whole record is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, TypedDict
from weakref import WeakValueDictionary

import msgspec
import orjson

# What a field may hold to be read here; the decoder turns larger integers into floats.
_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Scalar = str | bool | _Integer | float | None
_KEY_BYTES_MAX: Final = 1024
_Leaf = _Scalar | list[_Scalar]


class FieldReader:
    """Reads a set of fields from records: a third of the cost of decoding them.

    Args:
        paths: The fields, dotted. Under every key of a document only those are read that lead to
            one of them, whichever of its dots are written as nested objects.
    """

    __slots__ = ("__weakref__", "_decode")

    def __init__(self, paths: Iterable[str]) -> None:
        self._decode = msgspec.json.Decoder(
            _object(tuple(path.split(".") for path in paths))
        ).decode

    def read(self, value: bytes) -> dict[str, Any] | None:
        """Return a document with these fields; None where only decoding the record can tell."""
        try:
            if not value.isascii():
                value.decode()  # strings that are passed over are not checked for UTF-8
            document: dict[str, Any] = self._decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return document


_in_use: WeakValueDictionary[frozenset[str], FieldReader] = WeakValueDictionary()


def reader_of(paths: frozenset[str]) -> FieldReader:
    """Return the reader of these fields, made only if nobody has one: it takes milliseconds.

    So the program of changed rules has those of the one before. What a reader is made of is
    cyclic, and would be kept for good where a reload freezes the heap.
    """
    known = _in_use.get(paths)
    if known is None:
        known = _in_use[paths] = FieldReader(paths)
    return known


def take_head(document: dict[str, Any]) -> tuple[str, str] | None:
    """Take ``host.id`` and ``@timestamp`` out of a document: they differ from event to event.

    Returns:
        Both, or None where they are not written as nearly all events write them, each once and
        as text; then nothing is taken.
    """
    stamp, host, dotted = document.get("@timestamp"), document.get("host"), document.get("host.id")
    nested = host.get("id") if type(host) is dict else None
    host_id = dotted if nested is None else nested
    if type(stamp) is not str or type(host_id) is not str or not host_id.strip():
        return None
    if nested is None:
        del document["host.id"]
    elif dotted is None:
        del host["id"]  # type: ignore[union-attr]
    else:
        return None
    del document["@timestamp"]
    return host_id, stamp


def content_key(document: dict[str, Any]) -> bytes | None:
    """What tells documents apart: with equal keys they have equal values, of equal types.

    Returns:
        The key, or None for a document that is too large to be remembered or has no key.
    """
    try:
        key = orjson.dumps(document)
    except TypeError:
        return None
    return key if len(key) <= _KEY_BYTES_MAX else None


def _object(paths: Iterable[list[str]]) -> Any:
    """The type of an object that has the fields of ``paths`` (in pieces) below it."""
    below: dict[str, list[list[str]]] = {}
    leaves = set()
    for pieces in paths:
        for end in range(1, len(pieces)):
            below.setdefault(".".join(pieces[:end]), []).append(pieces[end:])
        leaves.add(".".join(pieces))
    keys: dict[str, Any] = dict.fromkeys(leaves, _Leaf)
    for key, rest in below.items():
        keys[key] = _object(rest) | keys.get(key)
    return _typed_dict(keys)


def _typed_dict(keys: dict[str, Any]) -> Any:
    make: Any = TypedDict  # the functional form takes keys that are known at run time only
    return make("Object", keys, total=False)
