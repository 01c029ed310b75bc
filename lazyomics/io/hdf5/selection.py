"""What a caller selects along an axis, as a slice or positions inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Positions",
    "RowRanges",
    "Selection",
    "Selector",
    "selector",
]


Positions = np.ndarray[Any, np.dtype[np.int64]]

#: Anything that selects: a slice, positions (negative from the end), or a mask.
Selection = slice | npt.ArrayLike

#: A slice with step 1 or int64 positions, all inside the axis.
Selector = slice | Positions


def selector(wanted: Selection, length: int) -> Selector:
    """Resolve a selection along an axis of ``length`` positions.

    Raises
    ------
    IndexError
        If a position lies outside, or a mask has another length.

    Examples
    --------
    >>> selector([0, -1], 5)
    array([0, 4])
    >>> selector(slice(1, None), 5)
    slice(1, 5, None)
    """
    if isinstance(wanted, slice):
        start, stop, step = wanted.indices(length)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    positions = np.asarray(wanted)
    if positions.dtype == bool:
        if positions.shape != (length,):
            raise IndexError(f"a mask of shape {positions.shape} for {length} positions")
        return np.flatnonzero(positions)
    if positions.ndim != 1:
        raise IndexError(f"positions must have one axis, found shape {positions.shape}")
    positions = positions.astype(np.int64) if len(positions) else np.zeros(0, np.int64)
    if len(positions) and (positions.min() < -length or positions.max() >= length):
        raise IndexError(f"positions outside of an axis of {length}")
    return np.where(positions < 0, positions + length, positions)


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
