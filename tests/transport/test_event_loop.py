"""Calls into the event loop from other threads."""

from __future__ import annotations

import asyncio
import threading

from streamproc.transport.event_loop import call_soon


def test_a_call_from_a_thread_is_made_by_the_event_loop():
    """In the loop's thread, not in the caller's."""

    async def run() -> int:
        called: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        call = (asyncio.get_running_loop(), lambda: called.set_result(threading.get_ident()))
        caller = threading.Thread(target=call_soon, args=call)
        caller.start()
        return await asyncio.wait_for(called, 30)

    assert asyncio.run(run()) == threading.get_ident()


def test_after_the_end_nothing_is_called_and_nothing_fails():
    """Librdkafka's threads may live longer than the loop."""
    loop = asyncio.new_event_loop()
    loop.close()
    called: list[int] = []
    call_soon(loop, lambda: called.append(1))
    assert not called
