"""Sums and sums of squares of each gene in each batch, of values as they are or cut off at a bound.

Of counts these sums are exact, in whatever order they are added up, as what is cut off is counted.
So genes that are alike in a batch stay alike, however the matrix was cut into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.moments import ROWS_AT_A_TIME

__all__ = ["BatchPowers", "batch_powers"]


@dataclass(frozen=True, eq=False)
class BatchPowers:
    """State of some rows; ``a + b`` is that of both.

    Attributes
    ----------
    batches
        Codes of the batches that were seen, ascending, int64, shape (g,).
    powers
        Sums and sums of squares of the values that are not above the bound, and how many are,
        float64, shape (g, p, 3).
    are_counts
        Whether no value was negative or fractional; True if nobody asked.
    """

    batches: NDArray[np.int64]
    powers: NDArray[np.float64]
    are_counts: bool

    def __add__(self, other: BatchPowers) -> BatchPowers:
        batches = np.union1d(self.batches, other.batches)
        powers = self._over(batches) + other._over(batches)
        return BatchPowers(batches, powers, self.are_counts and other.are_counts)

    def __iadd__(self, other: BatchPowers) -> BatchPowers:
        """Add in place where that is possible: many batches take more room than a block."""
        if not np.array_equal(self.batches, other.batches):
            return self + other
        np.add(self.powers, other.powers, out=self.powers)
        return BatchPowers(self.batches, self.powers, self.are_counts and other.are_counts)

    def of_all(self, count: int) -> NDArray[np.float64]:
        """Powers of batches 0 to ``count``, shape (count, p, 3); zero for those without cells."""
        return self._over(np.arange(count))

    def _over(self, batches: NDArray[np.int64]) -> NDArray[np.float64]:
        if len(batches) == len(self.batches):
            return self.powers
        powers = np.zeros((len(batches), *self.powers.shape[1:]))
        powers[np.searchsorted(batches, self.batches)] = self.powers
        return powers


def batch_powers(
    block: Any,
    codes: NDArray[np.integer[Any]],
    *,
    bounds: NDArray[np.float64] | None = None,
    check: bool = False,
) -> BatchPowers:
    """Measure one block.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Batch of each row, shape (n,), 0 or greater.
    bounds
        Largest value of each gene in each batch, float64, shape (batches, p) or (1, p) for all,
        above 0. None for values as they are.
    check
        Whether to look if values are counts.
    """
    batches, slots = np.unique(codes, return_inverse=True)
    powers = np.zeros((len(batches), block.shape[1], 3))
    if bounds is None:
        bounds = np.full((1, block.shape[1]), np.inf)
    bound_of = batches if len(bounds) > 1 else np.zeros(len(batches), np.int64)
    values = block
    if isinstance(block, CSRBlock):
        values = block.data
        indptr = block.indptr.astype(np.int64, copy=False)
        # batch after batch: the sums of one stay in cache, those of all do not
        rows = np.argsort(slots, kind="stable")
        where = slots.astype(np.int64), bound_of[slots].astype(np.int64)
        _add_powers(block.data, block.indices, indptr, rows, *where, bounds, powers)
    else:
        _add_powers_of_dense(block, slots, bounds[bound_of], powers)
    are_counts = not check or _are_counts(values)
    return BatchPowers(batches.astype(np.int64), powers, are_counts)


def _are_counts(values: NDArray[Any]) -> bool:
    if values.dtype.kind in "bu":
        return True
    if np.signbit(values).any():
        return False
    return values.dtype.kind == "i" or not np.any(values % 1)


def _add_powers_of_dense(
    block: NDArray[Any],
    slots: NDArray[np.integer[Any]],
    highest: NDArray[np.float64],
    powers: NDArray[np.float64],
) -> None:
    for start in range(0, block.shape[0], ROWS_AT_A_TIME):
        part, here = (array[start : start + ROWS_AT_A_TIME] for array in (block, slots))
        for slot in np.unique(here):
            values = part[here == slot].astype(np.float64)
            above = values > highest[slot]
            values[above] = 0
            powers[slot, :, 0] += values.sum(axis=0)
            powers[slot, :, 1] += np.square(values).sum(axis=0)
            powers[slot, :, 2] += np.count_nonzero(above, axis=0)


@compiled
def _add_powers(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    rows: NDArray[np.int64],
    slots: NDArray[np.int64],
    bound_of: NDArray[np.int64],
    bounds: NDArray[np.float64],
    powers: NDArray[np.float64],
) -> None:
    for row in rows:
        mine, highest = powers[slots[row]], bounds[bound_of[row]]
        for k in range(indptr[row], indptr[row + 1]):
            gene = np.uint64(indices[k])  # never negative: no need to count from the end
            value = np.float64(data[k])
            if value > highest[gene]:
                mine[gene, 2] += 1.0
            else:
                mine[gene, 0] += value
                mine[gene, 1] += value * value
