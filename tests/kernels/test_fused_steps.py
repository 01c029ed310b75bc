from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.steps import Log1p, NormalizeRows, NormalizeThenSelect, SelectCols, fused

COLUMNS = [np.array([1, 2, 7]), slice(2, 8, 1), slice(0, 9, 3), np.array([], dtype=np.int64)]


def counts(dtype: str):
    x = np.random.default_rng(0).poisson(0.7, (40, 9)).astype(dtype)
    x[5] = 0
    return x


@pytest.mark.parametrize("cols", COLUMNS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
@pytest.mark.parametrize("exclude", [None, np.arange(9) < 2])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_normalizing_then_selecting_is_the_same_in_one(cols, dtype, exclude, kind) -> None:
    x = kind(counts(dtype))
    block = x if isinstance(x, np.ndarray) else as_block(x)
    steps = [NormalizeRows(100.0, exclude), SelectCols(cols), Log1p()]
    expected = block
    for step in steps:
        expected = step(expected)
    one, log = fused(steps)
    assert isinstance(one, NormalizeThenSelect)
    found = log(one(block))
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(dense(found), dense(expected))
    if kind is not np.asarray:
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.indptr, expected.indptr)


@pytest.mark.parametrize("cols", [slice(0, 9, 1), np.array([1, 4])], ids=str)
@pytest.mark.parametrize("known", ["canonical", "unique", None])
def test_what_is_known_of_positions_is_passed_on(cols, known) -> None:
    block = as_block(sp.csr_matrix(counts("float32")))
    block = block.from_arrays(block.data, block.indices, block.indptr, block.shape, known)
    steps = [NormalizeRows(100.0), SelectCols(cols)]
    assert steps[0](block)._order == known
    assert fused(steps)[0](block)._order == known


def dense(block):
    return block if isinstance(block, np.ndarray) else block.toarray()


@pytest.mark.parametrize("cols", [np.array([3, 1]), np.array([2, 2]), slice(5, 0, -1)], ids=str)
def test_other_orders_stay_two_steps(cols) -> None:
    steps = [NormalizeRows(1.0), SelectCols(cols)]
    assert fused(steps) == steps


def test_the_block_stays_as_it_is() -> None:
    block = as_block(sp.csr_matrix(counts("float32")))
    before = block.data.copy(), block.indices.copy(), block.indptr.copy()
    fused([NormalizeRows(1.0), SelectCols(np.array([0, 3]))])[0](block)
    for a, b in zip(before, (block.data, block.indices, block.indptr), strict=True):
        np.testing.assert_array_equal(a, b)


def test_wide_positions_stay_wide() -> None:
    wide = sp.csr_matrix((np.ones(2, "f4"), (np.array([0, 1]), np.array([0, 5]))), shape=(2, 6))
    wide.indices = wide.indices.astype(np.int64)
    wide.indptr = wide.indptr.astype(np.int64)
    block = as_block(wide)
    found = fused([NormalizeRows(2.0), SelectCols(np.array([5]))])[0](block)
    assert found.indices.dtype == np.int64
    np.testing.assert_array_equal(found.toarray(), [[0], [2]])
