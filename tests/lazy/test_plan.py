from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.lazy.recipe import SMALLEST_BLOCK, bounds_by_bytes, uniform_bounds

MiB = 1 << 20


@given(st.lists(st.integers(8, 40 * MiB), max_size=200), st.integers(1, 64 * MiB))
def test_blocks_cover_all_rows_and_hold_no_more_than_asked(sizes, target) -> None:
    line_bytes = np.asarray(sizes, dtype=np.int64)
    bounds = bounds_by_bytes(line_bytes, target)
    assert bounds[0] == 0
    assert bounds[-1] == len(sizes)
    for a, b in pairwise(bounds):
        assert b > a or len(sizes) == 0
        assert b - a <= 1 or line_bytes[a:b].sum() <= max(target, SMALLEST_BLOCK)


def test_one_cell_with_all_the_counts_gets_a_block_of_its_own() -> None:
    sizes = np.full(1000, 8, dtype=np.int64)
    sizes[500] = 4096 * MiB
    bounds = bounds_by_bytes(sizes, 32 * MiB)
    assert (500, 501) in set(pairwise(bounds))


def test_empty_cells_share_blocks() -> None:
    assert len(bounds_by_bytes(np.full(100_000, 8, dtype=np.int64), 32 * MiB)) == 2


def test_no_rows_make_one_empty_block() -> None:
    assert bounds_by_bytes(np.empty(0, np.int64), MiB) == (0, 0)
    assert uniform_bounds(0, 10) == (0, 0)


@pytest.mark.parametrize(("n", "step"), [(10, 3), (9, 3), (1, 5)])
def test_uniform_bounds(n, step) -> None:
    bounds = uniform_bounds(n, step)
    assert bounds[0] == 0
    assert bounds[-1] == n
    assert all(0 < b - a <= step for a, b in pairwise(bounds))
