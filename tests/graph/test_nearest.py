"""The search for neighbours: exact, by cells, the same on any number of threads."""

from __future__ import annotations

import dask
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lazyomics.graph import nearest as module
from lazyomics.graph.nearest import METRICS, nearest

THREADS = (1, 2, 4)


def clusters(n: int, width: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=2, size=(12, width))
    return centers[rng.integers(0, 12, n)] + rng.normal(size=(n, width))


def known(x: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    distances = cdist(x, x, metric)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_BELOW", 1500)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [1, 7, 20])
def test_exact(metric: str, width: int) -> None:
    if metric != "euclidean" and width == 1:
        pytest.skip("one column has no direction")
    x = clusters(700, width) + 3
    found = nearest(x, 9, metric=metric)
    indices, lengths = known(x, 9, metric)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.lengths, lengths, rtol=1e-9, atol=1e-12)
    assert found.indices.dtype == np.int32
    assert found.recall is None


@pytest.mark.parametrize("metric", METRICS)
def test_by_cells(few_are_many: None, metric: str) -> None:
    x = clusters(5000) + 1
    found = nearest(x, 12, metric=metric, recall=0.95)
    _, lengths = known(x, 12, metric)
    share = (found.lengths <= lengths[:, -1:] * 1.0001).mean()
    assert found.recall is not None
    assert found.recall >= 0.95
    assert abs(share - found.recall) < 0.02
    assert found.lengths.dtype == np.float32
    rows = np.arange(len(x))[:, None]
    assert not (found.indices == rows).any()
    assert (np.diff(np.sort(found.indices, axis=1), axis=1) > 0).all()
    assert (np.diff(found.lengths, axis=1) >= 0).all()
    # the lengths are those of the indices
    true = cdist(x[:50], x, metric)[rows[:50], found.indices[:50]]
    np.testing.assert_allclose(found.lengths[:50], true, rtol=1e-4)


def test_more_cells_are_visited_for_more_recall(few_are_many: None) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 25))  # no structure: the hardest case
    reached = [nearest(x, 10, recall=r).recall for r in (0.3, 0.99, 0.9999)]
    assert reached == sorted(reached)
    assert reached[-1] >= 0.9999


@pytest.mark.parametrize("n", [900, 4000])
def test_same_bits_on_any_number_of_threads(few_are_many: None, n: int) -> None:
    x = clusters(n)
    found = []
    for number in THREADS:
        with dask.config.set(num_workers=number):
            found.append(nearest(x, 11, seed=3))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].indices, other.indices)
        np.testing.assert_array_equal(found[0].lengths, other.lengths)


@pytest.mark.parametrize("n", [1400, 3000])
def test_copies_of_a_point(few_are_many: None, n: int) -> None:
    """Half of the points are one: its cell holds them all, and the lists are full and distinct."""
    x = clusters(n)
    x[: n // 2] = x[0]
    found = nearest(x, 8)
    assert (found.lengths[: n // 2] == 0).all()
    assert (np.diff(np.sort(found.indices, axis=1), axis=1) > 0).all()
    assert not (found.indices == np.arange(n)[:, None]).any()


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1.0])
def test_any_scale_and_place(scale: float) -> None:
    x = clusters(300)
    found = nearest((x + (1e6 if scale == 1 else 0)) * scale, 5)
    indices, lengths = known(x, 5, "euclidean")
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.lengths / scale, lengths, rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_points_without_a_direction(metric: str) -> None:
    x = np.abs(clusters(60, 5))
    x[[3, 10]] = 0 if metric == "cosine" else 2.5
    found = nearest(x, 4, metric=metric)
    assert found.indices[3, 0] == 10
    np.testing.assert_allclose(found.lengths[3], [0, 1, 1, 1], rtol=1e-12)
    assert np.isfinite(found.lengths).all()
