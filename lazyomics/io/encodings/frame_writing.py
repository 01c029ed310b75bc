"""Data frames written as groups, one member per column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import pandas as pd

from lazyomics.io.encodings.registry import (
    NO_OPTIONS,
    element_path,
    has_surrogates,
    mark,
    write_element,
    writes,
)

__all__ = ["column_names", "write_frame", "write_values"]

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
    index_name = _index_name(path, frame)
    columns = column_names(path, frame)
    group = parent.create_group(name, track_order=len(columns) > MOST_NAMES_IN_HEADER)
    mark(group, "dataframe", "0.2.0")
    group.attrs["column-order"] = columns
    group.attrs["_index"] = index_name
    if index_name not in columns:
        write_values(group, index_name, frame.index, options, what="the index")
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


def _index_name(path: str, frame: pd.DataFrame) -> str:
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
