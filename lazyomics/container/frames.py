"""obs and var: a table that is read on first access and keeps its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import CutFrame, DeferredFrame, cut_frame
from lazyomics.errors import ShapeError
from lazyomics.graph.selection import Selector, compose

__all__ = ["FrameSlot", "as_frame", "string_index"]

# As in anndata, row names may be given among the columns under one of these keys.
KEYS_OF_NAMES = {"obs": ("obs_names", "row_names"), "var": ("var_names", "col_names")}


class FrameSlot:
    """Hold the table of one axis, in memory or still in the file.

    The length of the axis is that of the table when the slot was made: rows are selected through
    the object, never dropped from its table.

    Parameters
    ----------
    value
        The table.
    name
        What it is called in messages.
    """

    def __init__(self, value: pd.DataFrame | DeferredFrame, name: str = "obs") -> None:
        self._value = value
        self._name = name
        self._length = len(value) if isinstance(value, pd.DataFrame) else value.length
        self._index: pd.Index | None = None
        self._baseline: Baseline | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the table is in memory."""
        return isinstance(self._value, pd.DataFrame)

    @property
    def stored(self) -> DeferredFrame | None:
        """The table in the file; None once it was loaded or replaced."""
        return None if isinstance(self._value, pd.DataFrame) else self._value

    @property
    def baseline(self) -> Baseline | None:
        """The table as it was read; None for one that was not read from a file."""
        return self._baseline

    @property
    def frame(self) -> pd.DataFrame:
        """The table, read now if it was not."""
        if not isinstance(self._value, pd.DataFrame):
            self.load_with(self._value.load())
        return self._checked(self._value)

    def load_with(self, loaded: pd.DataFrame) -> None:
        """Hold what was read for a table that is still in the file."""
        if not isinstance(self._value, pd.DataFrame):
            self._baseline = Baseline(self._value, content_of(loaded))
            self._value = loaded

    def hold(self, value: pd.DataFrame | DeferredFrame, baseline: Baseline | None = None) -> None:
        """Hold another table of the same length, with what is known of its file."""
        self._value, self._index, self._baseline = value, None, baseline

    def replace(self, frame: pd.DataFrame) -> None:
        """Take over a table that a user gives; what was read of the stored one is remembered."""
        if self._baseline is None and not isinstance(self._value, pd.DataFrame):
            self._baseline = Baseline(self._value, None)
        self._value, self._index = frame, None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names; reads nothing."""
        return tuple(self._value.columns)

    @property
    def index(self) -> pd.Index:
        """Row names; reads no column."""
        if isinstance(self._value, pd.DataFrame):
            return self._checked(self._value).index
        if self._index is None:
            self._index = self._value.index()
        return self._index

    @index.setter
    def index(self, names: Any) -> None:
        index = pd.Index(names)
        if len(index) != len(self):
            raise ShapeError(f"{len(index)} names for an axis of length {len(self)}")
        self.frame.index = string_index(index)

    def __len__(self) -> int:
        return self._length

    def _checked(self, frame: Any) -> pd.DataFrame:
        if len(frame) != self._length:
            raise ShapeError(
                f"{self._name} has {len(frame)} rows now, the object {self._length}: rows were "
                f"dropped from the table or added to it in place, which leaves all other parts as "
                f"they were. Assign a table of {self._length} rows to {self._name}, and select "
                "with adata[mask] (adata[:, mask] for var) instead"
            )
        made: pd.DataFrame = frame
        return made

    def take(self, rows: Selector) -> FrameSlot:
        """Return the slot of some rows."""
        if isinstance(self._value, pd.DataFrame):
            return FrameSlot(cut_frame(self._checked(self._value), rows), self._name)
        if isinstance(self._value, CutFrame):
            cut = CutFrame(self._value.base, compose(self._value.rows, rows))
            return FrameSlot(cut, self._name)
        return FrameSlot(CutFrame(self._value, rows), self._name)

    def copy(self) -> FrameSlot:
        """Return an independent slot."""
        value = self._value
        if isinstance(value, pd.DataFrame):
            value = self._checked(value).copy()
        twin = FrameSlot(value, self._name)
        twin._index, twin._baseline = self._index, self._baseline
        return twin

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
        key = next((k for k in KEYS_OF_NAMES[axis] if k in value), None)
        columns = {k: v for k, v in value.items() if k != key}
        index = _names(value, key, length)
        for name, column in columns.items():
            if np.ndim(column) and len(column) != len(index):
                raise ShapeError(
                    f"{axis}[{name!r}] has {len(column)} values, expected {len(index)}"
                )
        frame = pd.DataFrame(columns, index=index)
    if length is not None and len(frame) != length:
        raise ShapeError(f"{axis} has {len(frame)} rows, expected {length}")
    if isinstance(frame.index, pd.MultiIndex):
        raise TypeError(f"{axis} cannot have a MultiIndex; call reset_index() on it first")
    frame.index = string_index(frame.index)
    return frame


def _names(value: Any, key: str | None, length: int | None) -> Any:
    """Row names of a mapping: what the key holds, if there is one."""
    if key is not None:
        return pd.Index(np.asarray(value[key]))
    if length is None:
        length = len(next(iter(value.values()))) if value else 0
    return pd.RangeIndex(length)


def string_index(index: pd.Index) -> pd.Index:
    """Row names as strings, whatever they were; their name is kept."""
    if len(index) == 0 or pd.api.types.infer_dtype(index) in ("string", "empty"):
        return index.astype(object).astype(str) if isinstance(index, pd.RangeIndex) else index
    return index.astype(str)
