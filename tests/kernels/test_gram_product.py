from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.product import GeneMajorRows, gene_major, gram_product


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
@pytest.mark.parametrize("sparse_", [False, True])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_product_equals_numpy_and_adds_up(dtype, sparse_, precision):
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (50, 8)).astype(dtype)
    vectors = rng.normal(size=(8, 3)).astype(precision)
    kind = (lambda a: as_block(sp.csr_matrix(a))) if sparse_ else np.asarray
    enough = np.full(50, 1e3)
    runs = [[(x[:0], enough[:0])], [(x[:3], enough[:3]), (x[3:20], 0 * enough[3:20])]]
    runs.append([(x[20:], enough[20:])])
    states = [
        gram_product(((kind(b), a) for b, a in run), vectors=vectors, first=True) for run in runs
    ]
    state = states[0] + states[1] + states[2]
    wide = x.astype(np.float64)
    rtol = 1e-5 if precision == "float32" else 1e-12
    assert state.product.dtype == precision
    np.testing.assert_allclose(state.product, wide.T @ (wide @ vectors), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(state.totals, (wide @ vectors).sum(0), rtol=10 * rtol, atol=1e-4)
    np.testing.assert_allclose(state.sums, wide.sum(0))
    assert state.squares == pytest.approx(np.square(wide).sum())
    assert state.n == 50
    assert [None if b is None else b.shape for b in state.kept] == [(0, 8), (3, 8), None, (30, 8)]


@pytest.mark.parametrize("sparse_", [False, True])
def test_kept_rows_give_the_same_product(sparse_):
    x = sp.random_array((40, 9), density=0.3, format="csr", random_state=0, dtype="float32")
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    block = as_block(x) if sparse_ else x.toarray()
    offset = np.arange(4.0)
    first = gram_product(iter([(block, np.full(40, 1e3))]), vectors=vectors, offset=offset)
    again = gram_product(((kept,) for kept in first.kept), vectors=vectors, offset=offset)
    dense = x.toarray().astype(np.float64)
    np.testing.assert_allclose(again.product, dense.T @ (dense @ vectors - offset), rtol=1e-12)
    np.testing.assert_array_equal(again.product, first.product)
    assert first.sums.size == 0


def test_single_precision_does_not_cancel_around_a_large_mean():
    """Columns with a mean of 1,000 times their spread: subtracted before, not after, it is fine."""
    rng = np.random.default_rng(0)
    x = (1000 + rng.normal(size=(2000, 5))).astype(np.float32)
    wide = x.astype(np.float64)
    vectors = rng.normal(size=(5, 2))
    centred = (wide - wide.mean(0)).T @ ((wide - wide.mean(0)) @ vectors)
    state = gram_product(
        iter([(as_block(sp.csr_matrix(x)),)]),
        vectors=vectors.astype(np.float32),
        offset=wide.mean(0) @ vectors.astype(np.float32),
    )
    found = state.product - np.outer(wide.mean(0), state.totals)
    np.testing.assert_allclose(found, centred, rtol=2e-2, atol=2e-2 * np.abs(centred).max())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "f4"), ("float64", "f8"), ("uint8", "f4"), ("int16", "f4"), ("int64", "f8")],
)
def test_gene_major_rows_hold_the_same_values(dtype, expected):
    x = np.random.default_rng(0).poisson(0.5, (30, 7)).astype(dtype)
    turned = gene_major(as_block(sp.csr_matrix(x)))
    assert isinstance(turned, GeneMajorRows)
    assert turned.data.dtype == expected
    assert turned.rows.dtype == np.uint16
    back = sp.csc_array((turned.data, turned.rows.astype(np.int32), turned.starts), x.shape)
    np.testing.assert_array_equal(back.toarray(), x)
    assert turned.nbytes == turned.data.nbytes + turned.rows.nbytes


def test_many_rows_take_wide_numbers():
    x = sp.csr_matrix((np.ones(1, np.float32), ([70_000], [1])), shape=(70_001, 2))
    assert gene_major(as_block(x)).rows.tolist() == [70_000]
