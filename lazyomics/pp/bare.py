"""Results for matrices that are given without an AnnData: as scanpy's functions return them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lazyomics import graph
from lazyomics.graph.kinds import is_block, is_dask_array, to_memory_format

__all__ = ["floating_type", "put_into"]


def floating_type(data: Any) -> np.dtype[Any]:
    """Type of values that are computed from a matrix: float64 for integers."""
    dtype = np.dtype(data.dtype).newbyteorder("=")
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
        Lazy matrix of its shape. Where ``data`` is a dask array of scipy's matrices, its blocks
        become such matrices again.
    copy
        Whether ``data`` stays as it is. Lazy ones always do, as do those of another type and
        sparse ones that are neither CSR nor CSC.
    """
    if is_dask_array(data):
        return _in_blocks_like(data._meta, result)
    values = graph.materialize(result)
    if sp.issparse(data) and sp.issparse(values):
        values = type(data)(values.asformat(data.format))
    same = values.dtype == data.dtype and sp.issparse(values) == sp.issparse(data)
    if copy or not same:
        return values
    if not sp.issparse(data):
        data[...] = values
        return data
    if data.format not in ("csr", "csc"):
        return values
    data.data, data.indices, data.indptr = values.data, values.indices, values.indptr
    return data


def _in_blocks_like(meta: Any, result: Any) -> Any:
    if not sp.issparse(meta) or not is_block(result._meta):
        return result
    kind = type(meta)
    empty = kind((0, 0), dtype=result.dtype)
    return result.map_blocks(_in_form, kind=kind, dtype=result.dtype, meta=empty)


def _in_form(block: Any, *, kind: Any) -> Any:
    return kind(to_memory_format(block))
