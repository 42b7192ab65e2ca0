"""A Hyperscan database of required texts, or an error that says what it was for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import hyperscan

from streamproc.engine.aside import aside
from streamproc.errors import StreamprocError


class PrefilterError(StreamprocError):
    """The literals of the rules could not be compiled; nothing would be filtered safely."""


def database(expressions: Sequence[bytes], ids: Sequence[int], *, once: bool) -> Any:
    """Compile a block-mode database that does not tell small letters from capitals.

    Args:
        expressions: Regular expressions over bytes.
        ids: What each one's hits are reported as.
        once: Report an expression's first hit only.

    Raises:
        PrefilterError: An expression is refused.
    """
    flags = hyperscan.HS_FLAG_CASELESS | (hyperscan.HS_FLAG_SINGLEMATCH if once else 0)
    found = hyperscan.Database()
    try:
        aside(
            partial(
                found.compile,
                expressions=list(expressions),
                ids=list(ids),
                flags=[flags] * len(ids),
            )
        )
    except hyperscan.error as error:
        message = f"cannot compile {len(ids)} required texts of the rules: {error}"
        raise PrefilterError(message) from error
    return found
