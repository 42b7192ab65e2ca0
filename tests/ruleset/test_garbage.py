"""The garbage collector is paused while rules are loaded, and only then."""

from __future__ import annotations

import gc

import pytest

from streamproc.ruleset.garbage import collection_paused


def test_collector_is_on_again_after_an_error():
    """A broken loader must not leave a worker without it."""
    with pytest.raises(KeyError), collection_paused():
        assert not gc.isenabled()
        raise KeyError

    assert gc.isenabled()


def test_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
