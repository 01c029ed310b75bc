"""Columns of text that become categories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from lazyomics.container.values import native_columns
from lazyomics.errors import warn_user

__all__ = [
    "categorise",
    "natural_key",
    "rename_in_records",
    "renamed_categories",
    "strings_to_categoricals",
    "text_stays",
]


def natural_key(text: str) -> tuple[str | int, ...]:
    """Sort key under which numbers inside text are compared as numbers.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    Texts and integers in turn, beginning with a text, so that any two keys can be compared.
    """
    parts = re.split(r"(\d+)", unicodedata.normalize("NFD", text))
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts))


_text_stays: ContextVar[bool] = ContextVar("_text_stays", default=False)


@contextmanager
def text_stays(asked: bool) -> Iterator[None]:
    """Leave columns of text as they are while tables are written, if that is asked for."""
    token = _text_stays.set(asked)
    try:
        yield
    finally:
        _text_stays.reset(token)


def strings_to_categoricals(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of repeated text into categoricals (eagerly).

    Parameters
    ----------
    frame
        Any data frame; it is not changed.

    Returns
    -------
    A new frame (columns that stay are shared). A column of text, with or without missing values,
    becomes categorical if it has fewer distinct texts than rows; its categories are in natural
    order (``"x2"`` before ``"x10"``). Under ``text_stays`` all columns stay.
    Numbers of the other byte order get that of this machine.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"batch": ["b10", "b2", "b2"], "barcode": ["x", "y", "z"]})
    >>> list(strings_to_categoricals(frame)["batch"].cat.categories)
    ['b2', 'b10']
    """
    frame = native_columns(frame)
    result = frame.copy(deep=False)
    if _text_stays.get():
        return result
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if infer_dtype(column, skipna=True) != "string":
            continue
        categorical = pd.Categorical(column)
        if len(categorical.categories) >= len(categorical):
            continue
        ordered = sorted(categorical.categories, key=natural_key)
        if not np.array_equal(categorical.categories, ordered):
            categorical = categorical.reorder_categories(ordered)
        if not frame.columns.is_unique:
            raise ValueError(f"names of columns must differ, found {name!r} and others repeatedly")
        result[name] = pd.Series(categorical, index=frame.index)
    return result


def categorise(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> None:
    """Turn columns of repeated text, all or some, into categoricals, in the frame itself."""
    made = strings_to_categoricals(frame if columns is None else frame[list(columns)])
    for name in made.columns:
        if made[name] is not frame[name] and made[name].dtype != frame[name].dtype:
            frame[name] = made[name]


def renamed_categories(column: pd.Series[Any], categories: Sequence[Any]) -> pd.Series[Any]:
    """Return a column whose categories have other names, in their order.

    Raises
    ------
    ValueError
        If the column has no categories, or another number of them.
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(f"{column.name!r} is of type {column.dtype}, expected categories")
    old, new = column.dtype.categories, list(categories)
    if len(new) != len(old):
        raise ValueError(f"{len(new)} names for the {len(old)} categories of {column.name!r}")
    return column.cat.rename_categories(new)


def rename_in_records(
    values: Mapping[str, Any], key: str, old: Sequence[Any], new: Sequence[Any]
) -> None:
    """Rename the fields of record arrays that tools made for the categories of a column.

    Parameters
    ----------
    values
        Unstructured annotation. An entry was made for the column if its ``params["groupby"]``
        names it; its record arrays have a field for each category.
    key
        Name of the column.
    old, new
        Its categories before and after.

    Warns
    -----
    UserWarning
        If a record array of such an entry has other fields: it stays as it is.
    """
    for name in values:
        entry = values[name]
        if not isinstance(entry, MutableMapping) or not isinstance(entry.get("params"), Mapping):
            continue
        if entry["params"].get("groupby") != key:
            continue
        for field, records in list(entry.items()):
            if not isinstance(records, np.ndarray) or records.dtype.names is None:
                continue
            if list(records.dtype.names) == [str(c) for c in old]:
                # Copies share the type of the original: renaming its fields would reach these.
                formats = [records.dtype[k] for k in range(len(new))]
                names = [str(c) for c in new]
                entry[field] = records.astype(np.dtype({"names": names, "formats": formats}))
            else:
                warn_user(
                    f"uns[{name!r}][{field!r}] keeps its fields {list(records.dtype.names)[:5]}: "
                    f"they are not the categories that {key!r} had"
                )
