"""Mergeable means and variances of columns, also of each batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled

__all__ = [
    "ClippedMoments",
    "Moments",
    "clipped_moments",
    "moments",
    "moments_by_group",
]


# Below this share of the raw sum of squares, the centred one has lost digits and is summed again.
CANCELLATION = 1e-6
ROWS_AT_A_TIME = 512  # of a dense block, so that its float64 copies stay in cache


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and sum of squared deviations of g groups of cells for each of p genes.

    Attributes
    ----------
    groups
        Codes of the groups that were seen, ascending, int64, shape (g,).
    n
        Cells in each group, int64, shape (g,).
    mean
        Mean of each gene, float64, shape (g, p).
    m2
        Sum of squared deviations from the mean, float64, shape (g, p).
    positive
        Cells with a value above zero, float64, shape (g, p).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.moments import moments
    >>> both = moments(np.array([[1.0], [3.0]])) + moments(np.array([[5.0]]))
    >>> both.mean, both.variance()
    (array([[3.]]), array([[4.]]))
    """

    groups: NDArray[np.int64]
    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    positive: NDArray[np.float64]

    def __add__(self, other: Moments) -> Moments:
        groups = np.union1d(self.groups, other.groups)
        return self._over(groups)._merged(other._over(groups))

    def _over(self, groups: NDArray[np.int64]) -> Moments:
        """Spread over more groups; those that were not seen hold no cells."""
        if len(groups) == len(self.groups):
            return self
        at = np.searchsorted(groups, self.groups)
        shape = len(groups), self.mean.shape[1]
        n = np.zeros(len(groups), dtype=np.int64)
        n[at] = self.n
        wide = [np.zeros(shape) for _ in range(3)]
        for array, values in zip(wide, (self.mean, self.m2, self.positive), strict=True):
            array[at] = values
        return Moments(groups, n, *wide)

    @np.errstate(over="ignore", invalid="ignore")  # of infinite means
    def _merged(self, other: Moments) -> Moments:
        # Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
        n = self.n + other.n
        share = np.divide(other.n, n, where=n > 0, out=np.zeros(len(n)))
        delta = other.mean - self.mean
        # a side without cells must not turn an infinite mean of the other into NaN
        delta[(self.n == 0) | (other.n == 0)] = 0
        mean = np.where((self.n == 0)[:, None], other.mean, self.mean + delta * share[:, None])
        between = delta**2 * (self.n * share)[:, None]
        m2 = self.m2 + other.m2 + between
        return Moments(self.groups, n, mean, m2, self.positive + other.positive)

    def variance(self, ddof: int = 1) -> NDArray[np.float64]:
        """Variance with ``n - ddof`` in the denominator (a single cell has variance 0)."""
        return np.asarray(self.m2 / np.maximum(self.n - ddof, 1)[:, None])

    def at(self, group: int) -> Moments:
        """Return one group; one that was never seen has no cells."""
        one = np.array([group], dtype=np.int64)
        found = self.groups == group
        if not found.any():
            nothing = np.zeros((1, self.mean.shape[1]))
            return Moments(one, np.zeros(1, np.int64), nothing, nothing, nothing)
        return Moments(one, self.n[found], self.mean[found], self.m2[found], self.positive[found])


def moments(block: Any, *, unlog: float | None = None) -> Moments:
    """Moments of each gene over all rows of a block, as group 0.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    unlog
        Take the moments of ``expm1(unlog * x)`` instead of ``x``.

    Returns
    -------
    Moments of one group.
    """
    return moments_by_group(block, np.zeros(block.shape[0], dtype=np.int64), unlog=unlog)


def moments_by_group(
    block: Any, codes: NDArray[np.integer[Any]], *, unlog: float | None = None
) -> Moments:
    """Moments of each gene in each group of rows.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Group of each row, shape (n,); rows with a negative code are left out.
    unlog
        Take the moments of ``expm1(unlog * x)`` instead of ``x``.

    Returns
    -------
    Moments of the groups that occur in the block (group 0 if the block has no rows).
    """
    groups, slots = np.unique(codes, return_inverse=True)
    groups = groups.astype(np.int64)
    left_out = int(np.searchsorted(groups, 0))
    groups, slots = groups[left_out:], slots.astype(np.int64) - left_out
    if len(groups) == 0:
        groups = np.zeros(1, dtype=np.int64)
    n = np.bincount(slots[slots >= 0], minlength=len(groups)).astype(np.int64)
    if isinstance(block, CSRBlock):
        return _sparse_moments(block, groups, n, slots, unlog)
    return _dense_moments(block, groups, slots, unlog)


@np.errstate(over="ignore", invalid="ignore")
def _sparse_moments(
    block: CSRBlock,
    groups: NDArray[np.int64],
    n: NDArray[np.int64],
    slots: NDArray[np.int64],
    unlog: float | None,
) -> Moments:
    data = _unlogged(block.data, unlog)
    # Group after group: the sums of one stay in cache, those of all do not.
    order = np.argsort(slots, kind="stable")
    rows = block.indices, block.indptr.astype(np.int64, copy=False), slots, order
    sums = np.zeros((len(groups), block.shape[1], 3))
    _add_powers(data, *rows, sums)
    total, squares, positive = (np.ascontiguousarray(sums[:, :, k]) for k in range(3))
    cells = np.maximum(n, 1)[:, None]
    mean = total / cells
    m2 = squares - total * mean
    doubtful = m2 < CANCELLATION * squares
    if doubtful.any():
        about = np.zeros((len(groups), block.shape[1], 2))
        _add_squares_about(data, *rows, mean, about)
        again = about[:, :, 0] + (n[:, None] - about[:, :, 1]) * mean**2
        m2 = np.where(doubtful, again, m2)
    return Moments(groups, n, mean, m2, positive)


def _dense_moments(
    block: NDArray[Any],
    groups: NDArray[np.int64],
    slots: NDArray[np.int64],
    unlog: float | None,
) -> Moments:
    shape = len(groups), block.shape[1]
    state = Moments(groups, np.zeros(len(groups), np.int64), *(np.zeros(shape) for _ in range(3)))
    for start in range(0, block.shape[0], ROWS_AT_A_TIME):
        values = _unlogged(block[start : start + ROWS_AT_A_TIME], unlog).astype(np.float64)
        here = slots[start : start + ROWS_AT_A_TIME]
        for slot in np.unique(here[here >= 0]):
            part = _of_rows(values[here == slot], groups[slot : slot + 1])
            state = state._merged(part._over(groups))
    return state


@np.errstate(over="ignore", invalid="ignore")
def _of_rows(values: NDArray[np.float64], group: NDArray[np.int64]) -> Moments:
    mean = values.mean(axis=0)
    m2 = np.square(values - mean).sum(axis=0)
    positive = np.count_nonzero(values > 0, axis=0).astype(np.float64)
    n = np.array([len(values)], dtype=np.int64)
    return Moments(group, n, mean[None], m2[None], positive[None])


def _unlogged(values: NDArray[Any], unlog: float | None) -> NDArray[Any]:
    if unlog is None:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if unlog != 1:
        values = values * values.dtype.type(unlog)
    with np.errstate(over="ignore"):  # infinite, as it is for scanpy
        return np.asarray(np.expm1(values))


@compiled
def _add_powers(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    slots: NDArray[np.int64],
    order: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    for row in order:
        slot = slots[row]
        if slot >= 0:
            mine = sums[slot]
            start, stop = indptr[row], indptr[row + 1]
            values, genes = data[start:stop], indices[start:stop]
            for k in range(len(values)):
                value = np.float64(values[k])
                gene = np.uint64(genes[k])  # never negative: no need to count from the end
                mine[gene, 0] += value
                mine[gene, 1] += value * value
                mine[gene, 2] += np.float64(value > 0)


@compiled
def _add_squares_about(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    slots: NDArray[np.int64],
    order: NDArray[np.int64],
    mean: NDArray[np.float64],
    about: NDArray[np.float64],
) -> None:
    for row in order:
        slot = slots[row]
        if slot >= 0:
            mine = about[slot]
            centre = mean[slot]
            for k in range(indptr[row], indptr[row + 1]):
                gene = indices[k]
                off = np.float64(data[k]) - centre[gene]
                mine[gene, 0] += off * off
                mine[gene, 1] += 1.0


@dataclass(frozen=True, eq=False)
class ClippedMoments:
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

    def __add__(self, other: ClippedMoments) -> ClippedMoments:
        batches = np.union1d(self.batches, other.batches)
        powers = self._over(batches) + other._over(batches)
        return ClippedMoments(batches, powers, self.are_counts and other.are_counts)

    def __iadd__(self, other: ClippedMoments) -> ClippedMoments:
        """Add in place where that is possible: many batches take more room than a block."""
        if not np.array_equal(self.batches, other.batches):
            return self + other
        np.add(self.powers, other.powers, out=self.powers)
        return ClippedMoments(self.batches, self.powers, self.are_counts and other.are_counts)

    def of_all(self, count: int) -> NDArray[np.float64]:
        """Powers of batches 0 to ``count``, shape (count, p, 3); zero for those without cells."""
        return self._over(np.arange(count))

    def _over(self, batches: NDArray[np.int64]) -> NDArray[np.float64]:
        if len(batches) == len(self.batches):
            return self.powers
        powers = np.zeros((len(batches), *self.powers.shape[1:]))
        powers[np.searchsorted(batches, self.batches)] = self.powers
        return powers


def clipped_moments(
    block: Any,
    codes: NDArray[np.integer[Any]],
    *,
    bounds: NDArray[np.float64] | None = None,
    check: bool = False,
) -> ClippedMoments:
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
        _add_batch_powers(block.data, block.indices, indptr, rows, *where, bounds, powers)
    else:
        _add_powers_of_dense(block, slots, bounds[bound_of], powers)
    are_counts = not check or _are_counts(values)
    return ClippedMoments(batches.astype(np.int64), powers, are_counts)


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
def _add_batch_powers(
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
