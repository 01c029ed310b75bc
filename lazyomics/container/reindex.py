"""Rows of arrays and tables brought to the positions of other names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.values import is_ragged
from lazyomics.errors import require
from lazyomics.lazy.indexer import Positions
from lazyomics.lazy.kinds import is_dask_array, to_memory_format

__all__ = [
    "spread_column",
    "spread_frame",
    "spread_pairs",
    "spread_rows",
    "take_with_gaps",
    "without_nullable",
]


def take_with_gaps(value: Any, positions: Positions, axis: int = 0) -> Any:
    """Take entries of an array or sparse matrix along an axis, leaving gaps.

    Parameters
    ----------
    value
        Array, sparse matrix or awkward array, in memory.
    positions
        Positions to take, shape (n,), −1 for a gap: NaN in arrays, which become floats for that,
        nothing in sparse matrices, None in awkward arrays.
    axis
        Axis to take along.

    Examples
    --------
    >>> take_with_gaps(np.array([5, 6]), np.array([1, -1]))
    array([ 6., nan])
    """
    gaps = positions < 0
    if sp.issparse(value):
        present = np.flatnonzero(~gaps)
        ones = np.ones(len(present), dtype=value.dtype)
        shape = (len(positions), value.shape[axis])
        pick = sp.csr_matrix((ones, (present, positions[present])), shape=shape)
        return (pick @ value if axis == 0 else value @ pick.T).asformat(value.format)
    if is_ragged(value):
        return _ragged_with_gaps(value, positions, gaps) if gaps.any() else value[positions]
    if not value.shape[axis]:
        return np.full((*value.shape[:axis], len(positions), *value.shape[axis + 1 :]), np.nan)
    taken = np.take(value, np.where(gaps, 0, positions), axis=axis)
    if gaps.any():
        taken = taken.astype(np.result_type(taken.dtype, np.nan))
        taken[(slice(None),) * axis + (gaps,)] = np.nan
    return taken


def _ragged_with_gaps(value: Any, positions: Positions, gaps: NDArray[np.bool_]) -> Any:
    ak = require("awkward", extra="awkward", purpose="rows that an awkward array lacks")
    if not len(value):
        return ak.Array([None] * len(positions))
    return ak.mask(value[np.where(gaps, 0, positions)], ~gaps)


def spread_column(column: pd.Series[Any], positions: NDArray[np.int64]) -> Any:
    """Take values by position; −1 gives a missing value.

    Integers and booleans with gaps become pandas' nullable types; everything else keeps its type.
    """
    if bool((positions >= 0).all()):
        return column.array.take(positions)
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        column = column.astype("boolean")
    elif isinstance(dtype, np.dtype) and dtype.kind in "iu":
        nullable: Any = dtype.name.replace("uint", "UInt").replace("int", "Int")
        column = column.astype(nullable)
    return column.array.take(positions, allow_fill=True)


def spread_frame(frame: pd.DataFrame, positions: NDArray[np.int64], index: Any) -> pd.DataFrame:
    """Take rows by position; −1 gives missing values. The result has the given row names."""
    columns = {name: spread_column(frame[name], positions) for name in frame.columns}
    made = pd.DataFrame(columns, index=index, columns=frame.columns if columns else None)
    if not columns:
        made.columns = made.columns.astype(str)
    return made


def spread_rows(value: Any, positions: NDArray[np.int64], index: Any = None) -> Any:
    """Take rows of an array, table or sparse matrix of obsm; −1 gives NaN (sparse: zeros)."""
    if isinstance(value, pd.DataFrame):
        return spread_frame(value, positions, index)
    return take_with_gaps(_in_memory(value), positions)


def spread_pairs(value: Any, positions: NDArray[np.int64]) -> Any:
    """Take rows and columns of a square matrix; −1 gives NaN (sparse: no connection)."""
    rows = take_with_gaps(_in_memory(value), positions, axis=0)
    return take_with_gaps(rows, positions, axis=1)


def _in_memory(value: Any) -> Any:
    return lazy.materialize(value) if is_dask_array(value) else to_memory_format(value)


def without_nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return nullable integers, booleans and floats without gaps as numpy's types."""
    dtype = column.dtype
    numeric = isinstance(dtype, pd.BooleanDtype) or hasattr(dtype, "numpy_dtype")
    if not numeric or not isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return column
    if bool(column.isna().any()):
        return column
    plain: Any = getattr(dtype, "numpy_dtype", np.dtype(bool))
    return column.astype(plain)
