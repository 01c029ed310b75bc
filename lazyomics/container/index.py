"""Indexing an annotated axis: masks, labels, slices and positions become a selector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from lazyomics.container.frames import string_index
from lazyomics.lazy.indexer import Selector, positions
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.names import choices

__all__ = ["aligned_mask", "axis_selector", "label_positions", "split_key"]

NAMES_SHOWN = 5


def split_key(key: Any) -> tuple[Any, Any]:
    """Split what is between the brackets into the keys of the two axes."""
    parts = key if isinstance(key, tuple) else (key,)
    dots = [k for k, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError(f"an index can hold '...' once, found {len(dots)}")
    if len(parts) == 3 and dots:  # it stands for no axis then
        parts = tuple(part for part in parts if part is not Ellipsis)
    if len(parts) > 2:
        raise IndexError(
            f"an AnnData has two axes, found an index of {len(parts)} parts; put several names or "
            "positions into a list"
        )
    everything = slice(None)
    rows = parts[0] if len(parts) > 0 else everything
    cols = parts[1] if len(parts) > 1 else everything
    return (everything if rows is Ellipsis else rows), (everything if cols is Ellipsis else cols)


def axis_selector(key: Any, size: int, names: Callable[[], pd.Index], axis: str) -> Selector:
    """Turn any supported key of one axis into a selector.

    Parameters
    ----------
    key
        Label, list of labels, slice (of positions or labels), position, positions, boolean
        mask (numpy, pandas, or dask, which is computed). A mask that is a Series with the labels
        of the axis in another order is brought to the order of the axis.
    size
        Length of the axis.
    names
        Gives the axis' labels; called only for keys that need them.
    axis
        ``"obs"`` or ``"var"``, for messages.

    Raises
    ------
    KeyError
        If a label is unknown, or stands for several entries.
    IndexError
        If a mask is of another length or for other labels, or a position is outside of the axis.
    TypeError
        For keys that do not say clearly what they select: sets, tables, missing values, names
        together with positions, numbers that are no integers.
    """
    if isinstance(key, slice):
        return _slice_selector(key, size, names, axis)
    if isinstance(key, str):
        return label_positions(names(), [key], axis)
    if isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_):
        return positions([int(key)], size, axis)
    values = _values(key, axis)
    if values.dtype == bool and isinstance(key, pd.Series) and len(values) == size:
        values = aligned_mask(values, key.index, names, axis)
    if values.dtype.kind in "biuf" or len(values) == 0:
        return positions(values, size, axis)
    return label_positions(names(), values, axis)


def _values(key: Any, axis: str) -> np.ndarray[Any, Any]:
    """One-dimensional values of a list, Series, Index, mask matrix or dask array: of one kind."""
    if is_dask_array(key):
        key = key.compute()
    if hasattr(key, "toarray"):
        key = key.toarray()
    if isinstance(key, pd.DataFrame):
        raise TypeError(f"{axis}: cannot index by a table; use one of its columns")
    if not hasattr(key, "__array__") and not isinstance(key, Sequence):
        advice = "; use list(…), or sorted(…) of a set" if isinstance(key, Iterable) else ""
        raise TypeError(f"{axis}: cannot index by {key!r} ({type(key).__name__}){advice}")
    values = _array_of(key)
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim != 1:
        raise IndexError(
            f"{axis}: an index must be one-dimensional, found {values.ndim} dimensions"
        )
    if values.dtype == object and len(values):
        return _of_one_kind(values, axis)
    if values.dtype.kind == "f" and len(values):
        raise IndexError(
            f"{axis}: an index of {values.dtype} has floating point values: positions are integers "
            "(.astype(int)), masks are booleans (.astype(bool))"
        )
    if values.dtype.kind not in "biufOTU":
        raise TypeError(f"{axis}: cannot index by {values.dtype}; names are text")
    return values


def _array_of(key: Any) -> np.ndarray[Any, Any]:
    """Values as an array that keeps what they are: numpy makes text or numbers of mixed lists."""
    if isinstance(key, pd.Series | pd.Index):
        key = key.array if not isinstance(key, pd.MultiIndex) else key.to_numpy()
    if isinstance(key, pd.api.extensions.ExtensionArray):
        missing = bool(np.asarray(key.isna()).any())
        return key.to_numpy(dtype=object) if missing else key.to_numpy()
    if hasattr(key, "__array__"):
        return np.asarray(key)
    kinds = {type(item) for item in key}
    integers = all(issubclass(k, int | np.integer) and k is not bool for k in kinds)
    return np.asarray(key) if integers or len(kinds) == 1 else np.asarray(key, dtype=object)


def _of_one_kind(values: np.ndarray[Any, Any], axis: str) -> np.ndarray[Any, Any]:
    """Names as they are, a mask as booleans; refuses other objects, and mixtures."""
    missing = pd.isna(values)
    found = infer_dtype(values[~missing], skipna=False)
    if found == "boolean" and missing.any():
        raise TypeError(
            f"{axis}: the mask has {int(missing.sum())} missing values; say what they mean, e.g. "
            "with .fillna(False)"
        )
    if found == "string":
        return values
    if found == "boolean":
        return values.astype(bool)
    if found == "integer" and not missing.any():
        raise TypeError(
            f"{axis}: cannot index by integers that are objects: use .astype(int) for positions, "
            ".astype(str) for names"
        )
    shown = ", ".join(repr(v) for v in values[:NAMES_SHOWN])
    raise TypeError(
        f"{axis}: cannot index by objects that are {found} ({shown}): an index has names, or "
        "positions, or a boolean for each entry"
    )


def aligned_mask(
    mask: np.ndarray[Any, Any], labels: pd.Index, names: Callable[[], pd.Index], axis: str
) -> np.ndarray[Any, Any]:
    """Bring a mask with labels to the order of the axis, as pandas does.

    Parameters
    ----------
    mask
        A boolean for each entry.
    labels
        Its labels. Numbers from 0, which pandas gives to what has no labels, are no labels.
    names
        Gives the names along the axis.
    axis
        ``"obs"`` or ``"var"``, for messages.

    Raises
    ------
    IndexError
        If the labels are not those of the axis.
    """
    if isinstance(labels, pd.RangeIndex) and labels.start == 0 and labels.step == 1:
        return mask
    own = names()
    try:
        labels = string_index(labels)
    except (TypeError, ValueError):
        labels = pd.Index(np.full(len(labels), None), dtype=object)
    if labels.equals(own):
        return mask
    found = labels.get_indexer(own) if labels.is_unique and own.is_unique else np.array([-1])
    if (found < 0).any():
        raise IndexError(
            f"{axis}: the labels of the mask are not {axis}_names (the first is {labels[0]!r}, "
            f"there {own[0]!r}). Use the mask of a column of {axis}, or mask.to_numpy() to go by "
            "position."
        )
    aligned: np.ndarray[Any, Any] = mask[found]
    return aligned


def _slice_selector(key: slice, size: int, names: Callable[[], pd.Index], axis: str) -> Selector:
    if not any(isinstance(part, str) for part in (key.start, key.stop)):
        return positions(key, size, axis)
    index = names()
    ends = [
        None if part is None else int(_first(label_positions(index, [part], axis)))
        for part in (key.start, key.stop)
    ]
    stop = None if ends[1] is None else ends[1] + 1  # label slices include their end, as in pandas
    return positions(slice(ends[0], stop, key.step), size, axis)


def _first(selector: Selector) -> int:
    return int(selector.start if isinstance(selector, slice) else selector[0])


def label_positions(names: pd.Index, labels: Any, axis: str) -> Selector:
    """Positions of labels, in the order asked for.

    Raises
    ------
    KeyError
        If labels are unknown (some are named), or one of them stands for several entries.
    """
    wanted = pd.Index(np.asarray(labels, dtype=object), dtype=object)
    if len(wanted) == 0:
        return np.empty(0, dtype=np.int64)
    if names.is_unique:
        found = names.astype(object).get_indexer(wanted)
    else:
        found = _positions_among_duplicates(names, wanted, axis)
    missing = wanted[found < 0]
    if len(missing):
        shown = ", ".join(repr(str(m)) for m in missing[:NAMES_SHOWN])
        more = f" and {len(missing) - NAMES_SHOWN} more" if len(missing) > NAMES_SHOWN else ""
        said = choices(list(missing[:NAMES_SHOWN]), names)
        raise KeyError(f"not in {axis}_names: {shown}{more}; {said}")
    return positions(found, len(names), axis)


def _positions_among_duplicates(names: pd.Index, wanted: pd.Index, axis: str) -> Any:
    doubled = names[names.duplicated()].unique()
    ambiguous = wanted[wanted.isin(doubled)]
    if len(ambiguous):
        raise KeyError(
            f"{ambiguous[0]!r} stands for several entries of {axis}_names; "
            f"call {axis}_names_make_unique() first"
        )
    first = ~names.duplicated()
    places = np.flatnonzero(first)
    found = names[first].astype(object).get_indexer(wanted)
    return np.where(found < 0, -1, places[np.clip(found, 0, None)])
