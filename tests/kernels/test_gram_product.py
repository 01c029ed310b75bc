from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.kernels.block import as_block
from lazyomics.kernels.gram_product import gram_product


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("sparse_", [False, True])
def test_product_equals_numpy_and_adds_up(dtype, sparse_):
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (50, 8)).astype(dtype)
    vectors = rng.normal(size=(8, 3))
    kind = (lambda a: as_block(sp.csr_matrix(a))) if sparse_ else np.asarray
    parts = [x[:0], x[:20], x[20:]]
    states = [gram_product(kind(p), vectors=vectors, keep_bytes_per_row=1e3) for p in parts]
    state = states[0] + states[1] + states[2]
    wide = x.astype(np.float64)
    np.testing.assert_allclose(state.product, wide.T @ (wide @ vectors))
    np.testing.assert_allclose(state.sums, wide.sum(0))
    assert state.squares == pytest.approx(np.square(wide).sum())
    assert state.n == 50
    assert [b.shape for b in states[1].kept] == [(20, 8)]
    assert gram_product(kind(x), vectors=vectors).kept is None
