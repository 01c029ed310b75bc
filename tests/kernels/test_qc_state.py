from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.qc import BINS, cell_qc, gene_totals, highly_expressed, top_sums

values = st.sampled_from([0.0, 0.0, 1.0, 2.0, 30.0, 0.5, -1.0, BINS - 1.0, float(BINS), 1e6])
matrices = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10), elements=values
)


def csr_with_stored_zeros(x):
    matrix = sp.csr_matrix(np.where(x == 0, 99, x).astype(x.dtype))
    matrix.data[matrix.data == 99] = 0
    return as_block(matrix)


def kinds(x):
    return x, as_block(sp.csr_matrix(x)), csr_with_stored_zeros(x)


@given(matrices, st.data())
@settings(deadline=None, max_examples=100)
def test_top_sums_equal_sorting(x, data):
    tops = tuple(sorted(data.draw(st.sets(st.integers(1, x.shape[1]), min_size=1, max_size=3))))
    descending = -np.sort(-x, axis=1)
    expected = np.stack([descending[:, :n].sum(1) for n in tops], axis=1)
    for block in kinds(x):
        np.testing.assert_allclose(top_sums(block, tops), expected)


@given(matrices, st.integers(0, 10))
@settings(deadline=None, max_examples=50)
def test_gene_totals_add_up(x, cut):
    for block in kinds(x):
        total = gene_totals(block[:cut]) + gene_totals(block[cut:])
        assert total.n == len(x)
        np.testing.assert_allclose(total.total, x.sum(0))
        np.testing.assert_array_equal(total.nonzero, (x != 0).sum(0))
        np.testing.assert_array_equal(total.positive, (x > 0).sum(0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint16"])
def test_cell_numbers(dtype):
    x = np.random.default_rng(0).poisson(0.5, (30, 12)).astype(dtype)
    masks = np.array([np.arange(12) < 3, np.arange(12) % 2 == 0])
    for block in kinds(x):
        found = cell_qc(block, masks=masks, tops=(1, 5))
        np.testing.assert_array_equal(found[:, 0], (x != 0).sum(1))
        np.testing.assert_array_equal(found[:, 1], x.sum(1))
        np.testing.assert_array_equal(found[:, 2], x.max(1))
        np.testing.assert_array_equal(found[:, 3], np.sort(x, axis=1)[:, -5:].sum(1))
        for k, mask in enumerate(masks):
            np.testing.assert_array_equal(found[:, 4 + k], x[:, mask].sum(1))


@pytest.mark.parametrize("fraction", [0.05, 0.3, 1.0])
def test_highly_expressed(fraction):
    x = np.random.default_rng(0).poisson(1, (30, 12)).astype(float)
    expected = (x > fraction * x.sum(1, keepdims=True)).any(0)
    for block in kinds(x):
        parts = [highly_expressed(b, max_fraction=fraction) for b in (block[:9], block[9:])]
        np.testing.assert_array_equal((parts[0] + parts[1]).genes, expected)
