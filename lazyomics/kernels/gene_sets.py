"""Means over sets of genes, missing values left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.sums import column_totals, row_totals

__all__ = [
    "KnownTotals",
    "known_totals",
    "set_means",
]


@dataclass(frozen=True, eq=False)
class KnownTotals:
    """Totals of each of p genes over the cells whose value is known.

    Attributes
    ----------
    n
        Cells.
    total
        Sum of the values that are not NaN, float64, shape (p,).
    missing
        Cells with NaN, float64, shape (p,).
    """

    n: int
    total: NDArray[np.float64]
    missing: NDArray[np.float64]

    def __add__(self, other: KnownTotals) -> KnownTotals:
        """Merge with the state of other cells."""
        return KnownTotals(self.n + other.n, self.total + other.total, self.missing + other.missing)

    def means(self) -> NDArray[np.float64]:
        """Mean of each gene, NaN for one without any known value; shape (p,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / (self.n - self.missing)


def known_totals(block: Any) -> KnownTotals:
    """Total each gene over the rows of a block (CSRBlock or ndarray, shape (n, p)).

    Examples
    --------
    >>> known_totals(np.array([[1.0, 2.0], [np.nan, 4.0]])).means()
    array([1., 3.])
    """
    known, missing = _split(block)
    of_genes = np.zeros(block.shape[1]) if missing is None else column_totals(missing)
    return KnownTotals(block.shape[0], column_totals(known), of_genes)


def set_means(block: Any, *, sets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of each row over each set of columns.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    sets
        Columns of each set, shape (q, p).

    Returns
    -------
    float64 array, shape (n, q); NaN where all values of a set are.

    Examples
    --------
    >>> set_means(np.array([[1.0, 3.0, np.nan]]), sets=np.array([[1, 1, 0], [0, 1, 1]], dtype=bool))
    array([[2., 3.]])
    """
    known, missing = _split(block)
    out = np.empty((block.shape[0], len(sets)))
    for k, chosen in enumerate(sets):
        sizes: Any = float(np.count_nonzero(chosen))
        if missing is not None:
            sizes = sizes - row_totals(missing, exclude=~chosen)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:, k] = row_totals(known, exclude=~chosen) / sizes
    return out


def _split(block: Any) -> tuple[Any, Any]:
    """A block with 0 for NaN, and where these were as 1.0; None if there are none."""
    values = block.data if isinstance(block, CSRBlock) else block
    if not np.issubdtype(values.dtype, np.floating):
        return block, None
    missing = np.isnan(values)
    if not missing.any():
        return block, None
    known, ones = np.where(missing, 0, values), missing.astype(np.float64)
    if isinstance(block, CSRBlock):
        return block.like(known), block.like(ones)
    return known, ones
