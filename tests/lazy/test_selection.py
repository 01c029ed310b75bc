from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.lazy.indexer import compose, is_whole, length, positions

N = 12

keys = st.one_of(
    st.slices(N),
    st.lists(st.integers(-N, N - 1), max_size=20),
    st.lists(st.booleans(), min_size=N, max_size=N).map(np.asarray),
)


@given(keys)
def test_positions_select_what_numpy_selects(key) -> None:
    axis = np.arange(N)
    chosen = axis[key] if not isinstance(key, list) else axis[np.asarray(key, dtype=int)]
    selector = positions(key, N)
    np.testing.assert_array_equal(axis[selector], chosen)
    assert length(selector) == len(chosen)


@given(keys, st.data())
def test_a_selection_of_a_selection_is_one_selection(key, data) -> None:
    axis = np.arange(N)
    outer = positions(key, N)
    once = axis[outer]
    inner_key = data.draw(st.lists(st.integers(0, len(once) - 1) if len(once) else st.nothing()))
    inner = positions(inner_key, len(once))
    np.testing.assert_array_equal(axis[compose(outer, inner)], once[inner])


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ([N], IndexError),
        ([-N - 1], IndexError),
        (np.ones(N - 1, bool), IndexError),
        ([0.5], TypeError),
        ([[0, 1]], IndexError),
    ],
)
def test_what_numpy_refuses_is_refused(key, error) -> None:
    with pytest.raises(error, match="rows"):
        positions(key, N, "rows")


def test_runs_become_slices() -> None:
    assert positions([3, 4, 5], N) == slice(3, 6, 1)
    assert is_whole(positions(np.ones(N, bool), N), N)
