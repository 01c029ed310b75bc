from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.moments import moments, moments_by_group

DTYPES = ["float32", "float64", "int32", "int64", "uint16"]
matrices = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5, 7.0, -3.0]),
)


def csr(dense, index_dtype=np.int32):
    matrix = sp.csr_matrix(dense)
    matrix.indices = matrix.indices.astype(index_dtype)
    matrix.indptr = matrix.indptr.astype(index_dtype)
    return as_block(matrix)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["dense", "int32", "int64"])
def test_moments_equal_numpy(dtype, kind):
    x = np.random.default_rng(0).poisson(1, (60, 9)).astype(dtype)
    state = moments(x if kind == "dense" else csr(x, kind))
    np.testing.assert_allclose(state.mean[0], x.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(state.variance()[0], x.astype(float).var(axis=0, ddof=1))
    np.testing.assert_array_equal(state.positive[0], (x > 0).sum(axis=0))
    assert state.n.tolist() == [60]


@pytest.mark.parametrize("as_kind", [np.asarray, csr])
@pytest.mark.parametrize("mean", [1e4, 1e8])
def test_moments_do_not_cancel(as_kind, mean):
    x = np.random.default_rng(0).normal(mean, 1, (500, 3))
    parts = [moments(as_kind(x[:200])), moments(as_kind(x[200:]))]
    np.testing.assert_allclose((parts[0] + parts[1]).variance()[0], x.var(0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("as_kind", [np.asarray, csr])
def test_constant_genes_have_no_variance(as_kind):
    x = np.full((101, 2), [0.1, 3.0])
    both = moments(as_kind(x[:40])) + moments(as_kind(x[40:]))
    assert (both.variance() < 1e-30).all()


@pytest.mark.parametrize("base", [None, 2.0])
def test_unlogged_moments(base):
    scale = 1.0 if base is None else np.log(base)
    x = np.random.default_rng(0).poisson(1, (50, 4)).astype(np.float32)
    logged = np.log1p(x) / np.float32(scale)
    for block in (logged, csr(logged)):
        state = moments(block, unlog=scale)
        np.testing.assert_allclose(state.mean[0], x.mean(0), rtol=1e-6)
        np.testing.assert_allclose(state.variance()[0], x.var(0, ddof=1), rtol=1e-5)


@given(matrices, st.integers(0, 12), st.data())
@settings(deadline=None, max_examples=60)
def test_states_of_parts_add_up(x, cut, data):
    cut = min(cut, len(x))
    codes = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=len(x), max_size=len(x))))
    for kind in (np.asarray, csr):
        parts = [moments_by_group(kind(x[s]), codes[s]) for s in (slice(cut), slice(cut, None))]
        merged = parts[0] + parts[1]
        for group in range(3):
            rows = x[codes == group]
            found = merged.at(group)
            assert found.n[0] == len(rows)
            if len(rows):
                np.testing.assert_allclose(found.mean[0], rows.mean(0), atol=1e-12)
                np.testing.assert_allclose(found.m2[0], rows.var(0) * len(rows), atol=1e-9)
                np.testing.assert_array_equal(found.positive[0], (rows > 0).sum(0))
            else:
                assert not found.mean.any()


@given(matrices)
@settings(deadline=None, max_examples=30)
def test_dense_equals_sparse_and_blocks_stay(x):
    before = x.copy()
    block = csr(x)
    sparse_, dense = moments(block, unlog=1.0), moments(x, unlog=1.0)
    np.testing.assert_allclose(sparse_.mean, dense.mean, rtol=1e-12)
    np.testing.assert_allclose(sparse_.m2, dense.m2, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(block.toarray(), before)


@pytest.mark.parametrize("as_kind", [np.asarray, csr])
def test_empty_blocks_change_nothing(as_kind):
    x = np.arange(6.0).reshape(3, 2)
    nothing = moments(as_kind(x[:0]))
    for both in (nothing + moments(as_kind(x)), moments(as_kind(x)) + nothing):
        np.testing.assert_allclose(both.mean[0], x.mean(0))
        np.testing.assert_allclose(both.variance()[0], x.var(0, ddof=1))


def test_nan_and_infinity_show():
    x = np.array([[np.nan, np.inf, 1.0], [1.0, 1.0, 1.0]])
    for kind in (np.asarray, csr):
        with np.errstate(invalid="ignore"):
            state = moments(kind(x))
        assert np.isnan(state.mean[0, 0])
        assert np.isinf(state.mean[0, 1])
        assert state.mean[0, 2] == 1
