"""Steps of the centred log ratio: values relative to the geometric mean of a row or column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.row_scaling import sums_between
from lazyomics.kernels.steps import Block, Step

__all__ = ["Flavor", "LogRatioCols", "LogRatioRows"]

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
