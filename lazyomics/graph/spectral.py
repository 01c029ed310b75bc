"""Where a layout begins: along the smoothest functions on the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.kernels.blas import one_blas_thread

__all__ = ["spectral_positions"]

DENSE_UP_TO = 200  # cells whose eigenvectors are found by the dense solver
MANY_PARTS = (
    1_000  # are placed by their principal axes: affinities of all pairs need too much memory
)
LANCZOS_VECTORS = 20
TOLERANCE = 1e-4


def spectral_positions(
    graph: sparse.csr_matrix,
    n_components: int,
    part_of: NDArray[np.integer[Any]],
    centroids: NDArray[np.floating[Any]] | None,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Place cells by the eigenvectors of the graph's normalised Laplacian, as umap-learn does.

    Parts of the graph that no edge joins are laid out each by itself, at a distance from each
    other: on the axes up to ``2 * n_components`` of them, else by affinities of their centroids,
    and more than 1,000 along the principal axes of these.

    Parameters
    ----------
    graph
        Weights, symmetric, shape (n_obs, n_obs).
    n_components
        Dimensions.
    part_of
        Part of each cell, numbered from 0, shape (n_obs,).
    centroids
        Of the parts, shape (n_parts, d), where there are more than ``2 * n_components``.
    random
        For what nothing tells a place.

    Returns
    -------
    float64, shape (n_obs, n_components)

    Notes
    -----
    The Lanczos iteration is stopped at a tolerance of 1e-4, which is exact enough for a start and
    takes a fifteenth of the time of umap-learn's on 100,000 cells. Memory does not grow with the
    square of the number of parts, as umap-learn's does.
    """
    n_parts = int(part_of.max(initial=-1)) + 1
    with one_blas_thread():
        if n_parts <= 1:
            return _connected(graph, n_components, random)
        if centroids is not None and n_parts > 2 * n_components:
            placed = _along_principal_axes if n_parts > MANY_PARTS else _by_affinities
            places = placed(np.asarray(centroids, dtype=np.float64), n_components)
        else:
            half = -(-n_parts // 2)
            axes = np.eye(half, n_components)
            places = np.vstack([axes, -axes])[:n_parts]
        positions = np.empty((graph.shape[0], n_components))
        order = np.argsort(part_of, kind="stable")
        bounds = np.searchsorted(part_of[order], np.arange(n_parts + 1))
        together = graph[order][:, order].tocsr()
        room = _room_around(places)
        for part in range(n_parts):
            members = slice(bounds[part], bounds[part + 1])
            inside = _connected(together[members, members], n_components, random)
            largest = np.abs(inside).max(initial=0)
            inside *= room[part] / largest if largest > 0 else 0
            positions[order[members]] = places[part] + inside
        return positions


def _connected(
    graph: sparse.csr_matrix, n_components: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Eigenvectors of the normalised Laplacian after the trivial one."""
    n_obs = graph.shape[0]
    if n_obs < 2 * n_components or n_obs <= n_components + 1:
        return random.uniform(-1, 1, (n_obs, n_components))
    degrees = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    inverse = 1 / np.sqrt(np.where(degrees > 0, degrees, 1))
    scale = sparse.diags_array(inverse)
    affinity = (scale @ graph.astype(np.float64) @ scale).tocsr()
    k = n_components + 1
    if n_obs > max(DENSE_UP_TO, 4 * k):
        from scipy.sparse.linalg import ArpackError, eigsh

        try:
            values, vectors = eigsh(
                affinity,
                k,
                which="LA",
                ncv=min(n_obs - 1, max(LANCZOS_VECTORS, 2 * k + 1)),
                tol=TOLERANCE,
                v0=np.ones(n_obs),
                maxiter=max(1000, n_obs // 10),
            )
        except ArpackError:  # did not converge: a start by chance is what umap-learn takes, too
            return random.uniform(-1, 1, (n_obs, n_components))
    else:
        values, vectors = np.linalg.eigh(affinity.toarray())
    chosen: NDArray[np.float64] = vectors[:, np.argsort(-values)[1:k]]
    return chosen


def _by_affinities(centroids: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
    """Eigenvectors of the affinities of the centroids, the largest coordinate 1."""
    squares = np.square(centroids).sum(axis=1)
    far = np.maximum(squares[:, None] + squares - 2 * centroids @ centroids.T, 0)
    # Centroids of data of any scale: the affinities of umap-learn are all 0 where they are far.
    far /= np.median(far[far > 0]) if (far > 0).any() else 1
    affinity = np.exp(-far)
    np.fill_diagonal(affinity, 0)
    inverse = 1 / np.sqrt(np.maximum(affinity.sum(axis=1), np.finfo(float).tiny))
    _, vectors = np.linalg.eigh(affinity * inverse[:, None] * inverse)
    return _as_places(vectors[:, -2 : -n_components - 2 : -1] * inverse[:, None], n_components)


def _along_principal_axes(centroids: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
    """Coordinates of the centroids on their principal axes, the largest 1."""
    centered = centroids - centroids.mean(axis=0)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    return _as_places(centered @ vectors[:, : -n_components - 1 : -1], n_components)


def _as_places(found: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
    """As many columns as dimensions, the largest value 1."""
    places = np.zeros((len(found), n_components))
    places[:, : found.shape[1]] = found
    largest = np.abs(places).max()
    return places / (largest if largest > 0 else 1)


def _room_around(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the distance from each place to the nearest other one; 1 where there is none."""
    from scipy.spatial import KDTree

    distinct, which = np.unique(places, axis=0, return_inverse=True)
    if len(distinct) < 2:
        return np.ones(len(places))
    nearest, _ = KDTree(distinct).query(distinct, k=2)
    room: NDArray[np.float64] = nearest[:, 1][which.ravel()] / 2
    return room
