"""Neighbouring steps that are cheaper as one: found by their types when a block is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.row_scaling import scaled_columns
from lazyomics.kernels.steps import Block, NormalizeRows, SelectCols, Selector, Step, floating

__all__ = ["NormalizeThenSelect", "fused"]


@dataclass(frozen=True, eq=False)
class NormalizeThenSelect(Step):
    """Scale each row by its total over all columns, and write out only some of these."""

    normalize: NormalizeRows
    cols: NDArray[np.int64]
    full_rows: ClassVar[bool] = True

    def __call__(self, block: Block) -> Block:
        """Normalise and select."""
        factors = self.normalize.factors(block)
        dtype = floating(block.dtype)
        if isinstance(block, CSRBlock):
            return scaled_columns(block, factors, dtype, self.cols)
        return np.multiply(block[:, self.cols], factors[:, None].astype(dtype), dtype=dtype)


def fused(steps: Iterable[Step]) -> list[Step]:
    """Replace what can be done in one sweep; the result is the same, bit for bit."""
    made: list[Step] = []
    for step in steps:
        last = made[-1] if made else None
        if isinstance(last, NormalizeRows) and isinstance(step, SelectCols):
            columns = _ascending(step.cols)
            if columns is not None:
                made[-1] = NormalizeThenSelect(last, columns)
                continue
        made.append(step)
    return made


def _ascending(cols: Selector) -> Any:
    """Positions in ascending order without duplicates; None for others."""
    columns = np.arange(cols.start, cols.stop, cols.step) if isinstance(cols, slice) else cols
    return columns if bool((np.diff(columns) > 0).all()) else None
