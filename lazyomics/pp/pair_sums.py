"""Sums of two rows of a matrix in memory, made when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lazyomics.blocks.block import as_block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.kernels.steps import Selector

__all__ = ["PairSums"]


@dataclass(frozen=True, eq=False)
class PairSums:
    """Source of a lazy matrix whose rows are sums of two rows of a matrix in memory.

    Attributes
    ----------
    counts
        scipy.sparse.csr_matrix, shape (n, p).
    pairs
        The two rows of each sum, int64, shape (m, 2).
    """

    counts: Any
    pairs: NDArray[np.int64]

    in_memory: ClassVar[bool] = True
    counts_are_exact: ClassVar[bool] = False  # genes that both rows have are stored once
    format: ClassVar[Any] = "csr"

    @property
    def shape(self) -> tuple[int, int]:
        """Sums and columns."""
        return len(self.pairs), int(self.counts.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return np.dtype(self.counts.dtype)

    def stored_per_line(self) -> NDArray[np.int64]:
        """At most so many values of each row."""
        sizes = np.diff(self.counts.indptr).astype(np.int64)
        return np.asarray(sizes[self.pairs].sum(axis=1))

    def read(self, rows: Selector, cols: Selector) -> Any:
        """Add up the rows of some pairs."""
        first, second = self.pairs[rows].T
        summed: Any = as_block(self.counts[first] + self.counts[second])
        return summed[:, cols]

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        """Only for matrices that are stored by columns."""
        raise NotImplementedError
