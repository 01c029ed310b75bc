"""Where new cells lie among those of a reference: nearest cells, labels, and a UMAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lazyomics.errors import require
from lazyomics.tl.umap import load_umap

__all__ = ["Nearest", "majority_labels", "nearest_cells", "place_in_umap"]

EXACT_BELOW = 8192  # cells of the reference, of which all are looked at
ROWS_AT_ONCE = 4096  # whose distances to neighbours are taken again
TRANSFORM_SEED = 42  # of umap-learn's transform, whatever seed the embedding had
FEW_CELLS, EPOCHS_OF_FEW, EPOCHS_OF_MANY = 10_000, 100, 30  # as there
EMPTY = -1


@dataclass(frozen=True, eq=False)
class Nearest:
    """Cells of a reference that are nearest to each of n new cells, nearest first.

    Attributes
    ----------
    indices
        int, shape (n, k).
    distances
        float32, shape (n, k).
    """

    indices: NDArray[Any]
    distances: NDArray[np.float32]


def nearest_cells(
    reference: Any,
    queried: Any,
    k: int,
    *,
    metric: Any = "euclidean",
    metric_kwds: dict[str, Any] | None = None,
    epsilon: float = 0.1,
    random_state: Any = 0,
) -> Nearest:
    """Find the nearest cells of a reference.

    Parameters
    ----------
    reference, queried
        ndarray or scipy sparse, with the same columns.
    k
        Neighbours of each cell.
    metric, metric_kwds
        Name or function of the distance, and its options.
    epsilon, random_state
        How far an approximate search looks around, and its seed.

    Returns
    -------
    Exact ones in a reference of fewer than 8,192 cells, otherwise those that pynndescent finds.
    """
    kwds = dict(metric_kwds or {})
    if reference.shape[0] >= EXACT_BELOW:
        pynndescent = require("pynndescent", extra="umap", purpose="tl.ingest of many cells")
        index = pynndescent.NNDescent(
            reference, metric=metric, metric_kwds=kwds, n_neighbors=k, random_state=random_state
        )
        found = index.query(queried, k, epsilon)
        return Nearest(found[0], found[1].astype(np.float32))
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(
        n_neighbors=k, algorithm="brute", metric=metric, metric_params=kwds or None
    )
    lengths, indices = search.fit(reference).kneighbors(queried)
    if metric != "euclidean" or sparse.issparse(reference) or sparse.issparse(queried):
        return Nearest(indices, lengths.astype(np.float32))
    return _measured_again(reference, queried, indices)


def _measured_again(reference: Any, queried: Any, indices: NDArray[Any]) -> Nearest:
    """Take the distances as sums of squared differences: products cancel where cells are close."""
    lengths = np.empty(indices.shape, dtype=np.float32)
    for low in range(0, len(queried), ROWS_AT_ONCE):
        rows = slice(low, low + ROWS_AT_ONCE)
        off = queried[rows, None, :] - reference[indices[rows]]
        lengths[rows] = np.sqrt(np.square(off).sum(axis=2, dtype=np.float64))
    order = np.argsort(lengths, axis=1, kind="stable")
    return Nearest(
        np.take_along_axis(indices, order, axis=1), np.take_along_axis(lengths, order, axis=1)
    )


def majority_labels(labels: pd.Series[Any], indices: NDArray[Any]) -> pd.Categorical[Any]:
    """The commonest label among the neighbours of each cell, the first category of equal ones.

    Parameters
    ----------
    labels
        Of the reference.
    indices
        Neighbours, shape (n, k). One whose label is missing has no vote.

    Returns
    -------
    With the categories of the reference; missing where no neighbour has a label.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from lazyomics.tl.projection import majority_labels
    >>> list(majority_labels(pd.Series(["b", "a", "b"]), np.array([[0, 1, 2], [1, 1, 0]])))
    ['b', 'a']
    """
    known = labels.astype("category")
    codes = known.cat.codes.to_numpy()
    n_categories = len(known.cat.categories)
    chosen = np.full(len(indices), EMPTY, dtype=np.int64)
    for low in range(0, len(indices) if n_categories else 0, ROWS_AT_ONCE):
        votes = codes[indices[low : low + ROWS_AT_ONCE]].astype(np.int64)
        place = np.arange(len(votes))[:, None] * n_categories + votes
        counted = np.bincount(place[votes >= 0], minlength=len(votes) * n_categories)
        counts = counted.reshape(len(votes), n_categories)
        best = counts.argmax(axis=1)
        chosen[low : low + len(votes)] = np.where(counts.any(axis=1), best, EMPTY)
    return pd.Categorical.from_codes(chosen, categories=known.cat.categories)


def place_in_umap(
    nearest: Nearest, embedding: NDArray[Any], *, a: float, b: float, metric: Any
) -> NDArray[np.float32]:
    """Place new cells in an embedding that stays as it is, as umap-learn's ``transform`` does.

    Parameters
    ----------
    nearest
        Neighbours in the embedded reference.
    embedding
        Of the reference, shape (n_reference, n_components).
    a, b
        Shape of the embedding's similarity.
    metric
        Of the neighbours: some have a largest distance, which is none.

    Returns
    -------
    float32 array, shape (n, n_components).

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426
    """
    umap_ = load_umap("tl.ingest of 'umap'")
    layouts = require("umap.layouts", extra="umap", purpose="tl.ingest of 'umap'")
    draws = np.random.RandomState(TRANSFORM_SEED)
    state = draws.randint(umap_.INT32_MIN, umap_.INT32_MAX, 3).astype(np.int64)
    indices = nearest.indices.astype(np.int32)
    farthest = umap_.DISCONNECTION_DISTANCES.get(metric, np.inf)
    indices[nearest.distances >= farthest] = EMPTY
    n, k = indices.shape
    lengths = np.ascontiguousarray(nearest.distances)
    sigmas, rhos = umap_.smooth_knn_dist(lengths, float(k), local_connectivity=0.0)
    rows, columns, values, _ = umap_.compute_membership_strengths(
        indices, lengths, sigmas, rhos, bipartite=True
    )
    graph = sparse.coo_matrix((values, (rows, columns)), shape=(n, len(embedding)))
    weights = graph.tocsr()
    weights.eliminate_zeros()
    start = umap_.init_graph_transform(weights, embedding)
    n_epochs = EPOCHS_OF_FEW if n <= FEW_CELLS else EPOCHS_OF_MANY
    graph.data[graph.data < graph.data.max(initial=0) / float(n_epochs)] = 0.0
    graph.eliminate_zeros()
    placed = layouts.optimize_layout_euclidean(
        start,
        embedding.astype(np.float32, copy=True),
        graph.row,
        graph.col,
        n_epochs,
        graph.shape[1],
        umap_.make_epochs_per_sample(graph.data, n_epochs),
        a,
        b,
        state,
        1.0,
        0.25,
        5,
        False,
    )
    return np.asarray(placed)
