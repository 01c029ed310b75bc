"""Quality control of a block: numbers per cell, and totals per gene as a mergeable state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled
from lazyomics.kernels.row_scaling import sums_between
from lazyomics.kernels.top_values import top_sums

__all__ = ["GeneTotals", "QcState", "cell_qc", "gene_totals", "qc_state"]

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
    >>> from lazyomics.kernels.qc_state import gene_totals
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
