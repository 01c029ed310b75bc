"""Steps for counts of chromatin accessibility: term frequency × inverse frequency, and 0/1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.steps import Block, Step
from lazyomics.kernels.totals import row_totals

__all__ = ["Binarize", "TfIdf"]


@dataclass(frozen=True, eq=False)
class TfIdf(Step):
    """``x / total of its row × scale``, maybe logarithmised, times a factor for each column.

    Zeros stay zeros. Integers become float64, floating types stay.
    """

    idf: NDArray[np.float64]
    scale: float = 1.0
    log_tf: bool = True
    log_tfidf: bool = False
    full_rows: ClassVar[bool] = True
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("idf",)

    def __call__(self, block: Block) -> Block:
        """Weigh the values."""
        dtype = block.dtype if np.issubdtype(block.dtype, np.floating) else np.dtype(np.float64)
        totals = row_totals(block)
        with np.errstate(divide="ignore"):
            factors = (np.where(totals == 0, 0.0, self.scale / totals)).astype(dtype)
        idf = np.where(np.isfinite(self.idf), self.idf, 0.0).astype(dtype)
        if isinstance(block, CSRBlock):
            counts = np.diff(block.indptr)
            data = np.multiply(block.data, np.repeat(factors, counts), dtype=dtype)
            data = self._weighed(data, idf[block.indices])
            return block.like(data)
        return self._weighed(np.multiply(block, factors[:, None], dtype=dtype), idf)

    def _weighed(self, tf: NDArray[Any], idf: NDArray[Any]) -> NDArray[Any]:
        if self.log_tf:
            tf = np.log1p(tf)
        weighed = tf * idf
        return np.log1p(weighed) if self.log_tfidf else weighed


@dataclass(frozen=True, eq=False)
class Binarize(Step):
    """One for every value that is not zero; the type of the values stays."""

    def __call__(self, block: Block) -> Block:
        """Replace the values."""
        if isinstance(block, CSRBlock):
            data = (block.data != 0).astype(block.dtype)
            return block.like(data)
        return (block != 0).astype(block.dtype)
