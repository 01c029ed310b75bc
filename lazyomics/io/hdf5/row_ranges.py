"""Rows and columns of data that lie in one run of bytes, as ranges of elements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lazyomics.lazy.indexer import Positions, Selector

__all__ = [
    "RowRanges",
]


@dataclass(frozen=True, eq=False)
class RowRanges:
    """Rows and columns of data that lie in one run of bytes: one range for each row.

    Parameters
    ----------
    starts
        (rows,), int64: first element of each row's range.
    span
        Elements of each range.
    item
        Shape of a range.
    picked
        Columns to pick from each range, None for all.
    """

    starts: Positions
    span: int
    item: tuple[int, ...]
    picked: Positions | None

    @classmethod
    def of(cls, shape: tuple[int, ...], rows: Selector, cols: Selector | None) -> RowRanges:
        """Plan a selection; picked columns are covered by one range in each row."""
        positions = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        if len(shape) == 1:
            return cls(positions, 1, (), None)
        picked, within = None, slice(0, shape[1]) if cols is None else cols
        if not isinstance(within, slice):
            low, high = (int(within.min()), int(within.max()) + 1) if len(within) else (0, 0)
            picked, within = within - low, slice(low, high)
        inner = math.prod(shape[2:])
        columns = within.stop - within.start
        starts = (positions * shape[1] + within.start) * inner
        return cls(starts, columns * inner, (columns, *shape[2:]), picked)
