"""Results for matrices that are given without an AnnData: as scanpy's functions return them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lazyomics import graph
from lazyomics.graph.kinds import is_dask_array

__all__ = ["floating_type", "put_into"]


def floating_type(data: Any) -> np.dtype[Any]:
    """Type of values that are computed from a matrix: float64 for integers."""
    dtype = np.dtype(data.dtype)
    if sp.issparse(data) and dtype not in (np.float32, np.float64):
        return np.dtype(np.float64)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def put_into(data: Any, result: Any, *, copy: bool) -> Any:
    """Return a lazy result, in the memory of the matrix that it was computed from if that fits.

    Parameters
    ----------
    data
        Matrix of numpy, scipy.sparse or dask.
    result
        Lazy matrix of its shape.
    copy
        Whether ``data`` stays as it is. Lazy ones always do, as do those of another type.
    """
    if is_dask_array(data):
        return result
    values = graph.materialize(result)
    if sp.issparse(data) and sp.issparse(values):
        values = type(data)(values.asformat(data.format if data.format == "csc" else "csr"))
    if copy or values.dtype != data.dtype or sp.issparse(values) != sp.issparse(data):
        return values
    if not sp.issparse(data):
        data[...] = values
    elif data.format != values.format:
        return values
    else:
        data.data, data.indices, data.indptr = values.data, values.indices, values.indptr
    return data
