"""Pearson residuals of counts: what they need of the cells and genes, and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled
from lazyomics.kernels.moments import Moments, moments_by_group
from lazyomics.kernels.steps import Block, Step
from lazyomics.kernels.sums import row_totals
from lazyomics.kernels.whole_rows import dense_rows

__all__ = [
    "CountTotals",
    "PearsonResiduals",
    "ResidualSums",
    "count_totals",
    "residual_sums",
]

ROWS_AT_A_TIME = 256  # of a block made dense


@dataclass(frozen=True, eq=False)
class CountTotals:
    """Moments of the genes in each batch, and totals of consecutive cells.

    One state for both, because they come from the same pass.

    Attributes
    ----------
    genes
        Moments in each batch.
    cells
        Totals of the cells, float64, arrays of consecutive ones.
    are_counts
        Whether all values are whole and none is negative.
    """

    genes: Moments
    cells: tuple[NDArray[np.float64], ...]
    are_counts: bool

    def __add__(self, other: CountTotals) -> CountTotals:
        """Append the state of the cells that follow."""
        return CountTotals(
            self.genes + other.genes,
            self.cells + other.cells,
            self.are_counts and other.are_counts,
        )


def count_totals(block: Any, codes: NDArray[np.integer[Any]], *, check_values: bool) -> CountTotals:
    """State of the rows of a block (CSRBlock or ndarray, shape (n, p)) in batches ``codes``."""
    values = block.data if isinstance(block, CSRBlock) else block
    are_counts = True
    if check_values and values.dtype.kind != "b":
        whole = values.dtype.kind in "iu" or not (values % 1 != 0).any()
        are_counts = bool(whole and not (values < 0).any())
    return CountTotals(moments_by_group(block, codes), (row_totals(block),), are_counts)


@dataclass(frozen=True, eq=False)
class PearsonResiduals(Step):
    """``(x - mu) / sqrt(mu + mu² / theta)`` with what is expected of a cell and a gene for ``mu``.

    That is the product of their totals over the total of all. The totals of the cells are carried
    along, not taken from the rows: so a few genes can be had without the others, of which dense
    blocks would be made only to be dropped.

    Attributes
    ----------
    cells, genes
        Totals, shapes (n,) and (p,).
    total
        Of all.
    theta
        Overdispersion.
    clip
        Residuals are cut off at this size.
    dtype
        Of the result, which is dense.
    """

    cells: NDArray[np.float64]
    genes: NDArray[np.float64]
    total: float
    theta: float
    clip: float
    dtype: str
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("cells",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("genes",)

    def __call__(self, block: Block) -> Block:
        """Return the residuals."""
        out = np.empty(block.shape, dtype=np.dtype(self.dtype))
        for rows, values in dense_rows(block, ROWS_AT_A_TIME):
            mu = np.multiply.outer(self.cells[rows], self.genes) / self.total
            with np.errstate(divide="ignore", invalid="ignore"):
                residuals = (values - mu) / np.sqrt(mu + mu**2 / self.theta)
            out[rows] = np.clip(residuals, -self.clip, self.clip)
        return out


@dataclass(frozen=True, eq=False)
class ResidualSums:
    """Sums of the clipped residuals and of their squares, float64, shape (g, p, 2)."""

    sums: NDArray[np.float64]

    def __add__(self, other: ResidualSums) -> ResidualSums:
        """Merge with the state of other cells."""
        return ResidualSums(self.sums + other.sums)


def residual_sums(
    block: Any,
    codes: NDArray[np.integer[Any]],
    cells: NDArray[np.float64],
    *,
    genes: NDArray[np.float64],
    theta: float,
    clip: float,
) -> ResidualSums:
    """Sums of the residuals of a block's rows, each with the totals of its batch.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    codes
        Batch of each row, shape (n,).
    cells
        Total of each row, shape (n,).
    genes
        Total of each gene in each batch, shape (g, p).
    theta, clip
        As in ``PearsonResiduals``.
    """
    sums = np.zeros((*genes.shape, 2))
    batches: NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
    totals = genes.sum(axis=1)
    for rows, dense in dense_rows(block, ROWS_AT_A_TIME):
        values = np.ascontiguousarray(dense, dtype=np.float64)
        _add_residuals(values, batches[rows], cells[rows], genes, totals, theta, clip, sums)
    return ResidualSums(sums)


@compiled
def _add_residuals(
    values: NDArray[np.float64],
    codes: NDArray[np.int64],
    cells: NDArray[np.float64],
    genes: NDArray[np.float64],
    totals: NDArray[np.float64],
    theta: float,
    clip: float,
    sums: NDArray[np.float64],
) -> None:
    for row in range(len(values)):
        batch = codes[row]
        if cells[row] == 0:
            continue  # nothing is expected of an empty cell, and nothing is found in it
        share = cells[row] / totals[batch]
        for gene in range(values.shape[1]):
            if genes[batch, gene] != 0:
                mu = genes[batch, gene] * share
                residual = (values[row, gene] - mu) / np.sqrt(mu + mu * mu / theta)
                residual = min(max(residual, -clip), clip)
                sums[batch, gene, 0] += residual
                sums[batch, gene, 1] += residual * residual
