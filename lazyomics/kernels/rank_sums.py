"""Rank sums of groups of cells, gene by gene, from values that are not zero."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.errors import ShapeError

__all__ = ["GeneValues", "Ranked", "count_values", "group_type", "held_type", "rank_sums"]


NARROW = 4  # bytes of the largest type whose values go into a word beside their group
ZERO = np.uint64(1 << 63)  # the word of a zero of group 0, where keys may be below it


class GeneValues:
    """Values of some genes and the group of each, gene after gene, filled by many threads at once.

    Calling it with a block puts the block's values in their places, and returns it, so that it is
    the kernel and the state of a pass. Zeros are left out.

    Parameters
    ----------
    counts
        Values other than zero of each gene in all rows that have a group, int64, shape (p,).
    dtype
        Of the values.
    n_groups
        Number of groups.

    Attributes
    ----------
    start
        Where each gene begins, int64, shape (p + 1,).
    values
        ndarray of ``dtype``, shape (start[-1],), in no certain order within a gene.
    groups
        Of each value, in the smallest unsigned type for ``n_groups``, shape (start[-1],).
    """

    def __init__(self, counts: NDArray[np.int64], dtype: np.dtype[Any], n_groups: int) -> None:
        self.start = np.concatenate(([0], np.cumsum(counts)))
        self.values = np.empty(int(self.start[-1]), dtype=held_type(dtype))
        self.groups = np.empty(int(self.start[-1]), dtype=group_type(n_groups))
        self._next = self.start[:-1].copy()
        self._lock = threading.Lock()

    def __call__(self, block: Any, codes: NDArray[np.integer[Any]]) -> GeneValues:
        """Put a block in place.

        Parameters
        ----------
        block
            CSRBlock or ndarray, shape (n, p).
        codes
            Group of each row, shape (n,); rows with a negative code are left out.

        Raises
        ------
        ShapeError
            If the block has values that were not counted: the matrix is not what it was then.
        """
        row_groups: NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
        sparse = isinstance(block, CSRBlock)
        values = block.data if sparse else np.ascontiguousarray(block)
        values = values.astype(self.values.dtype, copy=False)
        mine = _counted(values, block, row_groups)
        with self._lock:
            at = self._next.copy()
            self._next += mine
            if np.any(self._next > self.start[1:]):
                raise ShapeError(
                    "the matrix has more values than in the pass before: it changed meanwhile"
                )
        if sparse:
            where = block.indices, block.indptr.astype(np.int64, copy=False), row_groups
            _scatter_csr(values, *where, at, self.values, self.groups)
        else:
            _scatter_dense(values, row_groups, at, self.values, self.groups)
        return self

    def __add__(self, other: GeneValues) -> GeneValues:
        """Return itself: all blocks are put into the same arrays."""
        return self

    def check_filled(self) -> None:
        """Refuse to go on with places that no block has filled.

        Raises
        ------
        ShapeError
            If there are any.
        """
        if not np.array_equal(self._next, self.start[1:]):
            raise ShapeError(
                "the matrix has fewer values than in the pass before: it changed meanwhile"
            )


def count_values(block: Any, codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Count the values other than zero of each column, in the rows that have a group.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Group of each row, shape (n,); rows with a negative code are left out.

    Returns
    -------
    int64 array, shape (p,); counts of several blocks can be added.

    Examples
    --------
    >>> count_values(np.array([[1.0, 0], [2, 3], [4, 5]]), np.array([0, 1, -1]))
    array([2, 1])
    """
    values = block.data if isinstance(block, CSRBlock) else np.ascontiguousarray(block)
    held = values.astype(held_type(values.dtype), copy=False)
    return _counted(held, block, np.asarray(codes, dtype=np.int64))


def _counted(values: NDArray[Any], block: Any, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.zeros(block.shape[1], dtype=np.int64)
    if isinstance(block, CSRBlock):
        _count_csr(values, block.indices, block.indptr.astype(np.int64, copy=False), codes, counts)
    else:
        _count_dense(values, codes, counts)
    return counts


def held_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which values are put aside: that in which they are told apart without loss."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype.itemsize <= NARROW else np.float64)
    if dtype == np.uint32:
        return dtype
    return np.dtype(np.int32 if dtype.itemsize <= NARROW else dtype)


def group_type(n_groups: int) -> np.dtype[Any]:
    """Smallest unsigned type for a number of groups."""
    return np.min_scalar_type(max(n_groups - 1, 0))


@dataclass(frozen=True, eq=False)
class Ranked:
    """What the rank-sum test needs of p genes.

    Attributes
    ----------
    sums
        Sum of the average ranks of each group, float64, shape (n_groups, p).
    ties
        ``t**3 - t`` summed over ties of t values, float64: shape (1, p) where all cells are ranked
        together, (n_groups, p) for groups each ranked with a reference.
    """

    sums: NDArray[np.float64]
    ties: NDArray[np.float64]


def rank_sums(
    values: NDArray[Any],
    groups: NDArray[np.unsignedinteger[Any]],
    start: NDArray[np.int64],
    sizes: NDArray[np.int64],
    *,
    reference: int | None = None,
) -> Ranked:
    """Rank the values of some genes and sum the ranks of each group.

    Parameters
    ----------
    values
        Values other than zero, gene after gene, shape (start[-1] - start[0],).
    groups
        Group of each.
    start
        Where each gene begins, and where the last one ends, shape (p + 1,).
    sizes
        Cells of each group, zeros included, shape (n_groups,).
    reference
        Rank each group with the cells of this one only; None to rank all cells together.

    Returns
    -------
    Sums and ties. NaN is above all other values and ties with NaN.

    Notes
    -----
    Memory: 8 bytes for each value; 24 more for values of 64 bits. A value and its group share a
    word of 64 bits, the value above: its bits in an order that is that of the numbers. Sorted words
    are then swept once for all groups. The rank sums are exact up to 2**53.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.rank_sums import rank_sums
    >>> values, groups = np.array([3.0, 1.0], "f4"), np.array([0, 1], "u1")
    >>> rank_sums(values, groups, np.array([0, 2]), np.array([1, 2])).sums
    array([[3.],
           [3.]])
    """
    start = start - start[0]
    words, negative = _sorted_words(values, groups, start)
    n_groups, genes = len(sizes), len(start) - 1
    sums = np.zeros((genes, n_groups))
    if reference is None:
        ties = np.zeros((genes, 1))
        _sweep_together(words, start, negative, sizes, sums, ties)
    else:
        ties = np.zeros((genes, n_groups))
        _sweep_beside(words, start, negative, sizes, reference, sums, ties)
    return Ranked(sums.T, ties.T)


def _sorted_words(
    values: NDArray[Any], groups: NDArray[Any], start: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Keys above groups, ascending in each gene, and how many values of a gene are below zero."""
    words = np.empty(len(values), dtype=np.uint64)
    negative = np.zeros(len(start) - 1, dtype=np.int64)
    if values.dtype.itemsize <= NARROW:
        bits = values.view(np.uint32)
        {"f": _pack_floats, "i": _pack_signed, "u": _pack_unsigned}[values.dtype.kind](
            bits, groups, words
        )
        zero = np.uint64(0) if values.dtype.kind == "u" else ZERO
        for gene in range(len(negative)):
            mine = words[start[gene] : start[gene + 1]]
            mine.sort()
            if len(mine) and mine[0] < zero:
                negative[gene] = np.searchsorted(mine, zero)
        return words, negative
    # values of 64 bits leave no room for the group: their ranks among the distinct ones do
    for gene in range(len(negative)):
        part = slice(start[gene], start[gene + 1])
        mine = values[part]
        order = np.argsort(mine, kind="stable")
        mine = mine[order]
        negative[gene] = np.searchsorted(mine, 0)
        _pack_ordered(mine, groups[part][order], words[part])
    return words, negative


@compiled
def _count_csr(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    codes: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    for row in range(len(codes)):
        if codes[row] >= 0:
            for k in range(indptr[row], indptr[row + 1]):
                counts[np.uint64(indices[k])] += np.int64(data[k] != 0)


@compiled
def _count_dense(block: NDArray[Any], codes: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    for row in range(len(codes)):
        if codes[row] >= 0:
            for gene in range(len(counts)):
                counts[gene] += np.int64(block[row, gene] != 0)


@compiled
def _scatter_csr(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[np.int64],
    codes: NDArray[np.int64],
    at: NDArray[np.int64],
    values: NDArray[Any],
    groups: NDArray[Any],
) -> None:
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            for k in range(indptr[row], indptr[row + 1]):
                value = data[k]
                if value != 0:
                    gene = np.uint64(indices[k])
                    to = at[gene]
                    at[gene] = to + 1
                    values[to] = value
                    groups[to] = code


@compiled
def _scatter_dense(
    block: NDArray[Any],
    codes: NDArray[np.int64],
    at: NDArray[np.int64],
    values: NDArray[Any],
    groups: NDArray[Any],
) -> None:
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            for gene in range(len(at)):
                value = block[row, gene]
                if value != 0:
                    to = at[gene]
                    at[gene] = to + 1
                    values[to] = value
                    groups[to] = code


@compiled
def _pack_floats(bits: NDArray[np.uint32], groups: NDArray[Any], words: NDArray[np.uint64]) -> None:
    for k in range(len(bits)):
        key = bits[k]
        # Floats are ordered as their bits are, the negative ones the other way round.
        if key & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
            key = np.uint32(0xFFFFFFFF)  # all NaN are alike
        elif key >> np.uint32(31):
            key = ~key
        else:
            key = key | np.uint32(0x80000000)
        words[k] = (np.uint64(key) << np.uint64(32)) | np.uint64(groups[k])


@compiled
def _pack_signed(bits: NDArray[np.uint32], groups: NDArray[Any], words: NDArray[np.uint64]) -> None:
    for k in range(len(bits)):
        key = bits[k] ^ np.uint32(0x80000000)
        words[k] = (np.uint64(key) << np.uint64(32)) | np.uint64(groups[k])


@compiled
def _pack_unsigned(
    bits: NDArray[np.uint32], groups: NDArray[Any], words: NDArray[np.uint64]
) -> None:
    for k in range(len(bits)):
        words[k] = (np.uint64(bits[k]) << np.uint64(32)) | np.uint64(groups[k])


@compiled
def _pack_ordered(values: NDArray[Any], groups: NDArray[Any], words: NDArray[np.uint64]) -> None:
    """Words of one gene, whose values ascend and end with NaN."""
    key = np.uint64(0)
    for k in range(len(values)):
        both_nan = k > 0 and values[k] != values[k] and values[k - 1] != values[k - 1]
        if k > 0 and values[k] != values[k - 1] and not both_nan:
            key += np.uint64(1)
        words[k] = (key << np.uint64(32)) | np.uint64(groups[k])


@compiled
def _sweep_together(
    words: NDArray[np.uint64],
    start: NDArray[np.int64],
    negative: NDArray[np.int64],
    sizes: NDArray[np.int64],
    sums: NDArray[np.float64],
    ties: NDArray[np.float64],
) -> None:
    below_word = np.uint64(0xFFFFFFFF)
    n = sizes.sum()
    stored = np.empty(len(sizes), dtype=np.int64)
    for gene in range(len(start) - 1):
        first, end = start[gene], start[gene + 1]
        zeros = np.int64(n - (end - first))
        stored[:] = 0
        tied = 0.0
        k = first
        while k <= end:
            if k == first + negative[gene]:
                # the zeros are one tie; it is added in its turn, as sums round
                t = np.float64(zeros)
                tied += t * t * t - t
            if k == end:
                break
            value = words[k] >> np.uint64(32)
            stop = k + 1
            while stop < end and words[stop] >> np.uint64(32) == value:
                stop += 1
            before = k - first + (zeros if k - first >= negative[gene] else 0)
            rank = before + (stop - k + 1) * 0.5
            for member in range(k, stop):
                mine = np.int64(words[member] & below_word)
                sums[gene, mine] += rank
                stored[mine] += 1
            t = np.float64(stop - k)
            tied += t * t * t - t
            k = stop
        rank = negative[gene] + (zeros + 1) * 0.5
        for group in range(len(sizes)):
            sums[gene, group] += rank * (sizes[group] - stored[group])
        ties[gene, 0] = tied


@compiled
def _sweep_beside(
    words: NDArray[np.uint64],
    start: NDArray[np.int64],
    negative: NDArray[np.int64],
    sizes: NDArray[np.int64],
    reference: int,
    sums: NDArray[np.float64],
    ties: NDArray[np.float64],
) -> None:
    below_word = np.uint64(0xFFFFFFFF)
    n_groups = len(sizes)
    zeros = np.empty(n_groups, dtype=np.int64)  # of each group, for the gene at hand
    before = np.empty(n_groups, dtype=np.int64)  # values of each group that were passed
    tied = np.zeros(n_groups, dtype=np.int64)
    for gene in range(len(start) - 1):
        first, end = start[gene], start[gene + 1]
        zeros[:] = sizes
        for k in range(first, end):
            zeros[np.int64(words[k] & below_word)] -= 1
        before[:] = 0
        k = first
        while k <= end:
            if k == first + negative[gene]:
                for group in range(n_groups):
                    t = zeros[group] + zeros[reference]
                    rank = before[group] + before[reference] + (t + 1) * 0.5
                    sums[gene, group] += rank * zeros[group]
                    size = np.float64(t)
                    ties[gene, group] += size * size * size - size
                for group in range(n_groups):
                    before[group] += zeros[group]
            if k == end:
                break
            value = words[k] >> np.uint64(32)
            stop = k + 1
            while stop < end and words[stop] >> np.uint64(32) == value:
                stop += 1
            for member in range(k, stop):
                tied[np.int64(words[member] & below_word)] += 1
            shared = tied[reference]
            if shared > 1:
                # cells of the reference are a tie for every group, also for those without a value
                for group in range(n_groups):
                    size = np.float64(tied[group] + shared)
                    ties[gene, group] += size * size * size - size
            for member in range(k, stop):
                mine = np.int64(words[member] & below_word)
                t = tied[mine]
                if t > 0 and mine != reference:
                    rank = before[mine] + before[reference] + (t + shared + 1) * 0.5
                    sums[gene, mine] += rank * t
                    before[mine] += t
                    if shared <= 1:
                        size = np.float64(t + shared)
                        ties[gene, mine] += size * size * size - size
                    tied[mine] = 0
            before[reference] += shared
            tied[reference] = 0
            k = stop
