"""Steps of the verbs clr and tfidf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.steps import Block, Step
from lazyomics.kernels.sums import row_totals, sums_between

__all__ = [
    "Binarize",
    "Flavor",
    "LogRatioCols",
    "LogRatioRows",
    "TfIdf",
]


Flavor = Literal["seurat", "stoeckius", "standard"]


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float64)


def _dense(block: Block, dtype: np.dtype[Any], flavor: Flavor) -> NDArray[Any]:
    """Values of a block as a new array; the flavour "stoeckius" works on ``x + 1``."""
    values = block.toarray() if isinstance(block, CSRBlock) else block
    return np.add(values, 1 if flavor == "stoeckius" else 0, dtype=dtype)


def _log_ratio(values: NDArray[Any], center: NDArray[Any], flavor: Flavor) -> NDArray[Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values / center
        return np.log1p(ratio) if flavor == "seurat" else np.log(ratio)


@dataclass(frozen=True, eq=False)
class LogRatioCols(Step):
    """Relative to ``center``, the geometric mean of each column; "seurat" keeps zeros."""

    center: NDArray[np.float64]
    flavor: Flavor = "seurat"
    COL_FIELDS: ClassVar[tuple[str, ...]] = ("center",)

    def __call__(self, block: Block) -> Block:
        """Transform the values."""
        dtype = _floating(block.dtype)
        center = self.center.astype(dtype)
        if isinstance(block, CSRBlock) and self.flavor == "seurat":
            data = np.log1p(np.divide(block.data, center[block.indices], dtype=dtype))
            return block.like(data)
        return _log_ratio(_dense(block, dtype, self.flavor), center, self.flavor)


@dataclass(frozen=True, eq=False)
class LogRatioRows(Step):
    """Relative to the geometric mean of the row, over all columns; "seurat" keeps zeros."""

    flavor: Flavor = "seurat"
    full_rows: ClassVar[bool] = True

    def __call__(self, block: Block) -> Block:
        """Transform the values."""
        dtype = _floating(block.dtype)
        n_cols = max(1, block.shape[1])
        if isinstance(block, CSRBlock) and self.flavor == "seurat":
            logs = np.log1p(block.data, dtype=np.float64)
            center = np.exp(sums_between(logs, block.indptr) / n_cols).astype(dtype)
            repeated = np.repeat(center, np.diff(block.indptr))
            data = np.log1p(np.divide(block.data, repeated, dtype=dtype))
            return block.like(data)
        values = _dense(block, dtype, self.flavor)
        with np.errstate(divide="ignore"):
            logs = (np.log1p if self.flavor == "seurat" else np.log)(values, dtype=np.float64)
        center = np.exp(logs.sum(axis=1) / n_cols).astype(dtype)
        return _log_ratio(values, center[:, None], self.flavor)


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
