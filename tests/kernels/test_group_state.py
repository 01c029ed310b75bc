"""GroupTotals against pandas, and that states merge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from lazyomics.blocks.block import as_block
from lazyomics.errors import ShapeError
from lazyomics.kernels.groups import GroupTotals

CUTOFFS = st.sampled_from([-1.5, 0.0, 1.0])


@st.composite
def cells(draw):
    """Values of a few cells, mostly 0, and a group (or none) for each."""
    shape = draw(st.tuples(st.integers(0, 9), st.integers(0, 5)))
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "uint16"]))
    low = 0 if dtype == "uint16" else -3
    values = draw(hnp.arrays(np.int64, shape, elements=st.integers(low, 3)))
    keep = draw(hnp.arrays(bool, shape))
    codes = draw(hnp.arrays(np.int8, shape[0], elements=st.integers(-1, 3)))
    return (values * keep).astype(dtype), codes


def measured(values, codes, **options):
    return GroupTotals.of(values, codes, n_groups=4, **options)


def assert_equal(a, b):
    np.testing.assert_array_equal(a.cells, b.cells)
    np.testing.assert_array_equal(a.sums, b.sums)
    np.testing.assert_array_equal(a.above, b.above)
    assert a.sums.dtype == b.sums.dtype == np.float64
    assert a.above.dtype == b.above.dtype == np.int64


@given(cells(), CUTOFFS, st.booleans())
def test_equals_pandas(case, cutoff, only_above):
    values, codes = case
    state = measured(values, codes, cutoff=cutoff, only_above=only_above)
    frame = pd.DataFrame(values.astype(float))[codes >= 0]
    expressed = frame > cutoff
    by = codes[codes >= 0]
    present = np.flatnonzero(state.cells)
    np.testing.assert_array_equal(present, np.unique(by))
    kept = frame.where(expressed) if only_above else frame
    expected = kept.groupby(by).mean().fillna(0)
    np.testing.assert_allclose(state.means()[present], expected.to_numpy(), rtol=1e-12)
    share = expressed.groupby(by).mean()
    np.testing.assert_allclose(state.fractions()[present], share.to_numpy(), rtol=1e-12)


@given(cells(), CUTOFFS, st.booleans())
def test_sparse_equals_dense(case, cutoff, only_above):
    values, codes = case
    options = {"cutoff": cutoff, "only_above": only_above}
    block = as_block(sparse.csr_matrix(values))
    assert_equal(measured(block, codes, **options), measured(values, codes, **options))


@given(cells(), st.integers(0, 9), CUTOFFS, st.booleans())
def test_states_merge(case, cut, cutoff, only_above):
    values, codes = case
    options = {"cutoff": cutoff, "only_above": only_above}
    for form in (np.asarray, lambda v: as_block(sparse.csr_matrix(v))):
        head = measured(form(values[:cut]), codes[:cut], **options)
        tail = measured(form(values[cut:]), codes[cut:], **options)
        assert_equal(head + tail, measured(form(values), codes, **options))


@given(cells())
def test_block_stays_as_it_is(case):
    values, codes = case
    block = as_block(sparse.csr_matrix(values))
    data, indices = block.data.copy(), block.indices.copy()
    measured(block, codes)
    np.testing.assert_array_equal(block.data, data)
    np.testing.assert_array_equal(block.indices, indices)


def test_sums_are_exact_beyond_float32():
    values = np.full((5000, 1), 16777217 / 1000, dtype=np.float32)
    state = GroupTotals.of(values, np.zeros(5000, dtype=np.int64), n_groups=1)
    np.testing.assert_allclose(state.means()[0, 0], float(values[0, 0]), rtol=1e-12)


def test_codes_of_another_length():
    with pytest.raises(ShapeError, match=r"codes has shape \(2,\), expected \(3,\)"):
        GroupTotals.of(np.eye(3), np.zeros(2, dtype=np.int64), n_groups=1)
