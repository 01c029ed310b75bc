"""Doublet scores of cells: how many of their neighbours are simulated doublets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import lazy
from lazyomics.errors import warn_user
from lazyomics.graph.nearest import METRICS, nearest
from lazyomics.graph.search import approximate_searcher, is_exact, umap_tuning
from lazyomics.graph.seeds import seed_of
from lazyomics.kernels.moments import moments
from lazyomics.kernels.product import project
from lazyomics.kernels.steps import AsType, ScaleCols
from lazyomics.pp.pca import pca

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["Scores", "Scoring", "score_doublets"]

POINTS_AT_A_TIME = 8192  # whose neighbours are held at once


@dataclass(frozen=True)
class Scoring:
    """How cells are scored; the parameters of ``pp.scrublet`` of the same names."""

    n_neighbors: int
    expected_doublet_rate: float
    mean_center: bool
    normalize_variance: bool
    n_prin_comps: int
    use_approx_neighbors: bool | None
    knn_dist_metric: Any
    get_doublet_neighbor_parents: bool


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of cells and doublets.

    Attributes
    ----------
    cells, doublets
        float64, shapes (n,) and (m,).
    neighbor_parents
        Parents of the doublets among the neighbours of each cell, ascending; None if nobody asked.
    """

    cells: NDArray[np.float64]
    doublets: NDArray[np.float64]
    neighbor_parents: list[NDArray[np.int64]] | None


def score_doublets(
    cells: RowBlocks, doublets: RowBlocks, parents: NDArray[Any], how: Scoring, seed: Any
) -> Scores:
    """Score cells by the doublets among their neighbours.

    Parameters
    ----------
    cells, doublets
        Normalised, shapes (n, p) and (m, p).
    parents
        Positions of the two cells of each doublet, shape (m, 2).
    how
        Parameters.
    seed
        Seed, or a ``numpy.random.RandomState``.

    Raises
    ------
    ValueError
        If there are too few cells or genes for the components, or a gene does not vary.

    Notes
    -----
    Passes: over the cells those of ``pp.pca``, and 1 for means and variances; over the doublets 1.
    """
    from sklearn.utils import check_random_state

    generator = check_random_state(seed)
    points = _embedded(cells, doublets, how, generator)
    n, m = int(cells.shape[0]), int(doublets.shape[0])
    width = round(how.n_neighbors * (1 + m / n))
    if width < 2:
        raise ValueError(f"n_neighbors={how.n_neighbors} must be larger, so that there are any")
    exact = _is_exact(n + m, how)
    parts = _exact(points, width, how) if exact else _approximate(points, width, how, generator)
    among, itself = np.empty(n + m, dtype=np.int64), exact
    found: list[NDArray[np.int64]] | None = [] if how.get_doublet_neighbor_parents else None
    at = 0
    for others in parts:
        of_part = slice(at, at + len(others))
        among[of_part] = np.count_nonzero(others >= n, axis=1)
        itself &= not (others[:, 0] == np.arange(n + m)[of_part]).any()
        if found is not None:
            of_cells = others[: max(n - at, 0)]
            found += [np.unique(parents[row[row >= n] - n]) for row in of_cells]
        at = of_part.stop
    if itself:
        # Doublets are neighbours of their own, unless something in the same place came before one:
        # scanpy, too, then finds them among the others, and adds none.
        among[n:] += 1
    likely = _likelihoods(among, width, m / n, how)
    return Scores(likely[:n], likely[n:], found)


def _embedded(
    cells: RowBlocks, doublets: RowBlocks, how: Scoring, generator: np.random.RandomState
) -> NDArray[np.float64]:
    """Coordinates of cells and doublets on the components of the cells, shape (n + m, k).

    Values are scaled in float64 and stay sparse: the mean is subtracted from the coordinates.
    """
    smaller = min(cells.shape)
    if not 1 <= how.n_prin_comps < smaller:
        raise ValueError(
            f"n_prin_comps={how.n_prin_comps} must be at least 1 and below {smaller}, the smaller "
            f"one of {cells.shape[0]} cells and {cells.shape[1]} genes that are left"
        )
    cells, doublets = (lazy.map_rows(x, AsType("<f8")) for x in (cells, doublets))
    center = None
    if how.mean_center or how.normalize_variance:
        (state,) = lazy.compute(lazy.fold_rows(cells, moments))
        center = state.mean[0]
        if how.normalize_variance:
            spread = np.sqrt(state.variance()[0])
            if (spread == 0).any():
                raise ValueError(
                    f"{np.count_nonzero(spread == 0)} genes have the same value in all cells, so "
                    "that their variance cannot be normalised: leave them out"
                )
            center = center / spread
            cells, doublets = (lazy.map_rows(x, ScaleCols(spread)) for x in (cells, doublets))
    # scanpy's components start from these numbers; the search for neighbours goes on behind them
    generator.uniform(-1, 1, size=smaller)
    found: Any = pca(
        cells,
        how.n_prin_comps,
        zero_center=how.mean_center,
        dtype="float64",
        mask_var=None,
        return_info=True,
    )
    coordinates, axes = found[:2]
    projected = lazy.collect_rows(
        doublets,
        project,
        dtype=np.float64,
        columns=how.n_prin_comps,
        axes=axes.T.copy(),
        offset=axes @ center if how.mean_center else None,
    )
    return np.concatenate([coordinates, *lazy.compute(projected)])


def _is_exact(n_points: int, how: Scoring) -> bool:
    if how.use_approx_neighbors is not None:
        return not how.use_approx_neighbors
    return is_exact(n_points, None, how.knn_dist_metric)


def _fitting(width: int, n_points: int) -> int:
    if width <= n_points:
        return width
    fewer = 1 + n_points // 2
    warn_user(f"{width} neighbours of {n_points} cells and doublets are too many; using {fewer}")
    return fewer


def _exact(points: NDArray[np.float64], width: int, how: Scoring) -> Iterator[NDArray[Any]]:
    """All but the nearest neighbour, which the point is itself, of consecutive points."""
    from sklearn.neighbors import NearestNeighbors

    n = len(points)
    width = _fitting(width, n)
    search = NearestNeighbors(algorithm="brute", metric=how.knn_dist_metric, n_jobs=1).fit(points)
    for start in range(0, n, POINTS_AT_A_TIME):
        of_part = points[start : start + POINTS_AT_A_TIME]
        found = search.kneighbors(of_part, min(width + 1, n), return_distance=False)
        yield found[:, 1:width]


def _approximate(
    points: NDArray[np.float64], width: int, how: Scoring, generator: np.random.RandomState
) -> Iterator[NDArray[Any]]:
    """Neighbours of all points, in the order of their positions, as scanpy takes them.

    It searches one more than it needs, the point itself among them, drops the last, and the first
    if it is told to search approximately.
    """
    n = len(points)
    width = _fitting(width, n)
    first = 1 if how.use_approx_neighbors else 0
    if how.knn_dist_metric in METRICS:
        metric, seed = str(how.knn_dist_metric), seed_of(generator)
        others = nearest(points, min(width, n - 1), metric=metric, seed=seed).indices
        for start in range(0, n, POINTS_AT_A_TIME):
            part = others[start : start + POINTS_AT_A_TIME]
            own = np.arange(start, start + len(part), dtype=part.dtype)[:, None]
            yield np.sort(np.hstack([own, part]), axis=1)[:, first:width]
        return
    tuning = umap_tuning(n) if how.use_approx_neighbors is None else {}
    search = approximate_searcher(
        width, how.knn_dist_metric, {}, generator, tuning, "pp.scrublet on many cells"
    )
    found = search.fit_transform(points)
    if (np.diff(found.indptr) != width + 1).any() or found.indices.min() < 0:
        raise ValueError(
            f"the approximate search did not find {width} neighbours of every cell and doublet; "
            "pass use_approx_neighbors=False, or fewer n_neighbors"
        )
    yield found.indices.reshape(n, width + 1)[:, first:width]


def _likelihoods(
    among: NDArray[np.int64], width: int, ratio: float, how: Scoring
) -> NDArray[np.float64]:
    """Likelihood of being a doublet, of which ``among`` neighbours of ``width`` are doublets."""
    rate = how.expected_doublet_rate
    share = (among + 1) / (width + 2)
    return np.asarray(share * rate / ratio / (1 - rate - share * (1 - rate - rate / ratio)))
