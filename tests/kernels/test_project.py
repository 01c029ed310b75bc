from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.gram import CompactRows, kept_rows
from lazyomics.kernels.product import project


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
@pytest.mark.parametrize("n", [0, 1, 1500])
def test_projection_equals_numpy(dtype, n):
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (n, 6)).astype(dtype)
    axes, offset = rng.normal(size=(6, 2)), rng.normal(size=2)
    for block in (x, as_block(sp.csr_matrix(x))):
        found = project(block, axes=axes, offset=offset, result_dtype="float32")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, x.astype(float) @ axes - offset, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(project(block, axes=axes), x.astype(float) @ axes, rtol=1e-12)


def test_kept_rows_project_alike():
    x = sp.random_array((20, 9), density=0.3, format="csr", random_state=0, dtype="float32")
    axes = np.random.default_rng(0).normal(size=(9, 3))
    (kept,) = kept_rows(as_block(x), 1e6)
    assert isinstance(kept, CompactRows)
    assert kept.indices.dtype == np.uint16
    np.testing.assert_array_equal(project(kept, axes=axes), project(as_block(x), axes=axes))


def test_kept_rows_hold_no_larger_array():
    x = as_block(sp.csr_matrix(np.eye(100, dtype=np.float32)))
    part = x[10:12]
    (kept,) = kept_rows(part, 1e6)
    assert kept.data.base is None
    assert kept_rows(part, kept.data.nbytes) is None
