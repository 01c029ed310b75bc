"""Data frames of every generation, read whole or by columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.container.frames import string_index
from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings.attributes import text
from lazyomics.io.encodings.damage import damaged, guarded, location, lost
from lazyomics.io.encodings.kinds import holds_references, is_legacy
from lazyomics.io.encodings.legacy import read_plain
from lazyomics.io.encodings.members import child, has_member, member_names
from lazyomics.io.encodings.opaque import OpaqueElement
from lazyomics.io.encodings.records import read_fields
from lazyomics.io.encodings.registry import read_element, reads
from lazyomics.io.encodings.storage_checks import check_storage

__all__ = [
    "column_length",
    "frame_columns",
    "frame_index",
    "frame_length",
    "named_rows",
    "read_frame",
]

# The member that holds the categories of a frame written by anndata 0.7.
CATEGORIES = "__categories"


def read_frame(obj: Any, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a data frame, or some of its columns (eagerly).

    Parameters
    ----------
    obj
        An open group, or a compound dataset as anndata wrote before 0.7 (there the categories
        are in ``uns``: see :func:`categories_from_uns`).
    columns
        Names of the columns to read, in the wanted order; all of them by default.

    Returns
    -------
    Frame of as many rows as the index has entries.

    Raises
    ------
    KeyError
        If a column does not exist; the message names the file and the columns there are.
    FileFormatError
        If the frame is damaged, e.g. a column is longer than the index.
    """
    available = frame_columns(obj)
    if columns is None:
        columns = available
    elif isinstance(columns, str):
        raise TypeError(f"columns must be a sequence of names, found the text {columns!r}")
    unknown = [name for name in columns if name not in available]
    if unknown:
        file, name = location(obj)
        raise KeyError(f"{file}: {name!r} has no column {unknown}; available: {available}")
    return _read_columns(obj, list(columns))


@guarded
def _read_columns(obj: Any, columns: list[str]) -> pd.DataFrame:
    if isinstance(obj, h5py.Dataset):
        values: dict[str, Any] = dict(read_fields(obj, columns))
    else:
        length = frame_length(obj)
        values = {name: _read_column(obj, name, length) for name in columns}
    frame = pd.DataFrame(values, index=frame_index(obj), columns=columns or None)
    if not columns:  # pandas would number them: names of columns are text, also of none
        frame.columns = frame.columns.astype(str)
    return frame


@reads("dataframe")
def read_whole_frame(obj: Any) -> pd.DataFrame:
    """Read all columns of a frame."""
    return read_frame(obj)


@guarded
def frame_columns(obj: Any) -> list[str]:
    """Names of the columns of a stored frame, in order, without reading any.

    Parameters
    ----------
    obj
        An open group or compound dataset.
    """
    if isinstance(obj, h5py.Dataset):
        return list(_fields(obj)[1:])
    if "column-order" not in obj.attrs:
        index = _index_key(obj)
        return [key for key in member_names(obj) if key not in {index, CATEGORIES}]
    order = np.atleast_1d(np.asarray(obj.attrs["column-order"]))
    # Empty ones are numbers: there is nothing that says text.
    if order.ndim != 1 or not all(isinstance(name, str | bytes) for name in order):
        raise damaged(
            obj,
            expected="column names in 'column-order'",
            found=f"values of {order.dtype}, shape {order.shape}",
        )
    names = [text(name) for name in order]
    return [name for name in names if name != CATEGORIES or _is_column(obj, name)]


def _is_column(group: h5py.Group, name: str) -> bool:
    """Whether it is a column in spite of its name, not the group with categories of others."""
    return has_member(group, name) and isinstance(child(group, name), h5py.Dataset)


@guarded
def frame_index(obj: Any) -> pd.Index[Any]:
    """Row names of a stored frame, without reading its columns.

    Parameters
    ----------
    obj
        An open group or compound dataset.
    """
    if isinstance(obj, h5py.Dataset):
        name = _fields(obj)[0]
        index: pd.Index[Any] = pd.Index(read_fields(obj, [name])[name], name=name)
        return index
    key = _index_key(obj)
    if key is None:
        return pd.Index([str(row) for row in range(frame_length(obj))])
    values = _read_column(obj, key, frame_length(obj))
    index = pd.Index(values, name=None if key == "_index" else key)
    return index


@guarded
def named_rows(obj: Any, index: pd.Index[Any]) -> pd.Index[Any]:
    """Return the row names of obs, var or a table beside them: text, whatever the file holds.

    Parameters
    ----------
    obj
        An open group or compound dataset.
    index
        What was read as its index.

    Raises
    ------
    FileFormatError
        If a name is missing, or bytes that are no text.
    """
    try:
        return string_index(index)
    except ValueError as error:
        key = None if isinstance(obj, h5py.Dataset) else _index_key(obj)
        place = obj if key is None else child(obj, key)
        raise damaged(place, expected="a text for each row", found=f"others ({error})") from error


@guarded
def frame_length(obj: Any) -> int:
    """Number of rows of a stored frame, without reading data.

    Parameters
    ----------
    obj
        An open group or compound dataset.
    """
    if isinstance(obj, h5py.Dataset):
        _fields(obj)
        return int(obj.shape[0])
    key = _index_key(obj)
    if key is not None:
        return column_length(child(obj, key))
    columns = frame_columns(obj)
    return column_length(child(obj, columns[0])) if columns else 0


def _fields(dataset: h5py.Dataset) -> tuple[str, ...]:
    names = dataset.dtype.names
    if names is None or len(dataset.shape) != 1:
        raise damaged(
            dataset, expected="a table", found=f"{dataset.dtype} of shape {dataset.shape}"
        )
    return tuple(names)


def _index_key(group: Any) -> str | None:
    """Name of the member with the row names: from the attribute, or the usual name without it."""
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected="a data frame", found=f"{type(group).__name__}")
    if "_index" not in group.attrs:
        return "_index" if "_index" in group else None
    key = text(group.attrs["_index"])
    if key not in group:
        raise lost(group, key)
    return key


def column_length(obj: Any) -> int:
    """Return the number of values of a stored column, without reading any."""
    part = obj
    for name in ("codes", "mask"):
        if isinstance(obj, h5py.Group) and name in obj:
            part = child(obj, name)
    shape = part.shape if isinstance(part, h5py.Dataset) else None
    if shape is None or len(shape) != 1:
        found = "a group" if shape is None else f"shape {shape}"
        raise damaged(obj, expected="a column: one value per row", found=found)
    check_storage(part)
    return int(shape[0])


def _read_column(group: h5py.Group, name: str, length: int) -> Any:
    obj = child(group, name)
    legacy = isinstance(obj, h5py.Dataset) and is_legacy(obj) and "categories" not in obj.attrs
    if legacy and not holds_references(obj.dtype):
        _check_length(obj, length)
        return _as_column(group, name, read_plain(obj))
    value = None if isinstance(obj, h5py.Datatype) else read_element(obj)
    _check_length(obj, length)
    return _as_column(group, name, value)


def _as_column(group: h5py.Group, name: str, value: Any) -> Any:
    """A value that pandas can hold as a column; other programs may store others."""
    if isinstance(value, OpaqueElement):
        found = f"the encoding {value.encoding!r}"
    elif isinstance(value, np.ndarray) and value.dtype.kind == "V":
        found = f"values of type {value.dtype}"
    elif np.ndim(value) != 1:
        found = f"a value of type {type(value).__name__}"
    elif isinstance(value, np.ndarray) and not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))  # pandas takes no other
    else:
        return value
    file, frame = location(group)
    raise UnsupportedError(
        f"{file}: column {name!r} of {frame!r} has {found}, which lazyomics cannot read. Read the "
        "other columns by name."
    )


def _check_length(obj: Any, length: int) -> None:
    found = column_length(obj)
    if found != length:
        raise damaged(obj, expected=f"{length} values, one per row", found=f"{found}")
