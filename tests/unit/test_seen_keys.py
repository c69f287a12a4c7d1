"""The set of received frames against a set, and its size."""

import doctest
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from quietscope.adapters.frame import FrameKey
from quietscope.daemon import seen_keys
from quietscope.daemon.seen_keys import SeenKeys

KEYS = st.builds(FrameKey, st.integers(0, 12), st.integers(0, 1), st.just(0), st.integers(0, 1))


@given(first=st.lists(KEYS), then=st.lists(KEYS, max_size=60))
def test_it_is_a_set(first, then):
    seen, model = SeenKeys(first), set(first)
    for key in then:
        assert (key in seen) == (key in model)
        seen.add(key)
        model.add(key)
        assert key in seen
        assert len(seen) == len(model)
    assert all(
        (FrameKey(t, c, 0, p) in seen) == (FrameKey(t, c, 0, p) in model)
        for t in range(14)
        for c in (0, 1)
        for p in (0, 1)
    )


def test_its_example_holds():
    assert doctest.testmod(seen_keys).failed == 0


def test_a_long_series_takes_no_more_memory_than_a_short_one():
    seen = SeenKeys(FrameKey(t) for t in range(1000))
    tracemalloc.start()
    try:
        for t in range(1000, 50_000, 2):
            seen.add(FrameKey(t + 1))
            seen.add(FrameKey(t))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(seen) == 50_000
    assert grown < 2000
