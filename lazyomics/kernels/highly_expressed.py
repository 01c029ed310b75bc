"""Genes that hold a large share of the counts of some cell, as a mergeable state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.totals import row_totals

__all__ = ["HighlyExpressed", "highly_expressed"]


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
    >>> from lazyomics.kernels.highly_expressed import highly_expressed
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
