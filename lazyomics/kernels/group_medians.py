"""Medians of groups of cells, of which only those are sorted that can differ from zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import compiled

__all__ = ["Medians", "group_medians"]


@dataclass(frozen=True, eq=False)
class Medians:
    """Medians of some genes that are not zero; all others are.

    Attributes
    ----------
    groups, genes
        Which median it is, int64, shape (k,); genes ascend.
    values
        float64, shape (k,).
    """

    groups: NDArray[np.int64]
    genes: NDArray[np.int64]
    values: NDArray[np.float64]

    def from_gene(self, first: int) -> Medians:
        """The same, of genes that follow others."""
        return Medians(self.groups, self.genes + first, self.values)


def group_medians(
    values: NDArray[Any],
    groups: NDArray[np.unsignedinteger[Any]],
    start: NDArray[np.int64],
    cells: NDArray[np.int64],
    *,
    spread_nan: bool,
) -> Medians:
    """Take the median of each group and gene.

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
    spread_nan
        Whether one NaN makes the median NaN, as in ndarrays; otherwise NaN is larger than all
        numbers, as in the sparse matrices of scikit-learn.

    Returns
    -------
    What is not zero. A group without cells has the median NaN.

    Notes
    -----
    A group whose zeros are more than half of its cells has the median 0, whatever the others are:
    only the values of other groups are sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.group_medians import group_medians
    >>> found = group_medians(
    ...     np.array([3.0, 1.0, 5.0]), np.array([0, 0, 1], "u1"), np.array([0, 3]),
    ...     np.array([2, 9]), spread_nan=True,
    ... )
    >>> found.groups, found.genes, found.values
    (array([0]), array([0]), array([2.]))
    """
    # A median that is not zero has a value of its own, unless there are no cells.
    room = len(values) + int(np.count_nonzero(cells == 0)) * (len(start) - 1)
    mine, genes = np.empty(room, np.int64), np.empty(room, np.int64)
    medians, scratch = np.empty(room), np.empty_like(values)
    filled = _medians(values, groups, start, cells, spread_nan, scratch, mine, genes, medians)
    return Medians(mine[:filled].copy(), genes[:filled].copy(), medians[:filled].copy())


@compiled
def _medians(
    values: NDArray[Any],
    groups: NDArray[Any],
    start: NDArray[np.int64],
    cells: NDArray[np.int64],
    spread_nan: bool,
    scratch: NDArray[Any],
    out_groups: NDArray[np.int64],
    out_genes: NDArray[np.int64],
    out_values: NDArray[np.float64],
) -> int:
    n_groups = len(cells)
    ends = np.empty(n_groups, np.int64)
    broken = np.zeros(n_groups, np.uint8)
    filled = 0
    for gene in range(len(start) - 1):
        ends[:] = 0
        broken[:] = 0
        for k in range(start[gene], start[gene + 1]):
            ends[np.int64(groups[k])] += 1
            if spread_nan and values[k] != values[k]:
                broken[np.int64(groups[k])] = 1
        at = 0
        for group in range(n_groups):
            count = ends[group]
            ends[group] = at  # where it begins, until its values are put there
            if 2 * count >= cells[group]:
                at += count
            else:
                ends[group] = -1
        for k in range(start[gene], start[gene + 1]):
            its = np.int64(groups[k])
            if ends[its] >= 0:
                scratch[ends[its]] = values[k]
                ends[its] += 1
        begin = 0
        for group in range(n_groups):
            n = cells[group]
            median = np.nan
            if ends[group] < 0:
                if not broken[group]:
                    continue
            else:
                mine = scratch[begin : ends[group]]
                begin = ends[group]
                if n > 0 and not broken[group]:
                    mine.sort()
                    zeros = n - len(mine)
                    below = 0
                    while below < len(mine) and mine[below] < 0:
                        below += 1
                    upper = lower = mine[0]
                    for step in range(2):  # the two in the middle, or the same one twice
                        rank = n // 2 - step * (1 - n % 2)
                        if rank < below:
                            lower = mine[rank]
                        elif rank < below + zeros:
                            lower = mine.dtype.type(0)
                        else:
                            lower = mine[rank - zeros]
                        if step == 0:
                            upper = lower
                    median = np.float64(upper) if n % 2 else np.float64(upper + lower) / 2.0
            if median != 0:
                out_groups[filled] = group
                out_genes[filled] = gene
                out_values[filled] = median
                filled += 1
    return filled
