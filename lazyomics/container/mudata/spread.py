"""Put values of a modality on the rows of the whole object, with gaps where it has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import graph
from lazyomics.container.gaps import take_with_gaps
from lazyomics.graph.kinds import is_dask_array, to_memory_format

__all__ = ["spread_column", "spread_frame", "spread_pairs", "spread_rows", "without_nullable"]


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
    return graph.materialize(value) if is_dask_array(value) else to_memory_format(value)


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
