"""Where layouts begin."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from lazyomics.graph import spectral
from lazyomics.graph.spectral import spectral_positions


def _cliques(n_parts: int, size: int) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """A graph of parts that no edge joins, the part of each cell, and centroids of the parts."""
    clique = np.ones((size, size), np.float32) - np.eye(size, dtype=np.float32)
    graph = sparse.csr_matrix(sparse.kron(sparse.eye_array(n_parts, dtype=np.float32), clique))
    centroids = np.random.default_rng(0).normal(size=(n_parts, 6)) * [9, 5, 1, 1, 1, 1]
    return graph, np.repeat(np.arange(n_parts), size), centroids


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("n_parts", [30, 3_000])
def test_parts_lie_apart_each_in_its_own_room(n_parts: int, n_components: int) -> None:
    graph, part_of, centroids = _cliques(n_parts, 8)
    positions = spectral_positions(
        graph, n_components, part_of, centroids, np.random.default_rng(0)
    )
    middles = np.array([positions[part_of == part].mean(axis=0) for part in range(n_parts)])
    extent = np.abs(positions - middles[part_of]).max(axis=1)
    assert np.isfinite(positions).all()
    assert np.abs(positions).max() < 2
    nearest = np.array([np.sort(np.linalg.norm(middles - m, axis=1))[1] for m in middles[:200]])
    assert (extent[: 200 * 8].reshape(-1, 8).max(axis=1)[: len(nearest)] < nearest).all()


def test_memory_does_not_grow_with_the_square_of_the_parts() -> None:
    graph, part_of, centroids = _cliques(4_000, 2)
    tracemalloc.start()
    try:
        spectral_positions(graph, 2, part_of, centroids, np.random.default_rng(0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000 * 4_000  # bytes: an eighth of the affinities of all pairs


def test_many_parts_follow_the_principal_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "MANY_PARTS", 10)
    graph, part_of, centroids = _cliques(40, 5)
    positions = spectral_positions(graph, 2, part_of, centroids, np.random.default_rng(0))
    middles = np.array([positions[part_of == part].mean(axis=0) for part in range(40)])
    axes = np.linalg.svd(centroids - centroids.mean(axis=0), full_matrices=False)[0]
    for axis in range(2):
        assert abs(np.corrcoef(middles[:, axis], axes[:, axis])[0, 1]) > 0.95
