"""write_loom: an object as a .loom file, without loompy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import config, lazy
from lazyomics.container.anndata import AnnData
from lazyomics.errors import UnsupportedError, warn_user
from lazyomics.io.encodings.registry import check_name
from lazyomics.io.writing import new_file

__all__ = ["write_loom_file"]

VERSION = "3.0.0"
CHUNK = 64  # values along each axis, as loompy has them
WINDOW_SHARE = 16  # of lazyomics.memory, for a dense window of cells


def write_loom_file(adata: AnnData, path: Path, *, write_obsm_varm: bool) -> None:
    """Write X and layers as genes × cells, and columns of obs and var as attributes.

    Parameters
    ----------
    adata
        What to write.
    path
        The new file, which appears when it is complete.
    write_obsm_varm
        Whether arrays of obsm and varm become attributes of several columns.
    """
    if adata.X is None:
        raise ValueError("a .loom file has a matrix, the object has no X")
    columns = _attributes(adata.obs, "obs_names", adata.obsm if write_obsm_varm else {}, "obs")
    rows = _attributes(adata.var, "var_names", adata.varm if write_obsm_varm else {}, "var")
    matrices = {"matrix": adata.X, **{f"layers/{k}": adata.layers[k] for k in adata.layers}}
    for key in adata.layers:
        check_name("/layers", key)
    for name, matrix in matrices.items():
        if np.dtype(matrix.dtype).kind not in "iuf":
            raise UnsupportedError(f"{name}: a .loom file holds numbers, found {matrix.dtype}")
    _warn_of_losses(adata, write_obsm_varm)
    with new_file(path) as file:
        file.create_group("attrs")["LOOM_SPEC_VERSION"] = VERSION
        for name in ("layers", "row_graphs", "col_graphs", "row_attrs", "col_attrs"):
            file.create_group(name)
        for group, attributes in (("row_attrs", rows), ("col_attrs", columns)):
            for name, values in attributes.items():
                kind = h5py.string_dtype() if values.dtype.kind == "O" else values.dtype
                file[group].create_dataset(name, data=values, dtype=kind)
        for name, matrix in matrices.items():
            _write_turned(file, name, matrix, adata.shape)


def _attributes(
    table: pd.DataFrame, default: str, arrays: Mapping[str, Any], axis: str
) -> dict[str, Any]:
    """Columns, names of rows and arrays of an axis, as .loom files hold them."""
    made = {str(name): _as_attribute(column, f"{axis}[{name!r}]") for name, column in table.items()}
    name = table.index.name
    index = default if name is None else str(name)
    if index in made and not np.array_equal(made[index], table.index.to_numpy(dtype=object)):
        raise ValueError(f"{axis} has a column {index!r} and other names under it: rename one")
    made[index] = table.index.to_numpy(dtype=object)
    for key, value in arrays.items():
        if key in made:
            raise ValueError(f"{axis} and {axis}m have an entry {key!r} each: rename one")
        made[str(key)] = _as_array(value, f"{axis}m[{key!r}]")
    for name in made:
        check_name("/attributes", name)
    return made


def _as_attribute(column: pd.Series[Any], name: str) -> Any:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    if pd.api.types.is_bool_dtype(dtype) and not column.isna().any():
        return column.to_numpy(dtype=bool).astype(np.uint8)
    if pd.api.types.is_numeric_dtype(dtype):
        missing = bool(column.isna().any())
        return np.asarray(column.astype("float64") if missing else column.to_numpy())
    pairs = zip(column, column.isna(), strict=True)
    values = ["nan" if missing else value for value, missing in pairs]
    if not all(isinstance(value, str) for value in values):
        raise UnsupportedError(f"{name} holds {dtype}: a .loom file holds texts and numbers")
    return np.array(values, dtype=object)


def _as_array(value: Any, name: str) -> Any:
    value = lazy.materialize(value) if hasattr(value, "__dask_graph__") else value
    array = value.toarray() if sp.issparse(value) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise UnsupportedError(f"{name} holds {array.dtype}: a .loom file holds texts and numbers")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _warn_of_losses(adata: AnnData, with_arrays: bool) -> None:
    parts = {name: list(getattr(adata, name)) for name in ("obsm", "varm", "obsp", "varp", "uns")}
    lost = {k: v for k, v in parts.items() if v and not (with_arrays and k in ("obsm", "varm"))}
    lost |= {} if adata.raw is None else {"raw": ["X", "var"]}
    if lost:
        hint = "" if with_arrays else " write_obsm_varm=True writes obsm and varm."
        warn_user(f"a .loom file has no place for {lost}, which are left out.{hint}")


def _write_turned(file: h5py.File, name: str, matrix: Any, shape: tuple[int, int]) -> None:
    """Write cells × genes as genes × cells, a window of cells at a time."""
    n_obs, n_vars = shape
    chunk = (max(1, min(CHUNK, n_vars)), max(1, min(CHUNK, n_obs)))
    filters = {} if n_obs * n_vars == 0 else {"chunks": chunk, "compression": "gzip"}
    level = {"compression_opts": 2} if filters else {}
    dtype = np.dtype(matrix.dtype)
    dataset = file.create_dataset(name, (n_vars, n_obs), dtype, **filters, **level)
    room = config.memory() // WINDOW_SHARE // max(1, n_vars * dtype.itemsize)
    step = max(CHUNK, room // CHUNK * CHUNK)
    for start in range(0, n_obs, step):
        rows = slice(start, min(start + step, n_obs), 1)
        part = lazy.materialize(lazy.take(matrix, rows, slice(0, n_vars, 1)))
        dense = part.toarray() if sp.issparse(part) else np.asarray(part)
        dataset[:, rows] = dense.T
