"""Forms in which values are kept: arrays, sparse matrices, native byte order, nested objects."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.ports import open_matrix
from lazyomics.errors import warn_user
from lazyomics.lazy.kinds import is_block, is_dask_array, is_sparse_array, to_memory_format

__all__ = [
    "copied",
    "in_memory_table",
    "is_nested",
    "is_ragged",
    "native_columns",
    "normal_form",
    "parts_of",
]


def native_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers are in the byte order of this machine.

    Parameters
    ----------
    frame
        Any table; it is not changed.

    Returns
    -------
    ``frame`` itself if all of them are.
    """
    foreign = [
        k
        for k, dtype in enumerate(frame.dtypes)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    ]
    if not foreign:
        return frame
    made = frame.copy(deep=False)
    for k in foreign:
        values = frame.iloc[:, k].to_numpy()
        made.isetitem(k, values.astype(values.dtype.newbyteorder("=")))
    return made


def is_ragged(value: Any) -> bool:
    """Whether a value is an ``awkward.Array``: rows of any length and type, never changed in place.

    Attributes do not tell, as those of an awkward array may be the fields of its records.
    """
    return type(value).__module__.partition(".")[0] == "awkward"


def normal_form(value: Any, where: str, *, tables: bool = False) -> Any:
    """Return a value as an array, matrix or table that containers hold.

    Parameters
    ----------
    value
        What a user assigns. Sparse formats other than CSR and CSC become CSR, vectors a column,
        as in anndata.
    where
        Place that it is assigned to, for messages.
    tables
        Whether the place holds tables; elsewhere they become arrays.

    Returns
    -------
    ndarray, csr or csc matrix or array, dask array with blocks of these, awkward array or
    DataFrame. Shares memory with ``value`` where possible; nothing lazy is computed.

    Raises
    ------
    TypeError
        If there is no such form of it.
    """
    if is_dask_array(value):
        from lazyomics.lazy.matrix import known_blocks

        return known_blocks(value, where)
    if is_ragged(value):
        return value
    value = in_memory_table(value)
    if isinstance(value, pd.DataFrame):
        return value if tables else _array_of(value, where)
    node = _matrix_in_file(value)
    if node is not None:
        return normal_form(open_matrix()(node), where, tables=tables)
    if is_block(value):
        return to_memory_format(value)
    if is_sparse_array(value):
        return _from_sparse(value, where)
    if sp.issparse(value):
        return _from_scipy(value, where)
    if hasattr(value, "data_vars"):  # it has an __array__ that only raises
        raise TypeError(
            f"{where}: cannot hold an xarray.Dataset with dimensions {tuple(value.sizes)}; "
            "a table has one. Give one of its arrays"
        )
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        return _plain(value, where)
    raise TypeError(
        f"{where}: cannot hold {type(value).__name__}; expected an array of numpy, scipy.sparse, "
        "dask or awkward" + (", or a DataFrame" if tables else "")
    )


def in_memory_table(value: Any) -> Any:
    """Return a table of xarray, such as ``read_lazy`` of anndata makes, as one of pandas.

    Anything else is returned as it is: also sets of arrays with several dimensions.
    """
    if type(value).__name__ == "Dataset2D":
        return value.to_memory()
    is_table = hasattr(value, "data_vars") and len(value.sizes) == 1
    return value.to_dataframe().rename_axis(None) if is_table else value


def _matrix_in_file(value: Any) -> Any:
    """The open group or dataset of a matrix of rows and columns in a file; None for all else."""
    package = type(value).__module__.partition(".")[0]
    if package in ("h5py", "zarr"):
        is_numeric = getattr(getattr(value, "dtype", None), "kind", "") in tuple("biuf")
        return value if is_numeric and value.ndim == 2 and value.name != "/" else None
    # What anndata.io.sparse_dataset returns, and backed objects hold.
    is_sparse_dataset = package == "anndata" and hasattr(value, "group")
    return value.group if is_sparse_dataset and hasattr(value, "to_memory") else None


def _plain(value: Any, where: str) -> np.ndarray[Any, Any]:
    """An ndarray that has no mask and is no matrix, with two dimensions or more."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise TypeError(
                f"{where}: a masked array, whose mask would be lost; fill it first: "
                "filled(numpy.nan) or another value"
            )
        value = value.data
    array = _native(value if isinstance(value, np.recarray) else np.asarray(value))
    return array.reshape(-1, 1) if array.ndim == 1 else array


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers in the byte order of this machine, which compiled code takes alone."""
    foreign = array.dtype.kind in "iufc" and not array.dtype.isnative
    return array.astype(array.dtype.newbyteorder("=")) if foreign else array


def _from_scipy(value: Any, where: str) -> Any:
    if value.ndim != 2:
        raise TypeError(f"{where}: a sparse array of {value.ndim} dimensions; it must have 2")
    if not value.dtype.isnative:
        value = value.copy()
        value.data = _native(value.data)
    if value.format not in ("csr", "csc"):
        value = value.tocsr()
    for kind in (sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.csc_array):
        if isinstance(value, kind):
            return value if type(value) is kind else kind(value)
    raise TypeError(f"{where}: cannot hold {type(value).__name__}")


def _from_sparse(value: Any, where: str) -> Any:
    """A matrix of the sparse library."""
    if value.ndim != 2:
        raise TypeError(
            f"{where}: a sparse array of {value.ndim} dimensions; make it dense: todense()"
        )
    if not np.all(np.asarray(value.fill_value) == 0):
        raise TypeError(
            f"{where}: a sparse array that leaves out {value.fill_value}, not 0; make it dense: "
            "todense()"
        )
    return sp.csr_matrix(value.asformat("coo").to_scipy_sparse())


def _array_of(table: pd.DataFrame, where: str) -> Any:
    """A table as an array, by position, or as CSR if all its columns are sparse."""
    if len(table.columns) and all(isinstance(t, pd.SparseDtype) for t in table.dtypes):
        sparse: Any = table.sparse
        return sp.csr_matrix(sparse.to_coo())
    array = table.to_numpy()
    if table.dtypes.nunique() > 1:
        warn_user(
            f"{where}: a table with columns of several types becomes an array of {array.dtype}"
        )
    return array


def copied(value: Any) -> Any:
    """Return a value of a container that does not change with it; what is lazy stays lazy."""
    # the buffers of an awkward array are never written into, but fields are set in its object
    return copy(value) if is_ragged(value) else value.copy()


MAPPINGS = ("layers", "obsm", "varm", "obsp", "varp", "uns")
MARKS = ("X", "obs", "var", "raw", *MAPPINGS)


def is_nested(value: Any) -> bool:
    """Tell whether a value is an AnnData, by what it has: neither class need be imported."""
    kind = type(value)
    return kind.__name__ == "AnnData" and all(hasattr(kind, name) for name in MARKS)


def parts_of(adata: Any) -> dict[str, Any]:
    """Return everything that an AnnData in memory holds."""
    # anndata 0.13 lists X among the layers, under None
    parts: dict[str, Any] = {
        name: {k: v for k, v in getattr(adata, name).items() if k is not None} for name in MAPPINGS
    }
    raw = adata.raw
    held = None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)}
    return {**parts, "X": adata.X, "obs": adata.obs, "var": adata.var, "raw": held}
