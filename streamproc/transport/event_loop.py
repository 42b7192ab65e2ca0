"""Calls from other threads into the event loop.

Law of the file: librdkafka's and our own threads never run the worker's code themselves; they have
it called by the event loop, and at the end of the process nobody waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


def call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Have ``callback`` called by the event loop, soon; from any thread."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: the process is on its way out
        logger.debug("event loop closed before %r", callback)
