"""Data frames of every generation: read whole or by columns, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.container.frames import string_index
from lazyomics.errors import UnsupportedError
from lazyomics.io.encodings.arrays import read_fields
from lazyomics.io.encodings.checks import check_storage, has_member, member_names, open_member
from lazyomics.io.encodings.damage import as_format_errors, damaged, location, missing_member
from lazyomics.io.encodings.kinds import holds_references, is_legacy, text
from lazyomics.io.encodings.legacy import read_plain
from lazyomics.io.encodings.registry import (
    NO_OPTIONS,
    OpaqueElement,
    element_path,
    has_surrogates,
    mark,
    read_element,
    reads,
    write_element,
    writes,
)

__all__ = [
    "column_length",
    "column_names",
    "frame_columns",
    "frame_index",
    "frame_length",
    "index_name",
    "named_rows",
    "read_frame",
    "write_frame",
    "write_values",
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


@as_format_errors
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


@as_format_errors
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
    return has_member(group, name) and isinstance(open_member(group, name), h5py.Dataset)


@as_format_errors
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


@as_format_errors
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
        place = obj if key is None else open_member(obj, key)
        raise damaged(place, expected="a text for each row", found=f"others ({error})") from error


@as_format_errors
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
        return column_length(open_member(obj, key))
    columns = frame_columns(obj)
    return column_length(open_member(obj, columns[0])) if columns else 0


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
        raise missing_member(group, key)
    return key


def column_length(obj: Any) -> int:
    """Return the number of values of a stored column, without reading any."""
    part = obj
    for name in ("codes", "mask"):
        if isinstance(obj, h5py.Group) and name in obj:
            part = open_member(obj, name)
    shape = part.shape if isinstance(part, h5py.Dataset) else None
    if shape is None or len(shape) != 1:
        found = "a group" if shape is None else f"shape {shape}"
        raise damaged(obj, expected="a column: one value per row", found=found)
    check_storage(part)
    return int(shape[0])


def _read_column(group: h5py.Group, name: str, length: int) -> Any:
    obj = open_member(group, name)
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


# HDF5 keeps an attribute of up to 64 KiB in the object header, 16 bytes for each name; with
# creation order tracked it stores larger ones elsewhere.
MOST_NAMES_IN_HEADER = 4_000


def write_frame(
    parent: h5py.Group,
    name: str,
    frame: pd.DataFrame,
    *,
    dataset_kwargs: Mapping[str, Any] = NO_OPTIONS,
) -> None:
    """Write a data frame as anndata does; see :func:`write_element`.

    Parameters
    ----------
    parent
        An open group, writable.
    name
        Name of the new group.
    frame
        Columns of numbers, booleans, text, categories, or nullable integers, booleans or text.
    dataset_kwargs
        Options for :meth:`h5py.Group.create_dataset`.

    Raises
    ------
    TypeError
        If a column cannot be stored; the message names frame and column, and what to do.
    ValueError
        If names of columns are repeated, reserved, or contain ``"/"``.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{element_path(parent, name)}: expected a DataFrame, found {type(frame)}")
    write_element(parent, name, frame, dataset_kwargs=dataset_kwargs)


@writes(pd.DataFrame)
def write_columns(
    parent: h5py.Group, name: str, frame: pd.DataFrame, options: Mapping[str, Any]
) -> None:
    """Write index and columns, after checking all that can be checked before."""
    path = element_path(parent, name)
    name_of_index = index_name(path, frame)
    columns = column_names(path, frame)
    group = parent.create_group(name, track_order=len(columns) > MOST_NAMES_IN_HEADER)
    mark(group, "dataframe", "0.2.0")
    group.attrs["column-order"] = columns
    group.attrs["_index"] = name_of_index
    if name_of_index not in columns:
        write_values(group, name_of_index, frame.index, options, what="the index")
    for position, column in enumerate(columns):
        series = frame.iloc[:, position]
        write_values(group, column, series, options, what=f"column {column!r}")


def write_values(
    group: h5py.Group,
    name: str,
    values: pd.Series[Any] | pd.Index[Any],
    options: Mapping[str, Any],
    *,
    what: str,
) -> None:
    """Write the values of a column or of the index; errors say which one it is by ``what``."""
    array: Any = values.array
    if type(array) is pd.arrays.NumpyExtensionArray:  # not its subclasses: text is one of them
        array = values.to_numpy()
    try:
        write_element(group, name, array, dataset_kwargs=options)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"data frame {group.name!r}, {what}: {error}") from error


def column_names(path: str, frame: pd.DataFrame) -> list[str]:
    """Names of the columns, after checking that they can be stored; ``path`` is for messages."""
    labels: list[Any] = list(frame.columns)
    wrong = [label for label in labels if not isinstance(label, str)]
    if wrong:
        raise TypeError(
            f"data frame {path!r}: names of columns are text, found {wrong[0]!r} "
            f"({type(wrong[0]).__name__}). Use frame.rename(columns=str)."
        )
    if not frame.columns.is_unique:
        repeated = list(frame.columns[frame.columns.duplicated()].unique())
        raise ValueError(
            f"data frame {path!r}: names of columns must differ, found {repeated} repeatedly. "
            "Rename or drop the repetitions."
        )
    if "_index" in frame.columns:
        raise ValueError(f"data frame {path!r}: the name '_index' is reserved. Rename the column.")
    slashed = [column for column in frame.columns if "/" in column]
    if slashed:
        raise ValueError(
            f"data frame {path!r}: names of columns cannot hold '/', found {slashed}. Rename "
            "them, e.g. frame.rename(columns=lambda name: name.replace('/', '_'))."
        )
    for column in frame.columns:
        _check_label(path, column)
    return [str(column) for column in frame.columns]


def _check_label(path: str, label: str) -> None:
    """Refuse names that neither elements nor attributes can have."""
    if "\0" in label or has_surrogates(label):
        raise ValueError(
            f"data frame {path!r}: {label!r} cannot be the name of a column, because names in HDF5 "
            "hold neither NUL characters nor lone surrogates. Rename it."
        )


def index_name(path: str, frame: pd.DataFrame) -> str:
    """Name under which the index is stored, after checking that it can be."""
    if isinstance(frame.index, pd.MultiIndex):
        raise TypeError(
            f"data frame {path!r}: an index of several levels cannot be stored. Use "
            "frame.reset_index() to make columns of them, and one index of text."
        )
    name = frame.index.name
    if name is None:
        return "_index"
    if not isinstance(name, str):
        raise TypeError(
            f"data frame {path!r}: the name of the index is text, found {name!r} "
            f"({type(name).__name__}). Use frame.rename_axis(str({name!r}))."
        )
    _check_label(path, name)
    if name in frame.columns and frame.columns.is_unique:
        values = pd.Series(frame.index, index=frame.index)
        if not values.equals(frame[name]):
            raise ValueError(
                f"data frame {path!r}: index and a column are both named {name!r} but differ. "
                "Rename one of them, e.g. frame.rename_axis(None)."
            )
    return str(name)
