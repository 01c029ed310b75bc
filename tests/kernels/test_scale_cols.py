from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.blocks.block import CSRBlock, as_block
from lazyomics.kernels.steps import ScaleCols


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("max_value", [None, 1.5])
@pytest.mark.parametrize("masked", [False, True])
def test_scaling_equals_numpy(dtype, center, max_value, masked):
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (600, 5)).astype(dtype)
    before = x.copy()
    divisor, mean = rng.uniform(0.5, 2, 5), rng.normal(size=5)
    rows = rng.random(600) < 0.5 if masked else None
    step = ScaleCols(divisor, mean if center else None, max_value, rows)
    expected = (x - (mean if center else 0)) / divisor
    if max_value is not None:
        expected = np.clip(expected, -max_value if center else None, max_value)
    if masked:
        expected = np.where(rows[:, None], expected, x)
    for block in (x, as_block(sp.csr_matrix(x))):
        found = step(block)
        assert isinstance(found, CSRBlock) == (isinstance(block, CSRBlock) and not center)
        assert found.dtype == (dtype if dtype.startswith("float") else "float64")
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.asarray(block), before)


def test_selections_cut_the_vectors():
    x = np.random.default_rng(0).normal(size=(6, 4))
    step = ScaleCols(np.arange(1.0, 5.0), np.ones(4), None, np.arange(6) % 2 == 0)
    rows, cols = np.array([4, 1]), np.array([3, 0])
    cut = step.take_rows(rows).take_cols(cols)
    np.testing.assert_allclose(cut(x[rows][:, cols]), step(x)[rows][:, cols])
