"""The functions of the language: their names, how many arguments they take, which take ``~``.

Law of the file: this table alone decides whether a call is well formed; what a function does
is decided where it is evaluated, for the same set of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Signature(NamedTuple):
    """One function; ``max_args`` None: any number from ``min_args`` on."""

    name: str
    min_args: int
    max_args: int | None
    takes_tilde: bool = False


_ALL = (
    Signature("add", 2, 2),
    Signature("subtract", 2, 2),
    Signature("multiply", 2, 2),
    Signature("divide", 2, 2),
    Signature("modulo", 2, 2),
    Signature("between", 3, 4, takes_tilde=True),
    Signature("cidrMatch", 2, None),
    Signature("concat", 1, None),
    Signature("endsWith", 2, 2, takes_tilde=True),
    Signature("startsWith", 2, 2, takes_tilde=True),
    Signature("indexOf", 2, 3, takes_tilde=True),
    Signature("length", 1, 1),
    Signature("number", 1, 2),
    Signature("string", 1, 1),
    Signature("stringContains", 2, 2, takes_tilde=True),
    Signature("substring", 2, 3),
)

#: Lower-case name to signature: names are written in any case (``CONCAT``).
SIGNATURES: Mapping[str, Signature] = MappingProxyType(
    {signature.name.lower(): signature for signature in _ALL}
)
