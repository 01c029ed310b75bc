"""Sums, deviations and counts of many groups of cells, from the values of each gene together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import compiled

__all__ = ["GroupMoments", "group_moments"]


@dataclass(frozen=True, eq=False)
class GroupMoments:
    """What is known of each gene and group that has a value other than zero, gene after gene.

    Attributes
    ----------
    seen
        Number of such groups of each gene, int64, shape (p,).
    groups
        Ascending within a gene, int32, shape (k,).
    sums
        Sum of the values, float64, shape (k,).
    m2
        Sum of squared deviations from the mean over all cells of the group, float64, shape (k,),
        or (0,) where they were not asked for.
    nonzero
        Values other than zero, int64, shape (k,), or (0,) where they were not asked for.
    """

    seen: NDArray[np.int64]
    groups: NDArray[np.int32]
    sums: NDArray[np.float64]
    m2: NDArray[np.float64]
    nonzero: NDArray[np.int64]


def group_moments(
    values: NDArray[Any],
    groups: NDArray[np.unsignedinteger[Any]],
    start: NDArray[np.int64],
    cells: NDArray[np.int64],
    *,
    m2: bool = True,
    nonzero: bool = True,
) -> GroupMoments:
    """Measure each group and gene.

    Parameters
    ----------
    values
        Values other than zero, gene after gene, shape (k,).
    groups
        Group of each value, shape (k,).
    start
        Where each gene begins, shape (p + 1,).
    cells
        Cells of each group, those with zeros included, shape (n_groups,).
    m2, nonzero
        Whether these are wanted.

    Returns
    -------
    The same bits in whatever order the values of a gene are: they are added in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.group_moments import group_moments
    >>> found = group_moments(
    ...     np.array([3.0, 1.0, 5.0]), np.array([0, 0, 1], "u1"), np.array([0, 3]), np.array([2, 1])
    ... )
    >>> found.groups, found.sums, found.m2, found.nonzero
    (array([0, 1], dtype=int32), array([4., 5.]), array([2., 0.]), array([2, 1]))
    """
    k = len(values)
    seen, mine, sums = np.zeros(len(start) - 1, np.int64), np.empty(k, np.int32), np.empty(k)
    squares, counts = np.empty(k if m2 else 0), np.empty(k if nonzero else 0, np.int64)
    scratch = np.empty_like(values)
    filled = _moments(values, groups, start, cells, scratch, seen, mine, sums, squares, counts)
    return GroupMoments(
        seen,
        mine[:filled].copy(),
        sums[:filled].copy(),
        squares[:filled].copy(),
        counts[:filled].copy(),
    )


@compiled
def _moments(
    values: NDArray[Any],
    groups: NDArray[Any],
    start: NDArray[np.int64],
    cells: NDArray[np.int64],
    scratch: NDArray[Any],
    out_seen: NDArray[np.int64],
    out_groups: NDArray[np.int32],
    out_sums: NDArray[np.float64],
    out_m2: NDArray[np.float64],
    out_nonzero: NDArray[np.int64],
) -> int:
    n_groups = len(cells)
    ends = np.empty(n_groups, np.int64)
    filled = 0
    for gene in range(len(start) - 1):
        ends[:] = 0
        for k in range(start[gene], start[gene + 1]):
            ends[np.int64(groups[k])] += 1
        at = 0
        for group in range(n_groups):
            count = ends[group]
            ends[group] = at  # where it begins, until its values are put there
            at += count
        for k in range(start[gene], start[gene + 1]):
            its = np.int64(groups[k])
            scratch[ends[its]] = values[k]
            ends[its] += 1
        begin = 0
        for group in range(n_groups):
            count = ends[group] - begin
            if count == 0:
                continue
            mine = scratch[begin : ends[group]]
            begin = ends[group]
            if count > 2:  # the sum of two is the same either way
                mine.sort()
            total = 0.0
            for k in range(count):
                total += np.float64(mine[k])
            out_groups[filled] = group
            out_sums[filled] = total
            if len(out_m2):
                n = np.float64(cells[group])
                mean = total / n
                squares = 0.0
                for k in range(count):
                    off = np.float64(mine[k]) - mean
                    squares += off * off
                zeros = n - np.float64(count)
                out_m2[filled] = squares + (zeros * mean * mean if zeros > 0 else 0.0)
            if len(out_nonzero):
                out_nonzero[filled] = count
            filled += 1
            out_seen[gene] += 1
    return filled
