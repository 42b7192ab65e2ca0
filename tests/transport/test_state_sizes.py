"""The sum of all snapshots held, whatever happens to scopes and partitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.ops.counters import Counters
from streamproc.transport.state_sizes import StateSizes

PLACES = st.sampled_from([("events", 0), ("events", 1)])
SCOPES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(PLACES, SCOPES, st.integers(0, 9)),
        st.tuples(PLACES, st.dictionaries(SCOPES, st.integers(1, 9))),
    )
)


@given(STEPS)
def test_the_sum_is_that_of_what_is_held(steps):
    counters, held = Counters(), {}
    sizes = StateSizes(counters)
    for step in steps:
        if len(step) == 3:
            place, scope, size = step
            sizes.note(place, scope, size)
            held.setdefault(place, {})[scope] = size
        else:
            place, scopes = step
            sizes.replace(place, scopes)
            held[place] = dict(scopes)

        assert counters.sequence_state_bytes == sum(
            sum(scopes.values()) for scopes in held.values()
        )
