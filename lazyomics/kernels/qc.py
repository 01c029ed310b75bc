"""Mergeable quality-control metrics of cells and genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.kernels.sums import row_totals, sums_between

__all__ = [
    "GeneTotals",
    "HighlyExpressed",
    "QcState",
    "cell_qc",
    "gene_totals",
    "highly_expressed",
    "qc_state",
    "top_sums",
]


# Counts below this are put into bins, which costs a tenth of sorting them.
BINS = 4096


def top_sums(block: Any, tops: tuple[int, ...]) -> NDArray[np.float64]:
    """Sum of the largest values of each row, zeros that are not stored included.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    tops
        Ascending numbers of values to sum, each from 1 to p.

    Returns
    -------
    float64 array, shape (n, len(tops)).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.qc import top_sums
    >>> top_sums(np.array([[1, 5, 3]]), (1, 2))
    array([[5., 8.]])
    """
    if not isinstance(block, CSRBlock):
        return _sorted_sums(block, tops)
    out = np.zeros((block.shape[0], len(tops)))
    indptr = block.indptr.astype(np.int64, copy=False)
    binned = np.zeros(block.shape[0], dtype=np.bool_)
    bins = np.zeros(BINS, dtype=np.int64)
    _binned_sums(block.data, indptr, np.array(tops, dtype=np.int64), bins, out, binned)
    for row in np.flatnonzero(~binned):
        values = block.data[indptr[row] : indptr[row + 1]]
        zeros = np.zeros(min(tops[-1], block.shape[1] - len(values)), dtype=values.dtype)
        out[row] = _sorted_sums(np.concatenate([values, zeros])[None], tops)
    return out


def _sorted_sums(rows: NDArray[Any], tops: tuple[int, ...]) -> NDArray[np.float64]:
    width = rows.shape[1]
    last = min(tops[-1], width)
    largest = rows
    if last < width:
        largest = np.partition(rows, width - last, axis=1)[:, width - last :]
    descending = np.sort(largest, axis=1)[:, ::-1]
    sums = np.cumsum(descending, axis=1, dtype=np.float64)
    return np.asarray(sums[:, [min(top, width) - 1 for top in tops]])


@compiled
def _binned_sums(
    data: NDArray[Any],
    indptr: NDArray[np.int64],
    tops: NDArray[np.int64],
    bins: NDArray[np.int64],
    out: NDArray[np.float64],
    binned: NDArray[np.bool_],
) -> None:
    """Rows of whole numbers from 0 to below len(bins); others are left with binned False."""
    for row in range(len(indptr) - 1):
        whole = True
        highest = 0
        for k in range(indptr[row], indptr[row + 1]):
            value = np.float64(data[k])
            if not 0 <= value < len(bins) or value != np.floor(value):
                whole = False
                break
            count = int(value)
            bins[count] += 1
            highest = max(highest, count)
        if whole:
            binned[row] = True
            taken = 0
            total = 0.0
            which = 0
            for count in range(highest, 0, -1):
                while which < len(tops) and taken + bins[count] >= tops[which]:
                    out[row, which] = total + (tops[which] - taken) * count
                    which += 1
                taken += bins[count]
                total += bins[count] * count
                if which == len(tops):
                    break
            while which < len(tops):
                out[row, which] = total
                which += 1
            bins[: highest + 1] = 0
        else:
            bins[:] = 0


ROWS_AT_A_TIME = 512


@dataclass(frozen=True, eq=False)
class GeneTotals:
    """Totals of each of p genes over n cells.

    Attributes
    ----------
    n
        Cells.
    total
        Sum, float64, shape (p,).
    nonzero
        Cells in which the gene is not zero, int64, shape (p,).
    positive
        Cells in which it is above zero, int64, shape (p,).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.qc import gene_totals
    >>> (gene_totals(np.array([[0, 2]])) + gene_totals(np.array([[1, 2]]))).total
    array([1., 4.])
    """

    n: int
    total: NDArray[np.float64]
    nonzero: NDArray[np.int64]
    positive: NDArray[np.int64]

    def __add__(self, other: GeneTotals) -> GeneTotals:
        return GeneTotals(
            self.n + other.n,
            self.total + other.total,
            self.nonzero + other.nonzero,
            self.positive + other.positive,
        )


@dataclass(frozen=True, eq=False)
class QcState:
    """Numbers of the cells, as arrays of consecutive rows, and totals of the genes.

    One state for both, because they come from the same pass.
    """

    cells: tuple[NDArray[np.float64], ...]
    genes: GeneTotals

    def __add__(self, other: QcState) -> QcState:
        return QcState(self.cells + other.cells, self.genes + other.genes)


def qc_state(block: Any, *, masks: NDArray[np.bool_], tops: tuple[int, ...] = ()) -> QcState:
    """``cell_qc`` and ``gene_totals`` of a block."""
    return QcState((cell_qc(block, masks=masks, tops=tops),), gene_totals(block))


def gene_totals(block: Any) -> GeneTotals:
    """Totals of each gene over the rows of a block (CSRBlock or ndarray, shape (n, p))."""
    n, p = block.shape
    if isinstance(block, CSRBlock):
        sums = np.zeros((p, 3))
        _add_totals(block.data, block.indices, sums)
        counts = sums[:, 1:].astype(np.int64)
        return GeneTotals(n, sums[:, 0].copy(), counts[:, 0], counts[:, 1])
    return GeneTotals(
        n,
        np.asarray(block.sum(axis=0, dtype=np.float64)),
        np.asarray(np.count_nonzero(block, axis=0), dtype=np.int64),
        np.asarray(np.count_nonzero(block > 0, axis=0), dtype=np.int64),
    )


def cell_qc(
    block: Any, *, masks: NDArray[np.bool_], tops: tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """Quality-control numbers of each row of a block.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    masks
        Sets of genes to total, shape (q, p).
    tops
        Ascending numbers of top genes to total.

    Returns
    -------
    float64 array of shape (n, 2 + len(tops) + q): genes that are not zero, total, total of the
    top genes, total of each set of genes.
    """
    out = np.empty((block.shape[0], 2 + len(tops) + len(masks)))
    if isinstance(block, CSRBlock):
        _sparse_cell_qc(block, masks, tops, out)
        return out
    for start in range(0, len(block), ROWS_AT_A_TIME):
        rows = block[start : start + ROWS_AT_A_TIME]
        here = out[start : start + ROWS_AT_A_TIME]
        here[:, 0] = np.count_nonzero(rows, axis=1)
        here[:, 1] = rows.sum(axis=1, dtype=np.float64)
        if tops:
            here[:, 2 : 2 + len(tops)] = top_sums(rows, tops)
        for k, mask in enumerate(masks):
            here[:, 2 + len(tops) + k] = rows[:, mask].sum(axis=1, dtype=np.float64)
    return out


def _sparse_cell_qc(
    block: CSRBlock, masks: NDArray[np.bool_], tops: tuple[int, ...], out: NDArray[np.float64]
) -> None:
    out[:, 0] = sums_between(block.data != 0, block.indptr)
    out[:, 1] = sums_between(block.data, block.indptr)
    if tops:
        out[:, 2 : 2 + len(tops)] = top_sums(block, tops)
    for k, mask in enumerate(masks):
        inside = np.where(mask[block.indices], block.data, 0)
        out[:, 2 + len(tops) + k] = sums_between(inside, block.indptr)


@compiled
def _add_totals(data: NDArray[Any], indices: NDArray[Any], sums: NDArray[np.float64]) -> None:
    for k in range(len(data)):
        value = data[k]
        gene = indices[k]
        sums[gene, 0] += value
        if value != 0:
            sums[gene, 1] += 1.0
        if value > 0:
            sums[gene, 2] += 1.0


@dataclass(frozen=True, eq=False)
class HighlyExpressed:
    """``genes`` marks those found so far, bool, shape (p,)."""

    genes: NDArray[np.bool_]

    def __add__(self, other: HighlyExpressed) -> HighlyExpressed:
        return HighlyExpressed(self.genes | other.genes)


def highly_expressed(block: Any, *, max_fraction: float) -> HighlyExpressed:
    """Genes with more than ``max_fraction`` of the total of at least one row of a block.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.qc import highly_expressed
    >>> highly_expressed(np.array([[1, 9], [5, 5]]), max_fraction=0.6).genes
    array([False,  True])
    """
    limits = row_totals(block) * max_fraction
    if isinstance(block, CSRBlock):
        over = block.data > np.repeat(limits, np.diff(block.indptr))
        genes = np.zeros(block.shape[1], dtype=np.bool_)
        genes[block.indices[over]] = True
        return HighlyExpressed(genes)
    return HighlyExpressed(np.asarray((block > limits[:, None]).any(axis=0)))
