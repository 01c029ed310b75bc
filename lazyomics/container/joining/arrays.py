"""Values of obsm, varm, obsp and varp of several objects: under each other, or on other rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.gaps import take_with_gaps
from lazyomics.container.joining.frames import on_rows, stacked_frame
from lazyomics.container.ragged import is_ragged
from lazyomics.errors import UnsupportedError, require
from lazyomics.graph import join_matrices, materialize
from lazyomics.graph.selection import Positions

__all__ = ["realigned", "stacked_values"]


def stacked_values(
    values: Sequence[Any], lengths: Sequence[int], index: pd.Index, join: str, fill: Any
) -> Any:
    """Put arrays, tables or sparse matrices under each other; None stands for a missing one.

    An inner join keeps the columns that all of them have (of arrays: the first ones), an outer
    join all columns, filled with ``fill`` (by default 0 for sparse, else NaN).
    """
    present = [v for v in values if v is not None]
    tables = [isinstance(v, pd.DataFrame) for v in present]
    if any(tables):
        if not all(tables):
            raise UnsupportedError("a table cannot be joined with an array; convert one of them")
        return _stacked_tables(values, lengths, index, join)
    if any(is_ragged(v) for v in present):
        return _stacked_awkward(values, lengths, join)
    loaded = [None if v is None else materialize(v) for v in values]
    widths = [v.shape[1] for v in loaded if v is not None]
    width = min(widths) if join == "inner" else max(widths)
    if any(v is not None and v.ndim > 2 for v in loaded):
        return _stacked_boxes(loaded, lengths, width, fill)
    places = [None if v is None else _first_columns(v.shape[1], width) for v in loaded]
    return join_matrices(loaded, axis=0, lengths=lengths, places=places, width=width, fill=fill)


def _first_columns(n: int, width: int) -> Positions | None:
    if n == width:
        return None
    here = np.arange(width, dtype=np.int64)
    return np.where(here < n, here, -1)


def _stacked_tables(
    values: Sequence[Any], lengths: Sequence[int], index: pd.Index, join: str
) -> pd.DataFrame:
    frames = [
        pd.DataFrame(index=pd.RangeIndex(n)) if v is None else v
        for v, n in zip(values, lengths, strict=True)
    ]
    if join == "inner":
        columns = reduce(lambda a, b: a.intersection(b), (f.columns for f in frames))
        frames = [f.reindex(columns=columns) for f in frames]
    return stacked_frame(frames, "outer", index)


def _stacked_awkward(values: Sequence[Any], lengths: Sequence[int], join: str) -> Any:
    """Join awkward arrays; rows of an object that has none are None."""
    present = [v for v in values if v is not None]
    if not all(is_ragged(v) for v in present):
        raise UnsupportedError("an awkward array can only be joined with other awkward arrays")
    ak = require("awkward", extra="awkward", purpose="concat of awkward arrays")
    fields = [set(v.fields) for v in present]
    if join == "inner" and any(f != fields[0] for f in fields):
        common = [f for f in present[0].fields if all(f in other for other in fields)]
        values = [v[common] for v in values]
    missing = ak.Array([None] * (1 + max(lengths)))  # cut, as none of them would have no type
    pieces = [missing[:n] if v is None else v for v, n in zip(values, lengths, strict=True)]
    return ak.concatenate(pieces, axis=0)


def _stacked_boxes(values: Sequence[Any], lengths: Sequence[int], width: int, fill: Any) -> Any:
    """Join arrays of more than two dimensions."""
    rest = next(v.shape[2:] for v in values if v is not None)
    fill = np.nan if fill is None else fill
    pieces = []
    for value, n in zip(values, lengths, strict=True):
        if value is None:
            pieces.append(np.full((n, width, *rest), fill, dtype=np.float64))
            continue
        kept = value[:, :width]
        gap = width - kept.shape[1]
        if gap:
            kept = kept.astype(np.result_type(kept.dtype, fill))
            filling = np.full((n, gap, *rest), fill, dtype=kept.dtype)
            kept = np.concatenate([kept, filling], axis=1)
        pieces.append(kept)
    return np.concatenate(pieces)


def realigned(value: Any, here: Positions | None, names: pd.Index, *, axes: int) -> Any:
    """Bring a value of varm (``axes=1``) or varp (2) to other row names, loaded.

    Parameters
    ----------
    value
        Array, table or matrix whose leading axes follow the old names.
    here
        Old position of each new name, −1 for none; None if the names are the same.
    names
        The new names.
    axes
        How many leading axes follow the names.
    """
    if here is None:
        return value
    if isinstance(value, pd.DataFrame):
        return on_rows(value, here, names)
    loaded = materialize(value)
    for axis in range(axes):
        loaded = take_with_gaps(loaded, here, axis)
    return loaded
