from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyomics.blocks.block import as_block
from lazyomics.kernels import sums as row_scaling
from lazyomics.kernels.sums import row_positives, row_totals


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint16"])
def test_totals_equal_numpy(dtype):
    x = np.random.default_rng(0).poisson(0.4, (40, 7)).astype(dtype)
    exclude = np.arange(7) % 2 == 0
    for block in (x, as_block(sp.csr_matrix(x))):
        np.testing.assert_array_equal(row_totals(block), x.sum(1))
        np.testing.assert_array_equal(row_totals(block, exclude=exclude), x[:, ~exclude].sum(1))
        np.testing.assert_array_equal(row_positives(block), (x > 0).sum(1))
        assert row_totals(block).dtype == np.float64


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8),
        elements=st.integers(-2, 3),
    )
)
@settings(deadline=None, max_examples=60)
def test_empty_rows_have_total_zero(x):
    block = as_block(sp.csr_matrix(x))
    np.testing.assert_array_equal(row_totals(block), x.sum(1))
    np.testing.assert_array_equal(row_positives(block), (x > 0).sum(1))


def test_small_counts_are_not_lost_in_large_float32_totals():
    x = np.ones((1, 5), dtype=np.float32)
    x[0, 0] = 2.0**25
    assert row_totals(as_block(sp.csr_matrix(x)))[0] == 2.0**25 + 4


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
def test_sums_between_pointers_are_the_same_by_all_loops(dtype, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    indptr = np.concatenate(([0], np.cumsum(rng.integers(0, 9, 300)))).astype(np.int32)
    values = rng.integers(0, 100, indptr[-1]).astype(dtype)
    expected = [values[a:b].sum(dtype="f8") for a, b in pairwise(indptr)]
    for looped in (0, 1 << 60):
        for is_up in (False, True):
            monkeypatch.setattr(row_scaling, "LOOPED", looped)
            monkeypatch.setattr(row_scaling, "compiler_is_up", lambda is_up=is_up: is_up)
            np.testing.assert_allclose(row_scaling.sums_between(values, indptr), expected)


@pytest.mark.parametrize("indptr", [[0, 5, 99], [-3, 2, 4], [0, 9, 4, 10]])
def test_pointers_that_lead_out_are_not_followed(indptr) -> None:
    out = np.zeros(len(indptr) - 1)
    assert not row_scaling._summed(np.ones(10, "f4"), np.array(indptr), out)
    assert not out.any()
