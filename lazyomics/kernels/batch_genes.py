"""Cells and genes that count in each batch, and rows that are divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.moments import Moments, moments_by_group
from lazyomics.kernels.steps import Block, Step, divide_rows
from lazyomics.kernels.sums import divided, row_positives, row_totals

__all__ = [
    "DivideRows",
    "GenesOfBatches",
    "KeptCells",
    "kept_cells",
]


@dataclass(frozen=True, eq=False)
class GenesOfBatches(Step):
    """Keep the values of the genes that count in the batch of their row.

    Attributes
    ----------
    codes
        Batch of each row, int, shape (n,).
    genes
        Which genes count in each batch, bool, shape (p, g).
    """

    codes: NDArray[np.integer[Any]]
    genes: NDArray[np.bool_]
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("codes",)
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("genes",)

    def __call__(self, block: Block) -> Block:
        """Drop the other values; blocks have compressed rows."""
        batches = np.repeat(self.codes, np.diff(block.indptr))
        kept = self.genes[block.indices, batches]
        ends = np.concatenate(([0], np.cumsum(kept))).astype(block.indptr.dtype)[block.indptr]
        return CSRBlock.from_arrays(
            block.data[kept], block.indices[kept], ends, block.shape, block._order
        )


@dataclass(frozen=True, eq=False)
class KeptCells:
    """What is known of consecutive cells, and of the genes in each batch of those that are kept.

    Attributes
    ----------
    genes
        Moments of each gene's share of the total of its cell, over the kept cells of each batch.
    totals
        Totals of all cells over the genes that count, float64, arrays of consecutive ones.
    kept
        Whether cells express enough of these genes, bool, arrays of consecutive ones.
    """

    genes: Moments
    totals: tuple[NDArray[np.float64], ...]
    kept: tuple[NDArray[np.bool_], ...]

    def __add__(self, other: KeptCells) -> KeptCells:
        """Append the state of the cells that follow."""
        return KeptCells(
            self.genes + other.genes, self.totals + other.totals, self.kept + other.kept
        )


def kept_cells(
    block: CSRBlock,
    codes: NDArray[np.integer[Any]],
    *,
    genes: NDArray[np.bool_],
    min_genes: int,
) -> KeptCells:
    """State of the rows of a block.

    Parameters
    ----------
    block
        Shape (n, p).
    codes
        Batch of each row, shape (n,).
    genes
        Which genes count in each batch, shape (p, g).
    min_genes
        Cells that express fewer of these are left out.
    """
    counted = GenesOfBatches(codes, genes)(block)
    kept = row_positives(counted) >= min_genes
    totals = row_totals(counted)
    shares = divided(counted, np.where(totals == 0, 1.0, totals))
    return KeptCells(moments_by_group(shares, np.where(kept, codes, -1)), (totals,), (kept,))


@dataclass(frozen=True, eq=False)
class DivideRows(Step):
    """Divide each row by its divisor, in the type of the divisors; none is 0."""

    divisors: NDArray[np.floating[Any]]
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("divisors",)

    def __call__(self, block: Block) -> Block:
        """Divide the rows."""
        return divide_rows(block, self.divisors)
