"""Indexing an annotated axis: masks, labels, slices and positions become a selector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.graph.kinds import is_dask_array
from lazyomics.graph.selection import Selector, positions

__all__ = ["axis_selector", "label_positions", "split_key"]

NAMES_SHOWN = 5


def split_key(key: Any) -> tuple[Any, Any]:
    """Split what is between the brackets into the keys of the two axes."""
    if not isinstance(key, tuple):
        key = (key,)
    if len(key) > 2:
        raise IndexError(f"an AnnData has two axes, found an index of {len(key)} parts")
    rows = key[0] if len(key) > 0 else slice(None)
    cols = key[1] if len(key) > 1 else slice(None)
    everything = slice(None)
    return (everything if rows is Ellipsis else rows), (everything if cols is Ellipsis else cols)


def axis_selector(key: Any, size: int, names: Callable[[], pd.Index], axis: str) -> Selector:
    """Turn any supported key of one axis into a selector.

    Parameters
    ----------
    key
        Label, list of labels, slice (of positions or labels), position, positions, boolean
        mask (numpy, pandas, or dask, which is computed).
    size
        Length of the axis.
    names
        Gives the axis' labels; called only for keys that need them.
    axis
        ``"obs"`` or ``"var"``, for messages.
    """
    if isinstance(key, slice):
        return _slice_selector(key, size, names, axis)
    if isinstance(key, str):
        return label_positions(names(), [key], axis)
    if isinstance(key, int | np.integer) and not isinstance(key, bool | np.bool_):
        return positions([int(key)], size, axis)
    values = _values(key)
    if values.dtype == bool or np.issubdtype(values.dtype, np.number):
        return positions(values, size, axis)
    return label_positions(names(), values, axis)


def _values(key: Any) -> np.ndarray[Any, Any]:
    """One-dimensional numpy values of a list, Series, Index, mask matrix or dask array."""
    if is_dask_array(key):
        key = key.compute()
    if hasattr(key, "toarray"):
        key = key.toarray()
    if isinstance(key, pd.Series | pd.Index):
        if isinstance(key.dtype, pd.BooleanDtype):
            key = key.fillna(False) if isinstance(key, pd.Series) else key
        key = key.to_numpy()
    values = np.asarray(key)
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if (
        values.dtype == object
        and len(values)
        and all(isinstance(v, bool | np.bool_) for v in values)
    ):
        values = values.astype(bool)
    return values


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
    wanted = pd.Index(np.asarray(labels, dtype=object))
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
        raise KeyError(f"not in {axis}_names: {shown}{more}")
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
