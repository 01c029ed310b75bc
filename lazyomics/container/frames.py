"""obs and var: a table that is read on first access and keeps its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.deferred import CutFrame, DeferredFrame, cut_frame
from lazyomics.errors import ShapeError
from lazyomics.graph.selection import Selector, compose

__all__ = ["FrameSlot", "as_frame", "check_columns", "check_same_names", "string_index"]

# As in anndata, names may be given among the columns under one of these keys.
KEYS_OF_NAMES = {
    "obs": ("obs_names", "row_names", "index"),
    "var": ("var_names", "col_names", "index"),
}


class FrameSlot:
    """Holds the table of one axis, in memory or still in the file."""

    def __init__(self, value: pd.DataFrame | DeferredFrame) -> None:
        self._value = value
        self._index: pd.Index | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the table is in memory."""
        return isinstance(self._value, pd.DataFrame)

    @property
    def stored(self) -> DeferredFrame | None:
        """The table in the file; None once it was loaded or replaced."""
        return None if isinstance(self._value, pd.DataFrame) else self._value

    @property
    def frame(self) -> pd.DataFrame:
        """The table, read now if it was not."""
        if not isinstance(self._value, pd.DataFrame):
            self._value = self._value.load()
        frame = self._value
        names = string_index(frame.index)  # whoever holds the table may have assigned others
        if names is not frame.index:
            frame.index = names
        return frame

    def refer_to(self, other: FrameSlot) -> None:
        """Hold what another slot holds."""
        self._value, self._index = other._value, None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names; reads nothing."""
        return tuple(self._value.columns)

    @property
    def index(self) -> pd.Index:
        """Row names; reads no column."""
        if isinstance(self._value, pd.DataFrame):
            return self.frame.index
        if self._index is None:
            self._index = string_index(self._value.index())
        return self._index

    @index.setter
    def index(self, names: Any) -> None:
        index = string_index(names if isinstance(names, pd.Index) else pd.Index(names))
        if len(index) != len(self):
            raise ShapeError(f"{len(index)} names for an axis of length {len(self)}")
        # not self.frame, which refuses the names that are replaced here if they are no names
        held = self._value if isinstance(self._value, pd.DataFrame) else self.frame
        held.index = index

    def __len__(self) -> int:
        if isinstance(self._value, pd.DataFrame):
            return len(self._value)
        return self._value.length

    def take(self, rows: Selector) -> FrameSlot:
        """Return the slot of some rows."""
        if isinstance(self._value, pd.DataFrame):
            return FrameSlot(cut_frame(self.frame, rows))
        if isinstance(self._value, CutFrame):
            return FrameSlot(CutFrame(self._value.base, compose(self._value.rows, rows)))
        return FrameSlot(CutFrame(self._value, rows))

    def copy(self) -> FrameSlot:
        """Return an independent slot."""
        value = self._value
        return FrameSlot(value.copy() if isinstance(value, pd.DataFrame) else value)

    @property
    def nbytes(self) -> int:
        """Bytes in memory once loaded."""
        if isinstance(self._value, pd.DataFrame):
            return int(self._value.memory_usage(deep=True).sum())
        return self._value.nbytes


def as_frame(value: Any, length: int | None, axis: str) -> pd.DataFrame:
    """Turn what a user gives for obs or var into a table with string row names.

    Parameters
    ----------
    value
        DataFrame, mapping of columns, or None.
    length
        Length it must have; None if it decides it.
    axis
        ``"obs"`` or ``"var"``, for messages.
    """
    if value is None:
        frame = pd.DataFrame(index=pd.RangeIndex(length or 0))
    elif isinstance(value, pd.DataFrame):
        frame = value.copy()
    elif isinstance(value, pd.Index):
        frame = pd.DataFrame(index=value)
    else:
        frame = _frame_of_columns(value, length, axis)
    if length is not None and len(frame) != length:
        raise ShapeError(f"{axis} has {len(frame)} rows, expected {length}")
    frame.index = string_index(frame.index, axis)
    check_columns(frame, axis)
    return frame


def check_columns(frame: pd.DataFrame, where: str) -> None:
    """Refuse columns of several levels, which no file can hold."""
    if isinstance(frame.columns, pd.MultiIndex):
        raise TypeError(
            f"{where}: columns of {frame.columns.nlevels} levels (a MultiIndex), expected one name "
            "for each. Join the levels, e.g. frame.columns.map('_'.join)."
        )


def check_same_names(table: pd.Index, frame: pd.DataFrame, axis: str) -> None:
    """Refuse a table as X whose labels are not the names that obs or var has."""
    if isinstance(table, pd.RangeIndex):  # numbers that pandas gave to rows without labels
        return
    labels = string_index(table, "X")
    wrong = np.flatnonzero(np.asarray(labels != frame.index))
    if len(wrong):
        k = int(wrong[0])
        raise ValueError(
            f"{axis}: row {k} is named {frame.index[k]!r}, X has {labels[k]!r} there. Bring one to "
            f"the order of the other, e.g. {axis}.loc[…], or pass X.to_numpy() to go by position."
        )


def _frame_of_columns(columns: Any, length: int | None, axis: str) -> pd.DataFrame:
    """Make a table of a mapping; one of its keys may hold the names."""
    for key in KEYS_OF_NAMES[axis]:
        if key in columns:
            names = pd.Index(np.asarray(columns[key]))
            return pd.DataFrame({k: v for k, v in columns.items() if k != key}, index=names)
    if length is None:
        length = len(next(iter(columns.values()))) if columns else 0
    return pd.DataFrame(dict(columns), index=pd.RangeIndex(length))


def string_index(index: pd.Index, where: str = "names") -> pd.Index:
    """Names as text, as anndata makes it of whatever they were.

    Parameters
    ----------
    index
        Names of rows.
    where
        What they are the names of, for messages.

    Returns
    -------
    ``index`` itself if it is text; else texts under the same name of the index.

    Raises
    ------
    TypeError
        If it has several levels.
    ValueError
        If a name is missing.
    """
    if isinstance(index, pd.MultiIndex):
        raise TypeError(
            f"{where}: names of {index.nlevels} levels (a MultiIndex), expected one text for each "
            "row. Call reset_index() on the table, and make one index of text."
        )
    if index.hasnans:
        row = int(np.flatnonzero(index.isna())[0])
        raise ValueError(
            f"{where}: row {row} has no name (it is {index[row]!r}), expected a text for each row. "
            'Give it one, e.g. with index.fillna("unnamed").'
        )
    return index if index.inferred_type in ("string", "empty") else index.astype(str)
