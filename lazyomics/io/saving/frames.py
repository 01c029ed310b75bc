"""Changed columns of a table, and how they get into the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
import pandas as pd

from lazyomics.io.encodings import strings_to_categoricals, write_frame
from lazyomics.io.encodings.attributes import text
from lazyomics.io.encodings.frame_writing import column_names, write_values
from lazyomics.io.encodings.registry import NO_OPTIONS
from lazyomics.io.saving.discarding import makes_room

__all__ = ["FrameChange", "stored_index_key", "write_frame_change"]


@dataclass(frozen=True)
class FrameChange:
    """What a save does to a table.

    Attributes
    ----------
    frame
        The table as it will be, with all its columns where it is written as a whole.
    columns, removed
        Columns that are written and removed.
    order
        Names of the columns, in the order that the file will state.
    reordered
        Whether that order is another one than the file states.
    index
        Whether the row names changed.
    whole
        Whether the table is written anew as a whole.
    is_legacy
        Whether it is stored in another layout than today's.
    """

    frame: pd.DataFrame
    columns: tuple[str, ...]
    removed: tuple[str, ...]
    order: tuple[str, ...]
    reordered: bool = False
    index: bool = False
    whole: bool = False
    is_legacy: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the file holds the table already."""
        return not (self.columns or self.removed or self.reordered or self.index or self.whole)


def stored_index_key(table: Any) -> str | None:
    """Return the name of the dataset with the row names of a stored table."""
    if not isinstance(table, h5py.Group):
        return None
    if "_index" in table.attrs:
        return text(table.attrs["_index"])
    return "_index" if "_index" in table else None


def write_frame_change(group: h5py.Group, name: str, change: FrameChange) -> None:
    """Put the changed columns in place."""
    if change.is_empty:
        return
    parent_name, _, key = name.rpartition("/")
    parent = group[parent_name] if parent_name else group
    if not change.whole:
        _write_columns(parent[key], change)
        return
    frame = strings_to_categoricals(change.frame[list(change.order)])
    if key in parent and makes_room(parent[key]):
        del parent[key]
    fresh_key = f"{key}.{uuid4().hex[:8]}.new" if key in parent else key
    write_frame(parent, fresh_key, frame)
    if fresh_key != key:
        del parent[key]
        parent.move(fresh_key, key)


def _write_columns(table: h5py.Group, change: FrameChange) -> None:
    """Write the changed columns; small ones are deleted first, for the new to take their space."""
    index = stored_index_key(table)
    frame = strings_to_categoricals(change.frame[list(change.columns)])
    column_names(str(table.name), frame)
    # A column that is the index, too, is one dataset: it stays, and is only not listed any more.
    gone = [column for column in change.removed if column != index]
    replaced = [column for column in (*change.columns, *gone) if column in table]
    large = [column for column in replaced if not makes_room(table[column])]
    for column in replaced:
        if column not in large:
            del table[column]
    fresh = f"{uuid4().hex[:8]}.new"
    for position, column in enumerate(change.columns):
        name = f"{column}.{fresh}" if column in large else column
        write_values(table, name, frame.iloc[:, position], NO_OPTIONS, what=f"column {column!r}")
    for column in large:
        del table[column]
        if column in change.columns:
            table.move(f"{column}.{fresh}", column)
    if change.reordered:  # each writing of texts costs some bytes for good
        table.attrs["column-order"] = np.asarray(change.order, dtype=h5py.string_dtype())
