"""Weighted nearest neighbours: which cells are near in several modalities together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import lazy
from lazyomics.compiled import compiled
from lazyomics.graph.nearest import nearest

__all__ = ["Side", "affinity_weights", "bandwidths", "joint_neighbors"]

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Side:
    """One modality of the cells of a whole.

    Attributes
    ----------
    points
        Its representation, float, shape (n_here, n_features).
    graph
        Distances between neighbours within it, CSR, shape (n_here, n_here), sorted indices.
    rows
        Position of each cell of the whole here, −1 where it is absent, int, shape (n_obs,).
    """

    points: NDArray[np.floating[Any]]
    graph: sparse.csr_matrix
    rows: NDArray[np.int64]

    @property
    def cells(self) -> NDArray[np.int64]:
        """Position in the whole of each cell that is here, int, shape (n_here,)."""
        present = np.flatnonzero(self.rows >= 0)
        found = np.empty(len(present), dtype=np.int64)
        found[self.rows[present]] = present
        return found


def bandwidths(side: Side, n_neighbors: int) -> NDArray[np.float64]:
    """Width of the kernel of each cell: its mean distance from the edge of its surrounding.

    There are the ``n_neighbors`` cells that share the smallest share of neighbours with it, but at
    least one; of those that share as much, the farthest. Where fewer share any, all of them; where
    none does, its own neighbours.

    Returns
    -------
    float, shape (n_here,)

    Notes
    -----
    Memory: the graph twice, and 8 bytes a cell for each thread.

    References
    ----------
    Hao et al. (2021), weighted nearest neighbours. doi:10.1016/j.cell.2021.04.048
    """
    graph, points = side.graph, side.points
    back = sparse.csr_matrix(
        (np.ones(graph.nnz, dtype=np.int8), graph.indices, graph.indptr), shape=graph.shape
    ).T.tocsr()
    extent = float(np.linalg.norm(np.ptp(points, axis=0).astype(np.float64)))
    widths = np.empty(len(points))

    def work(first: int) -> None:
        last = min(first + ROWS_AT_ONCE, len(points))
        ways = graph.indptr, graph.indices, back.indptr, back.indices
        _edge_distances(*ways, points, first, last, n_neighbors, extent, widths)

    _in_threads(work, len(points))
    return widths


@compiled
def _edge_distances(
    start: NDArray[Any],
    indices: NDArray[Any],
    back_start: NDArray[Any],
    back_indices: NDArray[Any],
    points: NDArray[Any],
    first: int,
    last: int,
    k: int,
    extent: float,
    widths: NDArray[np.float64],
) -> None:
    n = len(points)
    shared = np.zeros(n, dtype=np.int32)
    met = np.empty(n, dtype=np.int32)
    scores = np.empty(k)
    lengths = np.empty(k)
    for i in range(first, last):
        n_met = 0
        for a in range(start[i], start[i + 1]):
            middle = indices[a]
            for b in range(back_start[middle], back_start[middle + 1]):
                j = back_indices[b]
                if j == i:
                    continue
                if shared[j] == 0:
                    met[n_met] = j
                    n_met += 1
                shared[j] += 1
        n_own = start[i + 1] - start[i]
        kept = 0
        for m in range(n_met):
            j = met[m]
            either = n_own + start[j + 1] - start[j] - shared[j]
            apart = float(either - shared[j]) / either  # Jaccard's distance
            shared[j] = 0
            if kept == k and n - apart * n > scores[k - 1]:
                continue
            squares = 0.0
            for f in range(points.shape[1]):
                difference = np.float64(points[i, f]) - np.float64(points[j, f])
                squares += difference * difference
            length = np.sqrt(squares)
            # As muon: steps of the first part are wider than the second, which breaks ties.
            nearer = (extent - length) / extent if extent > 0 else 0.0
            score = (n - apart * n) + nearer
            if kept == k and score >= scores[k - 1]:
                continue
            at = kept if kept < k else k - 1
            while at > 0 and scores[at - 1] > score:
                scores[at], lengths[at] = scores[at - 1], lengths[at - 1]
                at -= 1
            scores[at], lengths[at] = score, length
            kept = min(kept + 1, k)
        total = 0.0
        if kept > 0:
            for m in range(kept):
                total += lengths[m]
            widths[i] = total / kept
            continue
        for a in range(start[i], start[i + 1]):
            squares = 0.0
            for f in range(points.shape[1]):
                difference = np.float64(points[i, f]) - np.float64(points[indices[a], f])
                squares += difference * difference
            total += np.sqrt(squares)
        widths[i] = total / n_own


def affinity_weights(
    sides: Sequence[Side], widths: Sequence[NDArray[np.float64]], eps: float
) -> NDArray[np.float64]:
    """How much each modality tells of the surrounding of each cell.

    A cell is predicted, in a modality, by the mean of its neighbours there, and by that of its
    neighbours in each other modality. Where the first is nearer to it, the modality weighs more.

    Returns
    -------
    float, shape (n_obs, n_modalities)
        Rows have the sum 1; 0 where a cell is absent from a modality.

    Notes
    -----
    Memory: the graphs twice, and the largest representation twice, in float64.
    """
    from scipy.special import softmax

    ratios = np.full((len(sides[0].rows), len(sides)), -np.inf)
    for i, side in enumerate(sides):
        nearest_there = np.minimum.reduceat(side.graph.data, side.graph.indptr[:-1])
        spread = widths[i] - nearest_there
        own, best = np.empty(0), np.full(len(side.points), -np.inf)
        for other in sides:
            beyond = np.maximum(_prediction_errors(side, other) - nearest_there, 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                affinity = np.exp(-beyond / spread)
            # Without a spread, as among cells in one place, 0/0: a perfect prediction.
            affinity = np.where((beyond == 0) & (spread == 0), 1.0, affinity)
            if other is side:
                own = affinity
            else:
                best = np.fmax(best, affinity)  # unknown where the neighbours are not here
        ratios[side.cells, i] = own / (best + eps)
    weights: NDArray[np.float64] = softmax(ratios, axis=1)
    return weights


def _prediction_errors(side: Side, other: Side) -> NDArray[np.float64]:
    """Distance of each cell from the mean of its neighbours by another modality, NaN without."""
    graph = other.graph
    away = graph.data != 0  # neighbours in the same place count only where all are
    n_away = np.add.reduceat(away, graph.indptr[:-1], dtype=np.int64)
    away |= np.repeat(n_away == 0, np.diff(graph.indptr))
    there = sparse.csr_matrix(
        (away.astype(np.float64), graph.indices, graph.indptr), shape=graph.shape
    )
    if other is not side and not np.array_equal(side.rows, other.rows):
        # Row and column of each cell that is here; those that are absent there have no neighbours.
        places = other.rows[side.cells]
        held = np.flatnonzero(places >= 0)
        ones = np.ones(len(held))
        picked = sparse.csr_matrix(
            (ones, (held, places[held])), shape=(len(places), there.shape[0])
        )
        there = picked @ there @ picked.T
    errors = np.empty(len(side.points))

    def work(first: int) -> None:
        part = slice(first, first + ROWS_AT_ONCE)
        rows = there[part]
        with np.errstate(invalid="ignore"):
            means = (rows @ side.points) / np.asarray(rows.sum(axis=1)).reshape(-1, 1)
        errors[part] = np.linalg.norm(side.points[part] - means, axis=1)

    _in_threads(work, len(errors))
    return errors


def joint_neighbors(
    sides: Sequence[Side],
    widths: Sequence[NDArray[np.float64]],
    weights: NDArray[np.float64],
    n_neighbors: int,
    *,
    n_candidates: int,
    metric: str = "euclidean",
    recall: float = 0.99,
    seed: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Nearest others of each cell by the weighted mean of its kernels.

    Parameters
    ----------
    sides, widths, weights
        Modalities, and what `bandwidths` and `affinity_weights` say of them.
    n_neighbors
        Neighbours of each cell, without itself.
    n_candidates
        Nearest others of each cell, in each modality, that are looked at.
    metric
        Name of a distance of ``scipy.spatial.distance.cdist``, for the kernels.
    recall, seed
        Of the search for candidates, which is euclidean.

    Returns
    -------
    Indices, int, and distances, float32, both of shape (n_obs, n_neighbors)
        Nearest first; of cells as near as each other the lower number comes first.

    Raises
    ------
    ValueError
        If a cell has fewer candidates than neighbours.

    Notes
    -----
    Memory: 4 bytes for each cell, modality and candidate, and what the search for these takes.
    """
    tables = []
    for side in sides:
        k = min(n_candidates, len(side.points) - 1)
        found = nearest(side.points, k, recall=recall, seed=seed)
        tables.append(found.indices)
    n_obs = len(weights)
    indices = np.empty((n_obs, n_neighbors), dtype=np.int64)
    lengths = np.empty((n_obs, n_neighbors), dtype=np.float32)
    cells = [side.cells for side in sides]

    def work(first: int) -> None:
        part = slice(first, first + ROWS_AT_ONCE)
        candidates = _candidates(sides, cells, tables, part, n_neighbors)
        likeness = np.zeros(candidates.shape)
        for i, side in enumerate(sides):
            weight = weights[part, i]
            if metric == "euclidean":
                width = widths[i]
                _add_kernels(side.points, side.rows, first, candidates, width, weight, likeness)
            else:
                _add_kernels_by_scipy(side, first, candidates, widths[i], weight, likeness, metric)
        # In float32, as muon ranks them.
        apart = np.sqrt(np.maximum(0.5 * (1 - likeness), 0)).astype(np.float32)
        apart[candidates < 0] = np.inf
        order = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbors]
        indices[part] = np.take_along_axis(candidates, order, axis=1)
        lengths[part] = np.take_along_axis(apart, order, axis=1)

    _in_threads(work, n_obs)
    bad = np.flatnonzero((indices < 0).any(axis=1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} cells, first number {bad[0]}, have fewer than {n_neighbors} candidates "
            "for joint neighbours: raise n_multineighbors, or lower n_neighbors"
        )
    return indices, lengths


def _candidates(
    sides: Sequence[Side],
    cells: Sequence[NDArray[np.int64]],
    tables: Sequence[NDArray[np.int32]],
    part: slice,
    at_least: int,
) -> NDArray[np.int64]:
    """Cells of the whole to look at, ascending and once in each row; −1 for none."""
    missing = max(at_least - sum(table.shape[1] for table in tables), 0)
    found = [np.full((len(sides[0].rows[part]), missing), -1)]
    for side, of_whole, table in zip(sides, cells, tables, strict=True):
        rows = side.rows[part]
        here = of_whole[table[rows]]  # rows of absent cells are any row's, and are not used
        here[rows < 0] = -1
        found.append(here)
    merged = np.sort(np.hstack(found), axis=1)
    merged[:, 1:][merged[:, 1:] == merged[:, :-1]] = -1
    return merged


@compiled
def _add_kernels(
    points: NDArray[Any],
    rows: NDArray[np.int64],
    first: int,
    candidates: NDArray[np.int64],
    widths: NDArray[np.float64],
    weights: NDArray[np.float64],
    likeness: NDArray[np.float64],
) -> None:
    """Add the weighted kernels of one modality, for cells of the whole from ``first`` on."""
    for r in range(len(candidates)):
        here = rows[first + r]
        if here < 0:
            continue
        for c in range(candidates.shape[1]):
            if candidates[r, c] < 0:
                continue
            there = rows[candidates[r, c]]
            if there < 0:
                continue
            squares = 0.0
            for f in range(points.shape[1]):
                difference = np.float64(points[here, f]) - np.float64(points[there, f])
                squares += difference * difference
            if squares == 0:
                likeness[r, c] += weights[r]
            elif widths[here] > 0:
                likeness[r, c] += weights[r] * np.exp(-np.sqrt(squares) / widths[here])


def _add_kernels_by_scipy(
    side: Side,
    first: int,
    candidates: NDArray[np.int64],
    widths: NDArray[np.float64],
    weights: NDArray[np.float64],
    likeness: NDArray[np.float64],
    metric: str,
) -> None:
    from scipy.spatial.distance import cdist

    for r, others in enumerate(candidates):
        here = side.rows[first + r]
        there = np.where(others >= 0, side.rows[others], -1)
        held = np.flatnonzero(there >= 0)
        if here < 0 or len(held) == 0:
            continue
        apart = cdist(side.points[here : here + 1], side.points[there[held]], metric=metric)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            kernel = np.exp(-apart / widths[here])
        likeness[r, held] += weights[r] * np.where(apart == 0, 1.0, kernel)


def _in_threads(work: Callable[[int], None], n_rows: int) -> None:
    with ThreadPoolExecutor(lazy.threads()) as pool:
        for _ in pool.map(work, range(0, n_rows, ROWS_AT_ONCE)):
            pass
