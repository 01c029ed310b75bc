"""UMAP's layout of a graph: all cells move at once, the same on any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lazyomics import lazy

__all__ = ["curve", "lay_out", "strong_edges"]

CELLS_AT_ONCE = 4096


def curve(spread: float, min_dist: float) -> tuple[float, float]:
    """Return a and b of ``1 / (1 + a d^(2b))``, fitted to the similarity that is asked for.

    Parameters
    ----------
    spread
        Scale on which similarity falls off.
    min_dist
        Distance up to which it is 1.

    Examples
    --------
    >>> from lazyomics.graph.layout import curve
    >>> [round(value, 3) for value in curve(1.0, 0.5)]
    [0.583, 1.334]
    """
    from scipy.optimize import curve_fit

    distances = np.linspace(0, spread * 3, 300)
    wanted = np.where(
        distances < min_dist, 1.0, np.exp(-np.maximum(distances - min_dist, 0) / spread)
    )
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), distances, wanted)
    return float(a), float(b)


def usual_epochs(n_obs: int, *, of_many: int) -> int:
    """Epochs of a layout where none are asked for, 500 of up to 10,000 cells."""
    return 500 if n_obs <= 10_000 else of_many


def strong_edges(graph: sparse.csr_matrix, n_epochs: int) -> sparse.csr_matrix:
    """Leave out edges so weak that they would not be due in that many epochs, as umap-learn does.

    Of few epochs, umap-learn's own number of them counts.
    """
    epochs = n_epochs if n_epochs > 10 else usual_epochs(graph.shape[0], of_many=200)
    strong = sparse.csr_matrix(graph, copy=True)
    strong.sum_duplicates()
    strong.data[strong.data < strong.data.max(initial=0) / epochs] = 0
    strong.eliminate_zeros()
    return strong


def lay_out(
    graph: sparse.csr_matrix,
    positions: NDArray[np.floating[Any]],
    *,
    a: float,
    b: float,
    n_epochs: int,
    alpha: float = 1.0,
    gamma: float = 1.0,
    n_negative: int = 5,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Let edges pull and other cells push for some epochs.

    In an epoch each cell sums up its forces, with all others where they were before, and moves by
    Adam's rule. umap-learn moves one pair after the other, which other threads would disturb.

    Parameters
    ----------
    graph
        Weights, symmetric, shape (n_obs, n_obs).
    positions
        Where cells begin, finite, shape (n_obs, n_components).
    a, b
        Of the similarity of two cells in the layout, as `curve` returns them.
    n_epochs
        Epochs. An edge of the largest weight pulls in each, weaker ones less often.
    alpha
        Length of the first steps; it falls to 0.
    gamma
        Weight of what pushes.
    n_negative
        Cells drawn to push, for each edge that pulls.
    seed
        Of these draws.

    Returns
    -------
    Positions, float32, shape (n_obs, n_components).

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP. doi:10.48550/arXiv.1802.03426;
    Melville, uwot, ``batch = TRUE``. https://jlmelville.github.io/uwot/articles/umap-simple.html;
    Kingma and Ba (2014), Adam. doi:10.48550/arXiv.1412.6980
    """
    from lazyomics.graph import layout_loops

    strong = strong_edges(graph, n_epochs)
    every = (strong.data.max(initial=0) / strong.data).astype(np.float32)
    due = every.copy()
    before = np.array(positions, dtype=np.float32, order="C")
    after = np.empty_like(before)
    direction, size = np.zeros_like(before), np.zeros_like(before)
    tables = _forces(a, b, gamma)
    n_obs, width = before.shape
    move: Any = layout_loops.move_in_plane if width == 2 else layout_loops.move
    with ThreadPoolExecutor(lazy.threads()) as pool:
        for epoch in lazy.tracked(range(n_epochs), n_epochs):
            rate = np.float32(alpha * (1 - epoch / n_epochs))

            def work(
                first: int,
                before: NDArray[np.float32] = before,
                after: NDArray[np.float32] = after,
                epoch: int = epoch,
                rate: np.float32 = rate,
            ) -> None:
                stop = min(first + CELLS_AT_ONCE, n_obs)
                graph = strong.indptr, strong.indices, every, due
                moment = n_negative, np.uint64(seed), epoch, rate, first, stop
                move(before, after, direction, size, *graph, *tables, *moment)

            for _ in pool.map(work, range(0, n_obs, CELLS_AT_ONCE)):
                pass
            before, after = after, before
    return before


def _forces(a: float, b: float, gamma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Attraction and repulsion by squared distance, over the distance, at the knots."""
    from lazyomics.graph.layout_loops import HIGHEST, KNOT_BITS, LOWEST

    knots = np.arange(((HIGHEST - LOWEST) << KNOT_BITS) + 1)
    per_power = 1 << KNOT_BITS
    squared = (1 + knots % per_power / per_power) * 2.0 ** (knots // per_power + LOWEST)
    falling = 1 + a * squared**b
    attraction = -2 * a * b * squared ** (b - 1) / falling
    repulsion = 2 * gamma * b / ((0.001 + squared) * falling)
    with_steps = [np.stack([f[:-1], np.diff(f)], axis=1) for f in (attraction, repulsion)]
    return with_steps[0].astype(np.float32), with_steps[1].astype(np.float32)
