"""IP addresses and networks as 128-bit numbers.

Law of the file: an IPv4 address and its IPv4-mapped IPv6 form are the same number, as in
Elasticsearch's ``ip`` type; a network may be written with host bits set.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton

_MAPPED_PREFIX = 0xFFFF << 32
_MAPPED_BITS = 96
_ALL_BITS = 128


@lru_cache(maxsize=65_536)
def parse_address(text: str) -> int | None:
    """The address as a number below 2**128; None when the text is no address."""
    try:
        if ":" in text:
            return int.from_bytes(inet_pton(AF_INET6, text), "big")
        return _MAPPED_PREFIX | int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):  # ValueError: NUL or a lone surrogate in the text
        return None


def parse_network(text: str) -> tuple[int, int]:
    """First and last address of ``10.0.0.0/8``, ``fe80::/10`` or of a single address.

    Raises:
        ValueError: The text is neither a network nor an address.
    """
    base, slash, length = text.partition("/")
    address = parse_address(base)
    if address is None or (slash and not (length.isascii() and length.isdigit())):
        raise ValueError(f"{text!r} is not an IP address or network such as 10.0.0.0/8")
    bits = int(length) if slash else _ALL_BITS
    if slash and ":" not in base:
        bits += _MAPPED_BITS
    if bits > _ALL_BITS:
        raise ValueError(f"{text!r}: the prefix length is too large")
    host_bits = _ALL_BITS - bits
    first = address >> host_bits << host_bits
    return first, first + (1 << host_bits) - 1


class NetworkSet:
    """Networks, any of which may hold an address. Lookup is a binary search."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, networks: Iterable[tuple[int, int]]) -> None:
        merged: list[tuple[int, int]] = []
        for first, last in sorted(networks):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._firsts = [first for first, _ in merged]
        self._lasts = [last for _, last in merged]

    def __contains__(self, address: int) -> bool:
        at = bisect_right(self._firsts, address) - 1
        return at >= 0 and address <= self._lasts[at]
