from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyomics.blocks.block import CSRBlock, as_block
from lazyomics.kernels import gram
from lazyomics.kernels.gram import scatter, scatter_of_run


def csr(x):
    return as_block(sp.csr_matrix(x))


def expected(x):
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    return centred.T @ centred


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
@pytest.mark.parametrize("as_kind", [np.asarray, csr])
def test_scatter_equals_numpy(dtype, as_kind, monkeypatch):
    monkeypatch.setattr(gram, "BUFFER_BYTES", 1)  # several groups of rows
    x = np.random.default_rng(0).poisson(1, (300, 11)).astype(dtype)
    state = scatter(as_kind(x))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    scale = np.abs(expected(x)).max()
    np.testing.assert_allclose(state.matrix(), expected(x), rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(state.mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
    raw = x.astype(float).T @ x.astype(float)
    np.testing.assert_allclose(state.raw_matrix(), raw, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("unsorted", [False, True])
def test_either_way_of_multiplying(dtype, unsorted, monkeypatch):
    x = np.random.default_rng(0).poisson(0.1, (200, 9)).astype(dtype)
    matrix = sp.csr_matrix(x)
    if unsorted:
        matrix = matrix[:, ::-1][:, ::-1]
        matrix.indices[: matrix.indptr[1]] = matrix.indices[: matrix.indptr[1]][::-1].copy()
        matrix.data[: matrix.indptr[1]] = matrix.data[: matrix.indptr[1]][::-1].copy()
    states = []
    for below in (0, 1):
        monkeypatch.setattr(gram, "SPARSE_BELOW", below)
        states.append(scatter(as_block(matrix)))
    np.testing.assert_allclose(states[0].packed, states[1].packed, atol=1e-4)
    np.testing.assert_allclose(states[1].matrix(), expected(x), atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_more_rows_and_columns_than_a_tile_has(dtype):
    shape = 2300, 2 * gram.TILE_COLUMNS + 30
    rng = np.random.default_rng(0)
    filled = rng.random(shape[1]) ** 4  # some columns are filled much more than others
    x = (rng.poisson(3, shape) * (rng.random(shape) < filled)).astype(dtype)
    assert gram.multiplications(csr(x)) < gram.SPARSE_BELOW
    parts = [(csr(part),) for part in np.array_split(x[600:], 7)]  # some wait for others
    state = scatter(csr(x[:600])) + scatter_of_run(iter(parts))
    np.testing.assert_allclose(state.matrix(), expected(x), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(state.mean, x.mean(axis=0, dtype=np.float64), rtol=1e-13)


def mostly_zeros(shape):
    rng = np.random.default_rng(0)
    return rng.lognormal(size=shape) * (rng.random(shape) < 0.05)


def test_float32_products_round_to_either_side():
    x = mostly_zeros((20_000, 60)).astype(np.float32)
    assert gram.multiplications(csr(x)) < gram.SPARSE_BELOW
    found, exact = scatter(csr(x)).matrix(), expected(x)
    assert np.abs(found - exact).max() < 5e-8 * np.abs(exact).max()


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1, 1e17, 1e30])
def test_values_of_any_size_in_float32(scale):
    x = (mostly_zeros((500, 20)) * scale).astype(np.float32)
    exact = expected(x)
    np.testing.assert_allclose(scatter(csr(x)).matrix(), exact, atol=1e-6 * np.abs(exact).max())


def test_rows_of_any_size_beside_each_other():
    x = mostly_zeros((3000, 20)).astype(np.float32)
    x[1100:1200] *= 1e25
    parts = [(csr(part),) for part in np.array_split(x, 3)]
    found, exact = scatter_of_run(iter(parts)).matrix(), expected(x)
    np.testing.assert_allclose(found, exact, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(bad):
    x = mostly_zeros((500, 20)).astype(np.float32)
    x[7, 3] = bad
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(scatter(csr(x)).matrix()[3, 3])


def test_share_of_multiplications():
    full = np.ones((4, 3))
    assert gram.multiplications(csr(full)) == 1
    full[:, 0] = 0  # of six pairs, three have the empty column, which comes last
    assert gram.multiplications(csr(full)) == 0.5
    assert gram.multiplications(csr(full[:0])) == 0


def test_values_stored_twice_add_up(monkeypatch):
    matrix = sp.csr_matrix(
        (np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]), np.array([0, 3, 3])), shape=(2, 2)
    )
    for below in (0, 9):
        monkeypatch.setattr(gram, "SPARSE_BELOW", below)
        found = scatter(CSRBlock.from_arrays(matrix.data, matrix.indices, matrix.indptr, (2, 2)))
        np.testing.assert_allclose(found.matrix(), expected(matrix.toarray()))


@given(st.integers(0, 30), st.integers(1, 6), st.lists(st.integers(0, 30), max_size=3))
@settings(deadline=None, max_examples=50)
def test_states_of_parts_add_up(n, p, cuts):
    x = np.random.default_rng(n).poisson(1, (n, p)).astype(float)
    bounds = [0, *sorted(min(c, n) for c in cuts), n]
    for kind in (np.asarray, csr):
        state = scatter(kind(x[:0]))
        for low, high in itertools.pairwise(bounds):
            state = state + scatter(kind(x[low:high]))
        assert state.n == n
        if n:
            np.testing.assert_allclose(state.matrix(), expected(x), atol=1e-9)


def test_large_means_do_not_cancel_in_float32():
    x = np.random.default_rng(0).normal(1e4, 1, (2000, 4)).astype(np.float32)
    both = scatter(x[:700]) + scatter(x[700:])
    np.testing.assert_allclose(both.matrix(), expected(x), rtol=1e-5, atol=1e-2)


def test_rows_are_kept_while_they_fit():
    x = np.random.default_rng(0).poisson(1, (10, 3)).astype(np.float32)
    for kind in (np.asarray, csr):
        whole = scatter(kind(x[:4]), keep_bytes_per_row=1e3)
        whole = whole + scatter(kind(x[4:]), keep_bytes_per_row=1e3)
        assert [b.shape[0] for b in whole.kept] == [4, 6]
        assert scatter(kind(x), keep_bytes_per_row=1.0).kept is None
        assert (scatter(kind(x), keep_bytes_per_row=1.0) + whole).kept is None


@pytest.mark.parametrize("as_kind", [np.asarray, csr])
def test_blocks_stay_as_they_are(as_kind):
    x = np.random.default_rng(0).poisson(1, (10, 3)).astype(np.float32)
    before = x.copy()
    block = as_kind(x)
    scatter(block)
    np.testing.assert_array_equal(np.asarray(block), before)


def test_no_columns():
    assert scatter(np.empty((3, 0))).matrix().shape == (0, 0)
