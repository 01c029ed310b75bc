"""Compiled loops of the neighbour search. Importing this module imports numba.

Lists of neighbours are rows of two tables, ``indices`` and ``lengths``, nearest first. Lengths are
squared distances; of points as near as each other the one with the lower number comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import jit

__all__ = ["keep_nearest", "measure", "refine"]

SPREAD = 2654435761  # Knuth's factor: numbers that follow each other go to slots far apart


@jit
def keep_nearest(
    products: NDArray[Any],
    norms: NDArray[Any],
    candidates: NDArray[np.int32],
    rows: NDArray[np.int32],
    indices: NDArray[np.int32],
    lengths: NDArray[Any],
) -> None:
    """Add candidates to the lists of some points where they are nearer than the last there.

    Parameters
    ----------
    products
        (q, m), ``-2 x·y`` of each point with each candidate.
    norms
        (m,), ``|y|²`` of the candidates: with the products, the squared distance less ``|x|²``,
        which is the same for all candidates of a point.
    candidates, rows
        (m,) and (q,): numbers of the candidates and of the points. A point is not its neighbour.
    indices, lengths
        (q, k), changed in place; free places hold -1 and infinity.
    """
    last = indices.shape[1] - 1
    for q in range(products.shape[0]):
        worst = lengths[q, last]
        for m in range(products.shape[1]):
            length = norms[m] + products[q, m]
            if length < worst and candidates[m] != rows[q]:
                at = last
                while at > 0 and lengths[q, at - 1] > length:
                    lengths[q, at] = lengths[q, at - 1]
                    indices[q, at] = indices[q, at - 1]
                    at -= 1
                lengths[q, at] = length
                indices[q, at] = candidates[m]
                worst = lengths[q, last]


@jit
def _squared_distance(points: NDArray[Any], i: int, j: int) -> Any:
    """Sum of squared differences in four partial sums, which the processor adds side by side."""
    a = b = c = d = points.dtype.type(0)
    for k in range(0, points.shape[1], 4):
        e = points[i, k] - points[j, k]
        f = points[i, k + 1] - points[j, k + 1]
        g = points[i, k + 2] - points[j, k + 2]
        h = points[i, k + 3] - points[j, k + 3]
        a += e * e
        b += f * f
        c += g * g
        d += h * h
    return (a + b) + (c + d)


@jit
def _insert(
    indices: NDArray[np.int32], lengths: NDArray[Any], at: int, index: int, length: Any
) -> None:
    """Put a neighbour into a list whose place ``at`` is free, before those that are farther."""
    while at > 0 and (
        lengths[at - 1] > length or (lengths[at - 1] == length and indices[at - 1] > index)
    ):
        lengths[at] = lengths[at - 1]
        indices[at] = indices[at - 1]
        at -= 1
    lengths[at] = length
    indices[at] = index


@jit
def measure(
    points: NDArray[Any],
    rows: NDArray[np.int32],
    indices: NDArray[np.int32],
    lengths: NDArray[Any],
) -> None:
    """Measure the lists of some points anew by differences, and order them.

    Parameters
    ----------
    points
        (n, d), d a multiple of four.
    rows
        (q,), the points.
    indices, lengths
        (q, k), changed in place. Lengths by products have lost digits where points are far from
        the origin, and those of equal points are not 0.
    """
    for q in range(len(rows)):
        mine, far = indices[q], lengths[q]
        for k in range(len(mine)):
            _insert(mine, far, k, mine[k], _squared_distance(points, rows[q], mine[k]))


@jit
def refine(
    points: NDArray[Any],
    rows: NDArray[np.int32],
    indices: NDArray[np.int32],
    new_indices: NDArray[np.int32],
    new_lengths: NDArray[Any],
) -> None:
    """Look for nearer ones among the neighbours of the neighbours of some points.

    Parameters
    ----------
    points
        (n, d), d a multiple of four.
    rows
        (q,), the points.
    indices
        (n, k), lists of these points and of their neighbours; others are not looked at.
    new_indices, new_lengths
        (q, k), filled.
    """
    width = indices.shape[1]
    last = width - 1
    size = 16
    while size < 2 * width * (width + 1):
        size *= 2
    # A table of the numbers that were met; the row beside each saves emptying it for the next one.
    met = np.zeros(size, dtype=np.int32)
    met_by = np.full(size, -1, dtype=np.int64)
    for q in range(len(rows)):
        row = rows[q]
        mine, far = new_indices[q], new_lengths[q]
        for k in range(width):
            index = indices[row, k]
            slot = (index * SPREAD) & (size - 1)
            while met_by[slot] == q:
                slot = (slot + 1) & (size - 1)
            met[slot] = index
            met_by[slot] = q
            length = _squared_distance(points, row, index)
            _insert(mine, far, k, index, length)
        for k in range(width):
            for j in range(width):
                index = indices[indices[row, k], j]
                slot = (index * SPREAD) & (size - 1)
                while met_by[slot] == q and met[slot] != index:
                    slot = (slot + 1) & (size - 1)
                if met_by[slot] == q or index == row:
                    continue
                met[slot] = index
                met_by[slot] = q
                length = _squared_distance(points, row, index)
                if length < far[last]:
                    _insert(mine, far, last, index, length)
