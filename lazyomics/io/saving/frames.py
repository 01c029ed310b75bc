"""Which columns of obs or var changed, and how they get into the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings import (
    frame_columns,
    frame_index,
    read_frame,
    strings_to_categoricals,
    write_frame,
)
from lazyomics.io.encodings.frame_writing import column_names, write_values
from lazyomics.io.encodings.registry import NO_OPTIONS, check_name
from lazyomics.io.saving.discarding import makes_room
from lazyomics.io.saving.equality import same_value

__all__ = ["FrameChange", "frame_change", "write_frame_change"]


@dataclass(frozen=True)
class FrameChange:
    """Columns to write and to remove; ``whole`` writes the table anew."""

    frame: pd.DataFrame
    columns: tuple[str, ...]
    removed: tuple[str, ...]
    order: tuple[str, ...]
    index: bool
    whole: bool

    @property
    def is_empty(self) -> bool:
        """Whether the file holds the table already."""
        return not (self.columns or self.removed or self.index or self.whole)


def frame_change(
    group: h5py.Group, name: str, frame: pd.DataFrame, opened_with: frozenset[str]
) -> FrameChange:
    """Compare a table with the stored one.

    Parameters
    ----------
    group, name
        Where the table is stored, or not yet.
    frame
        The table now.
    opened_with
        Columns it had when it was opened: of these, the ones that are gone are removed. Columns
        that someone else added to the file since stay.
    """
    frame = strings_to_categoricals(frame)
    mine = tuple(str(c) for c in frame.columns)
    for label in (*mine, *([frame.index.name] if isinstance(frame.index.name, str) else [])):
        check_name(f"/{name}", label)
    obj = group.get(name)
    if not isinstance(obj, h5py.Group) or str(obj.attrs.get("encoding-version")) != "0.2.0":
        return FrameChange(frame, mine, (), mine, index=True, whole=True)
    there = frame_columns(obj)
    changed = tuple(c for c in mine if c not in there or _differs(obj, c, frame))
    removed = tuple(c for c in there if c in opened_with and c not in mine)
    others = tuple(c for c in there if c not in mine and c not in removed)
    index = not same_value(frame.index, frame_index(obj))
    order = mine + others
    reordered = [c for c in there if c in order] != [c for c in order if c in there]
    whole = index or reordered
    if whole and others:
        frame = frame.join(read_frame(obj, list(others)).set_axis(frame.index))
    return FrameChange(frame, changed, removed, order, index=index, whole=whole)


def _differs(obj: h5py.Group, column: str, frame: pd.DataFrame) -> bool:
    stored = strings_to_categoricals(read_frame(obj, [column]))[column]
    return not same_value(_values(frame[column]), _values(stored))


def _values(column: Any) -> Any:
    array = column.array
    return column.to_numpy() if isinstance(array, pd.arrays.NumpyExtensionArray) else array


def write_frame_change(group: h5py.Group, name: str, change: FrameChange) -> None:
    """Put the changed columns in place."""
    if change.is_empty:
        return
    parent_name, _, key = name.rpartition("/")
    parent = group[parent_name] if parent_name else group
    if not change.whole:
        _write_columns(parent[key], change)
        return
    if key in parent and makes_room(parent[key]):
        del parent[key]
    fresh_key = f"{key}.{uuid4().hex[:8]}.new" if key in parent else key
    write_frame(parent, fresh_key, change.frame[list(change.order)])
    if fresh_key != key:
        del parent[key]
        parent.move(fresh_key, key)


def _write_columns(table: h5py.Group, change: FrameChange) -> None:
    """Write the changed columns; small ones are deleted first, for the new to take their space."""
    frame = change.frame[list(change.columns)]
    column_names(str(table.name), frame)
    large = [
        column
        for column in (*change.columns, *change.removed)
        if column in table and not makes_room(table[column])
    ]
    for column in (*change.columns, *change.removed):
        if column in table and column not in large:
            del table[column]
    fresh = f"{uuid4().hex[:8]}.new"
    for position, column in enumerate(change.columns):
        name = f"{column}.{fresh}" if column in large else column
        write_values(table, name, frame.iloc[:, position], NO_OPTIONS, what=f"column {column!r}")
    for column in large:
        del table[column]
        if column in change.columns:
            table.move(f"{column}.{fresh}", column)
    if tuple(table.attrs["column-order"]) != change.order:
        table.attrs["column-order"] = np.asarray(change.order, dtype=h5py.string_dtype())
