"""Weights of the graph beside those of umap-learn."""

from __future__ import annotations

import dask
import numpy as np
import pytest
from scipy import sparse

from lazyomics.graph.nearest import nearest
from lazyomics.graph.weights import fuzzy


def tables(n: int, k: int, *, copies: bool = False) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(n).normal(size=(n, 6))
    if copies:
        x[: n // 3] = x[0]
        x[n // 2 : n // 2 + 20] = x[n // 2]
    found = nearest(x, k - 1)
    own = np.arange(n)[:, None]
    return np.hstack([own, found.indices]), np.hstack([0.0 * own, found.lengths])


@pytest.mark.filterwarnings("ignore:Tensorflow not installed")
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize(("n", "k"), [(50, 2), (700, 15), (9000, 6)])
def test_fuzzy_set_is_that_of_umap_learn(n: int, k: int, copies: bool) -> None:
    reference = pytest.importorskip("umap.umap_", reason="the reference")
    indices, lengths = tables(n, k, copies=copies)
    theirs = reference.fuzzy_simplicial_set(
        sparse.coo_matrix((n, 1)), k, None, None, knn_indices=indices, knn_dists=lengths
    )[0].tocsr()
    theirs.sort_indices()
    ours = fuzzy(indices, lengths)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_allclose(ours.data, theirs.data, rtol=0, atol=1.2e-7)
    assert (ours != ours.T).nnz == 0


def test_same_bits_on_any_number_of_threads() -> None:
    indices, lengths = tables(9000, 5)
    found = []
    for number in (1, 2, 4):
        with dask.config.set(num_workers=number):
            found.append(fuzzy(indices, lengths))
    assert all((found[0] != other).nnz == 0 for other in found[1:])
