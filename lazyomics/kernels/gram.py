"""Scatter matrix of the genes (the centred Gram matrix) as a state that can be merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.gram_dense import DenseRows
from lazyomics.kernels.gram_sparse import SparseRows, multiplications
from lazyomics.kernels.kept_rows import KeptRows, kept_rows
from lazyomics.kernels.packed import merged, merged_mean, unpacked

__all__ = ["Scatter", "scatter", "scatter_of_run"]

# Up to this share of a dense product's multiplications, sparse rows take less time than dense ones.
# (Of 2,000 variable genes with 12 % of their values stored it is 5 %.)
SPARSE_BELOW = 0.15


@dataclass(frozen=True, eq=False)
class Scatter:
    """Number, mean and scatter ``sum((x - mean)(x - mean)^T)`` of rows with p columns.

    Attributes
    ----------
    n
        Rows.
    mean
        Of each column, float64, shape (p,).
    packed
        Lower triangle of the scatter matrix, row by row, float64, shape (p * (p + 1) / 2,).
    kept
        The rows themselves, if every block fitted its share of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.gram import scatter
    >>> both = scatter(np.array([[1.0, 0.0]])) + scatter(np.array([[3.0, 4.0]]))
    >>> both.matrix()
    array([[2., 4.],
           [4., 8.]])
    """

    n: int
    mean: NDArray[np.float64]
    packed: NDArray[np.float64]
    kept: KeptRows | None = None

    def __add__(self, other: Scatter) -> Scatter:
        mean, delta, weight = merged_mean(self.n, self.mean, other.n, other.mean)
        packed = np.empty_like(self.packed)
        merged(self.packed, other.packed, delta, weight, packed)
        kept = None
        if self.kept is not None and other.kept is not None:
            kept = self.kept + other.kept
        return Scatter(self.n + other.n, mean, packed, kept)

    def matrix(self) -> NDArray[np.float64]:
        """Full symmetric scatter matrix, shape (p, p)."""
        return unpacked(self.packed, len(self.mean))

    def raw_matrix(self) -> NDArray[np.float64]:
        """Uncentred Gram matrix ``sum(x x^T)``, shape (p, p)."""
        full = self.matrix()
        full += self.n * np.outer(self.mean, self.mean)
        return full


def scatter(block: Any, *, keep_bytes_per_row: float = 0.0) -> Scatter:
    """Scatter of the rows of a block; see ``scatter_of_run``."""
    return scatter_of_run(iter([(block,)]), keep_bytes_per_row=keep_bytes_per_row)


def scatter_of_run(parts: Iterator[tuple[Any]], *, keep_bytes_per_row: float = 0.0) -> Scatter:
    """Scatter of the rows of several blocks.

    The first block says how: sparse rows are multiplied value by value, which loses nothing where
    most values are 0; the others by BLAS, around their means. Both are added up in float64.

    Parameters
    ----------
    parts
        Tuples of one CSRBlock or ndarray of shape (n, p); at least one.
    keep_bytes_per_row
        Also keep the rows, if on average they take no more memory than this.

    Returns
    -------
    Scatter of all rows.
    """
    sums: SparseRows | DenseRows | None = None
    kept: KeptRows | None = KeptRows(()) if keep_bytes_per_row > 0 else None
    for (block,) in parts:
        sums = sums or _sums_like(block)
        sums.add(block)
        if kept is not None:
            more = kept_rows(block, keep_bytes_per_row * block.shape[0])
            kept = None if more is None else kept + more
        del block  # before the next one is read
    if sums is None:
        raise ValueError("a run holds at least one block")
    return Scatter(*sums.finish(), kept)


def _sums_like(block: Any) -> SparseRows | DenseRows:
    if isinstance(block, CSRBlock) and multiplications(block) < SPARSE_BELOW:
        return SparseRows(block)
    return DenseRows(block.shape[1], np.dtype(block.dtype))
