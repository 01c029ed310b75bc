"""Nearest neighbours of each of many points: exact for some, by cells of k-means for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.graph.points import Points, sorted_rows
from lazyomics.kernels.blas import one_blas_thread

__all__ = ["EXACT_BELOW", "METRICS", "Nearest", "is_exact", "nearest"]

METRICS = ("euclidean", "cosine", "correlation")
EXACT_BELOW = 20_000  # points: with more of them the cells are faster
# So are they only for lists much shorter than the root of the number of points: k² neighbours of
# neighbours are looked at, each at the price of about five products of a matrix.
EXACT_BELOW_SQUARES = 5

ROWS, COLUMNS = 256, 2048  # of a tile of products, 2 or 4 MiB
CELLS_PER_ROOT = 4  # cells for each square root of the number of points
SAMPLED_PER_CELL = 24  # points that the centres are found with
ROUNDS = 4  # of k-means: it need not converge, as cells are only where one looks first
ASSIGNED_AT_ONCE = 1024
CHECKED = 1_000  # points whose exact neighbours are known, to measure recall
FIRST_PROBES = 8  # cells to visit at first
EQUAL = 1 + 1e-5  # squared distances this close are the same in float32


class Nearest(NamedTuple):
    """Neighbours of each point, without itself, nearest first.

    Attributes
    ----------
    indices
        int32, shape (n, k). Of points as near as each other the lower number comes first.
    lengths
        Distances, shape (n, k): float64 of an exact search, float32 of one by cells.
    recall
        None if the search was exact, else the share of the k nearest that were found of
        1,000 points.
    """

    indices: NDArray[np.int32]
    lengths: NDArray[np.floating[Any]]
    recall: float | None


def is_exact(n: int, k: int, recall: float) -> bool:
    """Return whether `nearest` compares all points with each other."""
    return n < max(EXACT_BELOW, EXACT_BELOW_SQUARES * k**2) or recall >= 1


def nearest(
    x: Any, k: int, *, metric: str = "euclidean", recall: float = 0.99, seed: int = 0
) -> Nearest:
    """Find the k nearest others of each point.

    Exact below 20,000 points or 5 k² (and for ``recall=1``): all products in float64, tile by
    tile. Else k-means divides the points into cells, each looks through the cells next to its own,
    and then at the neighbours of its neighbours. More cells are looked through until enough is
    found for 1,000 points whose exact neighbours are known. The result has the same bits on any
    number of threads.

    Parameters
    ----------
    x
        Finite numbers, shape (n, d), n > k: ndarray, or lazy dense matrix, of which blocks of rows
        are read, in a search by cells three times.
    k
        Neighbours of each point.
    metric
        One of `METRICS`. Points without a direction (rows of zeros; for ``"correlation"``, rows of
        one value) have the distance 0 from each other and 1 from all others.
    recall
        Share of the true neighbours that is to be found.
    seed
        Of the sample that cells and recall are found with.

    Notes
    -----
    Memory: the points once (in float32 by cells, else in float64), twice n × k values of 8 bytes,
    a block of 4 million coordinates, and a few MiB for each thread. By cells, points that do not
    fit ``lazyomics.memory`` are put into a temporary file.

    References
    ----------
    Jégou, Douze and Schmid (2011), inverted files. doi:10.1109/TPAMI.2010.57;
    Dong, Moses and Li (2011), neighbours of neighbours. doi:10.1145/1963405.1963487

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.graph.nearest import nearest
    >>> nearest(np.array([[0.0], [1.0], [3.0]]), 1)
    Nearest(indices=array([[1],
           [0],
           [1]], dtype=int32), lengths=array([[1.],
           [1.],
           [2.]]), recall=None)
    """
    exact = is_exact(len(x), k, recall)
    points = Points.of(x, metric)
    reached = None
    with one_blas_thread(), ThreadPoolExecutor(lazy.threads()) as pool:
        if exact:
            table = points.table(np.dtype(np.float64), pool)
            rows = np.arange(len(table), dtype=np.int32)
            indices, lengths = _exact(table, rows, k, pool)
        else:
            indices, lengths, reached = _by_cells(points, k, recall, seed, pool)
    if metric == "euclidean":
        np.sqrt(lengths, out=lengths)
        lengths *= lengths.dtype.type(points.scale)
    else:
        lengths /= 2  # |u - v|² = 2 (1 - u·v) of directions u and v
    return Nearest(indices, lengths, reached)


def _squared_norms(points: NDArray[Any]) -> NDArray[Any]:
    norms: NDArray[Any] = np.einsum("ij,ij->i", points, points)
    return norms


def _empty_lists(n: int, k: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), np.inf, dtype=dtype)


def _exact(
    points: NDArray[Any], rows: NDArray[np.int32], k: int, pool: ThreadPoolExecutor
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Compare some points with all of them; lengths are squared."""
    from lazyomics.graph.nearest_loops import measure

    indices, lengths = _empty_lists(len(rows), k, points.dtype)
    everyone = np.arange(len(points), dtype=np.int32)
    norms = _squared_norms(points)

    def work(first: int) -> None:
        part = slice(first, first + ROWS)
        with one_blas_thread():
            _compare(points, norms, rows[part], everyone, indices[part], lengths[part])
        measure(points, rows[part], indices[part], lengths[part])

    _each(pool, work, range(0, len(rows), ROWS), many=len(rows) > CHECKED)
    return indices, lengths


def _compare(
    points: NDArray[Any],
    norms: NDArray[Any],
    rows: NDArray[np.int32],
    group: NDArray[np.int32],
    indices: NDArray[np.int32],
    lengths: NDArray[Any],
) -> None:
    """Keep the nearest of a group of candidates, tile by tile."""
    from lazyomics.graph.nearest_loops import keep_nearest

    left = points[rows] * points.dtype.type(-2)
    for first in range(0, len(group), COLUMNS):
        candidates = group[first : first + COLUMNS]
        products = left @ points[candidates].T
        keep_nearest(products, norms[candidates], candidates, rows, indices, lengths)


def _each(
    pool: ThreadPoolExecutor, work: Callable[[int], None], numbers: Sequence[int], *, many: bool
) -> None:
    """Call a function in threads; ``many`` says that it is worth a progress bar."""
    done = pool.map(work, numbers)
    for _ in lazy.tracked(done, len(numbers)) if many else done:
        pass


class _Cells(NamedTuple):
    """Points in the order of their cells.

    Attributes
    ----------
    points, norms
        (n, d) and (n,): the points, and their squared lengths.
    centers
        (c, d).
    start
        (c + 1,): where the points of each cell begin.
    order
        (n,): the number that each point came with.
    """

    points: NDArray[np.float32]
    norms: NDArray[np.float32]
    centers: NDArray[np.float32]
    start: NDArray[np.int64]
    order: NDArray[np.int32]


def _by_cells(
    points: Points, k: int, recall: float, seed: int, pool: ThreadPoolExecutor
) -> tuple[NDArray[np.int32], NDArray[Any], float]:
    random = np.random.default_rng(seed)
    cells = _divide(points, random, pool)
    n = len(cells.points)
    everyone = np.arange(n, dtype=np.int32)
    checked = np.sort(random.choice(everyone, CHECKED, replace=False))
    known = _exact(cells.points, checked, k, pool)[1]
    indices, lengths = _empty_lists(n, k, cells.points.dtype)
    before = 0
    for probes in _probes(len(cells.centers)):
        _look(cells, before, probes, indices, lengths, pool)
        before = probes
        if _recall(_refined(cells, checked, indices, pool)[1], known) >= recall:
            break
    found_indices, found = _refined(cells, everyone, indices, pool)
    # Back to the numbers that the points came with.
    indices[cells.order] = cells.order[found_indices]
    lengths[cells.order] = found
    return indices, lengths, _recall(found[checked], known)


def _probes(n_cells: int) -> Iterator[int]:
    """Numbers of cells to visit, each a half or a third more than the last: 8, 12, 16, 24, …."""
    probes = FIRST_PROBES
    while probes < n_cells:
        yield probes
        if probes * 3 // 2 < n_cells:
            yield probes * 3 // 2
        probes *= 2
    yield n_cells


def _recall(found: NDArray[Any], known: NDArray[Any]) -> float:
    """Share of the found that are as near as the farthest that belongs to the list."""
    return float((found <= known[:, -1:] * EQUAL).mean())


def _divide(points: Points, random: np.random.Generator, pool: ThreadPoolExecutor) -> _Cells:
    """Divide the points into cells around centres that k-means finds with a sample of them."""
    n, dtype = points.shape[0], np.dtype(np.float32)
    n_cells = int(CELLS_PER_ROOT * n**0.5)
    chosen = np.sort(random.choice(n, min(n, n_cells * SAMPLED_PER_CELL), replace=False))
    sample = np.empty((len(chosen), points.shape[1]), dtype=dtype)
    for part, rows in points.blocks(dtype, pool):
        here = slice(*np.searchsorted(chosen, (part.start, part.stop)))
        sample[here] = rows[chosen[here] - part.start]
    centers = sample[np.sort(random.choice(len(sample), n_cells, replace=False))]
    for _ in range(ROUNDS):
        order, start = _by_label(_nearest_center(sample, centers, pool), n_cells)
        filled = np.flatnonzero(np.diff(start))
        sums = np.add.reduceat(sample[order].astype(np.float64), start[filled], axis=0)
        centers[filled] = sums / np.diff(start)[filled, None]
    labels = np.empty(n, dtype=np.int32)
    for part, rows in points.blocks(dtype, pool):
        labels[part] = _nearest_center(rows, centers, pool)
    order, start = _by_label(labels, n_cells)
    ordered = sorted_rows(points, order, pool)
    return _Cells(ordered, _squared_norms(ordered), centers, start, order.astype(np.int32))


def _by_label(
    labels: NDArray[np.integer[Any]], n_labels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the points by label, and where each label begins."""
    counts = np.bincount(labels, minlength=n_labels)
    return np.argsort(labels, kind="stable"), np.concatenate(([0], np.cumsum(counts)))


def _nearest_center(
    points: NDArray[np.float32], centers: NDArray[np.float32], pool: ThreadPoolExecutor
) -> NDArray[np.int32]:
    labels = np.empty(len(points), dtype=np.int32)
    norms = _squared_norms(centers)
    turned = np.ascontiguousarray(centers.T) * np.float32(-2)

    def work(first: int) -> None:
        part = slice(first, first + ASSIGNED_AT_ONCE)
        with one_blas_thread():
            distances = points[part] @ turned
        distances += norms
        labels[part] = distances.argmin(axis=1)

    _each(pool, work, range(0, len(points), ASSIGNED_AT_ONCE), many=False)
    return labels


def _look(
    cells: _Cells,
    before: int,
    probes: int,
    indices: NDArray[np.int32],
    lengths: NDArray[np.float32],
    pool: ThreadPoolExecutor,
) -> None:
    """Add what the cells nearest to a point's own hold, of which ``before`` were looked through.

    All points of a cell look through the same ones, so that this is a product of matrices. Lengths
    lack the point's own ``|x|²``.
    """
    center_norms = _squared_norms(cells.centers)
    sizes = np.diff(cells.start)
    width = indices.shape[1]

    def work(cell: int) -> None:
        with one_blas_thread():
            far = center_norms - 2 * (cells.centers @ cells.centers[cell])
            far[cell] = -np.inf
            by_distance = np.argsort(far, kind="stable")
            # Lists are full even where the nearest cells hold few points.
            enough = int(np.searchsorted(np.cumsum(sizes[by_distance]), width + 1)) + 1
            seen = max(before, enough) if before else 0
            visited = by_distance[seen : max(probes, enough)].tolist()
            groups = [np.arange(*cells.start[c : c + 2], dtype=np.int32) for c in visited]
            if not groups:
                return
            group = np.concatenate(groups)
            for first in range(cells.start[cell], cells.start[cell + 1], ROWS):
                part = slice(first, min(first + ROWS, int(cells.start[cell + 1])))
                rows = np.arange(part.start, part.stop, dtype=np.int32)
                _compare(cells.points, cells.norms, rows, group, indices[part], lengths[part])

    _each(pool, work, np.flatnonzero(sizes).tolist(), many=True)


def _refined(
    cells: _Cells, rows: NDArray[np.int32], indices: NDArray[np.int32], pool: ThreadPoolExecutor
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lists of some points after a look at the neighbours of their neighbours."""
    from lazyomics.graph.nearest_loops import refine

    found, far = _empty_lists(len(rows), indices.shape[1], cells.points.dtype)

    def work(first: int) -> None:
        part = slice(first, first + ASSIGNED_AT_ONCE)
        refine(cells.points, rows[part], indices, found[part], far[part])

    _each(pool, work, range(0, len(rows), ASSIGNED_AT_ONCE), many=len(rows) > CHECKED)
    return found, far
