"""The garbage collector is paused while rules are loaded, and only then."""

from __future__ import annotations

import gc

import pytest

from streamproc.ruleset.garbage import collection_paused


def test_collector_is_on_again_after_an_error():
    """A broken loader must not leave a worker without it."""
    was_on = []

    def load():
        with collection_paused():
            was_on.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        load()

    assert was_on == [False]
    assert gc.isenabled()


def test_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
