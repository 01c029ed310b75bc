from __future__ import annotations

import numpy as np
import pytest

from lazyomics.pp.components import largest_eigenpairs


@pytest.mark.parametrize("k", [5, 200])
def test_either_solver(k):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(600, 600)))
    matrix = (q * np.linspace(1, 50, 600)) @ q.T
    values, vectors = largest_eigenpairs(matrix, k)
    np.testing.assert_allclose(values, np.linspace(1, 50, 600)[::-1][:k], rtol=1e-9)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-7)
