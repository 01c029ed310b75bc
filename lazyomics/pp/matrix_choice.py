"""Matrix that a verb reads or replaces, and the dtype of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.choose import check_numbers, get_matrix, set_matrix
from lazyomics.container.index import aligned_mask
from lazyomics.container.values import is_ragged
from lazyomics.lazy.kinds import is_block, is_dask_array, to_memory_format
from lazyomics.names import choices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = [
    "RowBlocks",
    "assign_matrix",
    "boolean_mask",
    "checked_mask",
    "choose_matrix",
    "count_dtype",
    "floating_type",
    "put_into",
]


RowBlocks: TypeAlias = Any  # dask array whose blocks hold whole rows (dask is not annotated)


def choose_matrix(
    adata: AnnData, *, layer: str | None = None, obsm: str | None = None, use_raw: bool = False
) -> RowBlocks:
    """Return the matrix as a dask array of row blocks. Reads nothing from a file-backed X."""
    if sum(map(bool, (layer is not None, obsm is not None, use_raw))) > 1:
        raise ValueError(
            f"choose one of layer, obsm and use_raw; found {layer=}, {obsm=}, {use_raw=}"
        )
    if obsm is None:
        return get_matrix(adata, layer=layer, use_raw=use_raw)
    if obsm not in adata.obsm:
        raise KeyError(f"obsm[{obsm!r}] does not exist; {choices(obsm, adata.obsm)}")
    values = adata.obsm[obsm]
    if isinstance(values, pd.DataFrame) or is_ragged(values) or values.ndim != 2:
        raise TypeError(
            f"obsm[{obsm!r}] is a {type(values).__name__}, expected a matrix; convert it first, "
            "e.g. with to_numpy()"
        )
    check_numbers(values, f"obsm[{obsm!r}]")
    return lazy.as_lazy(values)


def assign_matrix(
    adata: AnnData, x: RowBlocks, *, layer: str | None = None, obsm: str | None = None
) -> None:
    """Put a changed matrix where it came from; what was in memory stays in memory."""
    if obsm is None:
        set_matrix(adata, x, layer=layer)
    else:
        adata.obsm[obsm] = lazy.materialize(x)


def boolean_mask(adata: AnnData, mask: Any, axis: str) -> NDArray[np.bool_]:
    """Return a mask given as an array or as the name of a column of ``obs`` or ``var``.

    Raises
    ------
    ValueError
        If there is no such column, or the mask is not boolean or of another length.
    IndexError
        If it is a Series with other labels than the axis.
    """
    frame = adata.obs if axis == "obs" else adata.var
    name = "the mask"
    if isinstance(mask, str):
        name = f"{axis}[{mask!r}]"
        if mask not in frame.columns:
            raise ValueError(
                f"Did not find {name}. Add it first, or give the mask as an array; "
                f"{choices(mask, frame.columns)}"
            )
        mask = frame[mask]
    values = checked_mask(mask, len(frame), axis, name)
    if isinstance(mask, pd.Series):
        values = aligned_mask(values, mask.index, lambda: frame.index, axis)
    return values


def checked_mask(mask: Any, size: int, axis: str, name: str = "the mask") -> NDArray[np.bool_]:
    """Return a mask as an array of the length of an axis.

    Raises
    ------
    ValueError
        If it is not boolean, or of another length.
    """
    if isinstance(mask, str):
        raise ValueError(f"{name} {mask!r} names a column, which a matrix does not have")
    values = np.asarray(mask)
    if values.shape != (size,):
        raise ValueError(f"{name} has shape {values.shape}, but {axis} has length {size}")
    if values.dtype != bool:
        raise ValueError(f"{name} must be boolean, found {values.dtype}")
    return values


def count_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of a sum: floats keep theirs, integers get 64 bits.

    Examples
    --------
    >>> import numpy as np
    >>> count_dtype(np.dtype("float32")), count_dtype(np.dtype("uint16"))
    (dtype('float32'), dtype('uint64'))
    """
    return np.zeros(0, dtype=dtype).sum().dtype


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
    values = lazy.materialize(result)
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
