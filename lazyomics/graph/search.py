"""Neighbours of cells: by an own search, by scikit-learn or pynndescent, or of known distances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import config
from lazyomics.errors import ShapeError, require
from lazyomics.graph.nearest import METRICS, nearest
from lazyomics.graph.nearest import is_exact as compares_all
from lazyomics.graph.seeds import seed_of

__all__ = [
    "Knn",
    "Metric",
    "approximate_searcher",
    "as_matrix",
    "given_distances",
    "indices_and_distances",
    "is_exact",
    "reads_blocks",
    "search",
    "searches_here",
    "umap_tuning",
]

Metric: TypeAlias = "str | Callable[[NDArray[Any], NDArray[Any]], float]"

# Below these numbers of cells scikit-learn is used where the own search is not, as in scanpy.
EXACT_EUCLIDEAN_BELOW = 8192
EXACT_BELOW = 4096


@dataclass(frozen=True)
class Knn:
    """Neighbours of each cell; the first column of both tables is the cell itself.

    Attributes
    ----------
    distances
        CSR matrix (n_obs, n_obs) of neighbour distances, or the dense matrix of all of them.
    indices
        int, shape (n_obs, n_neighbors).
    lengths
        float, shape (n_obs, n_neighbors): the distances that belong to ``indices``.
    recall
        Measured share of the nearest that were found, of the own search among many cells.
    """

    distances: sparse.csr_matrix | NDArray[Any]
    indices: NDArray[Any]
    lengths: NDArray[Any]
    recall: float | None = None


def search(
    x: Any,
    n_neighbors: int,
    *,
    knn: bool = True,
    transformer: Any = None,
    metric: Metric = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    random_state: Any = 0,
    recall: float = 0.99,
) -> Knn:
    """Find the nearest neighbours of each row of ``x``.

    Dense points with one of the commonest metrics are searched by `lazyomics.graph.nearest`.

    Parameters
    ----------
    x
        ndarray or scipy sparse, shape (n_obs, n_features); a lazy dense matrix where
        `searches_here` and `reads_blocks`.
    n_neighbors
        Neighbours of each cell, itself included.
    knn
        False keeps the distances between all pairs, dense.
    transformer
        None (the own search; for other metrics and sparse points scikit-learn for few cells,
        else pynndescent), ``"sklearn"``, ``"pynndescent"``, or an object with scikit-learn's
        transformer interface.
    metric, metric_kwds
        Name or function of the distance, and its options.
    random_state
        Seed of the approximate search.
    recall
        Share of the nearest that the own search is to find.
    """
    n_obs = int(x.shape[0])
    kwds = dict(metric_kwds or {})
    is_own = searches_here(knn=knn, transformer=transformer, metric=metric, metric_kwds=kwds)
    if is_own and not sparse.issparse(x):
        return _own_search(x, n_neighbors, str(metric), random_state, recall)
    exact = not knn or is_exact(n_obs, transformer, metric)
    if exact:
        if not knn:
            _check_all_pairs_fit(n_obs)
        wanted = min(n_obs - 1, n_neighbors) if knn else n_obs - 1
        searcher = _exact_searcher(wanted, metric, kwds)
    elif transformer is None or isinstance(transformer, str):
        tuning = umap_tuning(n_obs) if transformer is None else {}
        searcher = approximate_searcher(n_neighbors, metric, kwds, random_state, tuning)
    else:
        searcher = transformer
    found = sparse.csr_matrix(searcher.fit_transform(x))
    indices, lengths = indices_and_distances(found, n_neighbors)
    if not exact:
        return Knn(found, indices, lengths)
    return _tidy_exact(found, indices, lengths, dense=not knn)


def searches_here(
    *, knn: bool, transformer: Any, metric: Metric, metric_kwds: Mapping[str, Any] | None
) -> bool:
    """Return whether dense points are searched by `lazyomics.graph.nearest`."""
    known = isinstance(metric, str) and metric in METRICS
    return knn and transformer is None and known and not metric_kwds


def reads_blocks(n_obs: int, n_neighbors: int, recall: float) -> bool:
    """Return whether the own search takes points a block of rows at a time, also from disk."""
    return not compares_all(n_obs, n_neighbors - 1, recall)


def _own_search(x: Any, n_neighbors: int, metric: str, random_state: Any, recall: float) -> Knn:
    seed = seed_of(random_state)
    found = nearest(x, n_neighbors - 1, metric=metric, recall=recall, seed=seed)
    others = found.lengths
    if metric == "cosine" and x.dtype == np.float32:
        others = others.astype(np.float32, copy=False)  # as those of scikit-learn
    own = np.arange(len(x), dtype=np.int32)[:, None]
    indices = np.hstack([own, found.indices])
    lengths = np.hstack([np.zeros((len(x), 1), dtype=others.dtype), others])
    return Knn(as_matrix(found.indices, others), indices, lengths, found.recall)


def given_distances(distances: Any, n_obs: int, n_neighbors: int) -> Knn:
    """Read the nearest neighbours off distances that are known.

    Parameters
    ----------
    distances
        Dense or scipy sparse, shape (n_obs, n_obs); what is not stored is no neighbour. Stays as
        it is.
    n_obs, n_neighbors
        Cells, and neighbours of each, itself included.

    Raises
    ------
    ShapeError
        If they are of another number of cells.
    """
    if tuple(distances.shape) != (n_obs, n_obs):
        raise ShapeError(f"distances have shape {distances.shape}, expected {(n_obs, n_obs)}")
    if sparse.issparse(distances):
        held = sparse.csr_matrix(distances, copy=True)
        held.setdiag(0)
        held.eliminate_zeros()
        return Knn(held, *_nearest_stored(held, n_neighbors))
    full = np.array(distances)
    np.fill_diagonal(full, 0)
    order = full.copy()
    np.fill_diagonal(order, -1)  # the cell itself comes first, before others at distance 0
    indices = np.argsort(order, axis=1, kind="stable")[:, :n_neighbors]
    return Knn(full, indices, np.take_along_axis(full, indices, axis=1))


def _nearest_stored(d: sparse.csr_matrix, n_neighbors: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Tables of the nearest neighbours of rows that store them in any order and number."""
    nearest = _equalize(d, n_neighbors)
    shape = d.shape[0], n_neighbors
    return nearest.indices.reshape(shape), nearest.data.reshape(shape)


def is_exact(n_obs: int, transformer: Any, metric: Metric) -> bool:
    """Return whether scikit-learn searches, as in scanpy; otherwise pynndescent does."""
    if transformer is None:
        return n_obs < (EXACT_EUCLIDEAN_BELOW if metric == "euclidean" else EXACT_BELOW)
    if isinstance(transformer, str) and transformer not in ("sklearn", "pynndescent"):
        raise ValueError(
            "transformer must be None, 'sklearn', 'pynndescent' or an object with "
            f"fit_transform, found {transformer!r}"
        )
    return isinstance(transformer, str) and transformer == "sklearn"


def _check_all_pairs_fit(n_obs: int) -> None:
    # Distances in float64, their squares, the weights and one temporary.
    needed, allowed = n_obs * n_obs * 8 * 4, config.memory()
    if needed > allowed:
        raise MemoryError(
            f"knn=False on {n_obs} cells needs about {needed / 2**20:,.0f} MiB for distances "
            f"between all pairs, and lazyomics.memory allows {allowed / 2**20:,.0f} MiB. "
            "Use knn=True."
        )


def _exact_searcher(n_neighbors: int, metric: Metric, kwds: dict[str, Any]) -> Any:
    from sklearn.neighbors import KNeighborsTransformer

    return KNeighborsTransformer(
        algorithm="brute", n_jobs=1, n_neighbors=n_neighbors, metric=metric, metric_params=kwds
    )


def approximate_searcher(
    n_neighbors: int,
    metric: Metric,
    kwds: dict[str, Any],
    random_state: Any,
    tuning: dict[str, int],
    purpose: str = "pp.neighbors by pynndescent",
) -> Any:
    """Return pynndescent's transformer; ``tuning`` is ``umap_tuning`` or empty."""
    pynndescent = require("pynndescent", extra="umap", purpose=purpose)
    return pynndescent.PyNNDescentTransformer(
        n_neighbors=n_neighbors,
        metric=metric,
        metric_kwds=kwds,
        random_state=random_state,
        **tuning,
    )


def umap_tuning(n_obs: int) -> dict[str, int]:
    """Return the search effort that umap-learn chooses for this many cells.

    One thread, because pynndescent's result depends on their number: the same data and seed
    then give the same graph on every machine.
    """
    return {
        "n_jobs": 1,
        "n_trees": min(64, 5 + round(n_obs**0.5 / 20.0)),
        "n_iters": max(5, round(np.log2(n_obs))),
    }


def indices_and_distances(
    d: sparse.csr_matrix, n_neighbors: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a neighbour matrix as two tables of ``n_neighbors`` columns, the first the cell itself.

    Parameters
    ----------
    d
        CSR, shape (n_obs, n_obs); the stored values of a row are its neighbours, nearest first,
        with or without the row itself.
    n_neighbors
        Columns of the tables.
    """
    counts = np.diff(d.indptr)
    if counts.size and (counts != counts[0]).any():
        d = _equalize(d, n_neighbors)
        counts = np.diff(d.indptr)
    n_obs = d.shape[0]
    width = int(counts[0]) if counts.size else 0
    indices = d.indices.reshape(n_obs, width)
    lengths = d.data.reshape(n_obs, width)
    own = np.arange(n_obs)[:, None]
    # One row that starts with itself shows that all do: duplicates of a cell may come before it.
    if width == 0 or not (indices[:, :1] == own).any():
        indices = np.hstack([own, indices])
        lengths = np.hstack([np.zeros((n_obs, 1)), lengths])
    return indices[:, :n_neighbors], lengths[:, :n_neighbors]


def _equalize(d: sparse.csr_matrix, n_neighbors: int) -> sparse.csr_matrix:
    """Keep the nearest ``n_neighbors - 1`` others of each row and put the row itself first."""
    indices = np.empty((d.shape[0], n_neighbors), dtype=np.int64)
    lengths = np.zeros((d.shape[0], n_neighbors), dtype=d.dtype)
    for row in range(d.shape[0]):
        part = slice(d.indptr[row], d.indptr[row + 1])
        others, values = d.indices[part], d.data[part]
        others, values = others[others != row], values[others != row]
        nearest = np.argsort(values, kind="stable")[: n_neighbors - 1]
        if nearest.size < n_neighbors - 1:
            raise ValueError(
                f"the neighbour search found {nearest.size} neighbours of cell {row}, expected "
                f"at least {n_neighbors - 1}. Lower n_neighbors, or use transformer='sklearn'."
            )
        indices[row] = np.r_[row, others[nearest]]
        lengths[row, 1:] = values[nearest]
    return as_matrix(indices, lengths)


def _tidy_exact(
    found: sparse.csr_matrix, indices: NDArray[Any], lengths: NDArray[Any], *, dense: bool
) -> Knn:
    """Set a cell's distance to itself to exactly 0 and store only its other neighbours."""
    n_obs = found.shape[0]
    own = np.arange(n_obs)[:, None]
    lengths = np.where(indices == own, lengths.dtype.type(0), lengths)
    if not dense:
        return Knn(as_matrix(indices[:, 1:], lengths[:, 1:]), indices, lengths)
    full = found.toarray()
    np.fill_diagonal(full, 0)
    return Knn(full, indices, lengths)


def as_matrix(indices: NDArray[Any], lengths: NDArray[Any]) -> sparse.csr_matrix:
    """Make a matrix of neighbour tables, in their order."""
    n_obs, width = indices.shape
    indptr = np.arange(0, n_obs * width + 1, width) if width else np.zeros(n_obs + 1, dtype=int)
    # Zeros of duplicated cells stay stored: they are neighbours.
    return sparse.csr_matrix((lengths.ravel(), indices.ravel(), indptr), shape=(n_obs, n_obs))
