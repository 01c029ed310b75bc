"""read_loom: .loom files opened in place, as they are HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from lazyomics import lazy
from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError, warn_user
from lazyomics.io.backing import backing_name
from lazyomics.io.encodings import has_member, open_member
from lazyomics.io.encodings.damage import as_format_errors, damage_named, damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.readers import reader_of
from lazyomics.kernels.steps import AsType

__all__ = ["read_loom"]

NONE: Mapping[str, Iterable[str]] = MappingProxyType({})


def read_loom(
    filename: str | os.PathLike[str],
    *,
    sparse: bool = True,
    cleanup: bool = False,
    X_name: str = "spliced",
    obs_names: str = "CellID",
    obsm_names: Mapping[str, Iterable[str]] | None = None,
    var_names: str = "Gene",
    varm_names: Mapping[str, Iterable[str]] | None = None,
    dtype: DTypeLike = "float32",
    obsm_mapping: Mapping[str, Iterable[str]] = NONE,
    varm_mapping: Mapping[str, Iterable[str]] = NONE,
) -> AnnData:
    """Open a .loom file, lazily.

    Parameters
    ----------
    filename
        The file, or a URL as in ``read_h5ad``.
    sparse
        Has no effect on an opened file, whose matrices are stored dense: see Notes.
    cleanup
        Move columns of one value to ``uns["loom-obs"]`` and ``uns["loom-var"]``.
    X_name
        The layer that becomes X; the main matrix, if there is no such layer.
    obs_names, var_names
        Attributes that become names; numbers, if there are none such.
    obsm_names, varm_names
        Old words for ``obsm_mapping`` and ``varm_mapping``.
    dtype
        Of X.
    obsm_mapping, varm_mapping
        Names of new entries of obsm and varm, and the attributes that are their columns.

    Returns
    -------
    AnnData whose X and layers are dask arrays of shape (n_obs, n_vars); attributes of several
    columns are in obsm and varm. If a layer is X, it stays a layer, too, and the main matrix is
    ``layers["matrix"]``. The object has no file to save into: write it to a new .h5ad.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no .loom file, or damaged.
    KeyError
        If a mapping names an attribute that is not there.
    ValueError
        If a mapping is given by both of its words.

    Notes
    -----
    Passes over X: 0. Peak memory: attributes of cells and genes.

    anndata reads everything into memory, by default as CSR matrices. Here matrices stay dense, as
    in the file. Graphs are left out, as by anndata.
    """
    obsm_mapping = _one_of(obsm_mapping, obsm_names, "obsm")
    varm_mapping = _one_of(varm_mapping, varm_names, "varm")
    found = checked_path(filename)
    with open_for_reading(found) as file, damage_named(backing_name(filename, found)):
        if not has_member(file, "matrix") or not has_member(file, "row_attrs"):
            raise FileFormatError.at(
                filename,
                "/",
                expected="the members matrix, row_attrs and col_attrs of a .loom file",
                found=", ".join(sorted(file)[:10]) or "nothing",
            )
        matrices = {"": _turned(file, "matrix")}
        for name in _members(file, "layers"):
            matrices[name] = _turned(file, f"layers/{name}")
        attributes = [
            {name: read_attribute(file, f"{group}/{name}") for name in _members(file, group)}
            for group in ("col_attrs", "row_attrs")
        ]
    main = X_name if X_name in matrices else ""
    x = matrices[main]
    layers = {name or "matrix": value for name, value in matrices.items() if name or main}
    obs, obsm = _tables(attributes[0], obs_names, obsm_mapping, x.shape[0])
    var, varm = _tables(attributes[1], var_names, varm_mapping, x.shape[1])
    uns = {}
    for name, table in {"loom-obs": obs, "loom-var": var}.items():
        if cleanup and (same := _same_everywhere(table)):
            uns[name] = same
    x = x if x.dtype == np.dtype(dtype) else lazy.map_rows(x, AsType(str(np.dtype(dtype))))
    return AnnData(x, obs=obs, var=var, uns=uns, obsm=obsm, varm=varm, layers=layers)


def _one_of(
    mapping: Mapping[str, Iterable[str]], old: Mapping[str, Iterable[str]] | None, name: str
) -> Mapping[str, Iterable[str]]:
    if old is None:
        return mapping
    if mapping:
        raise ValueError(f"{name}_names is an old word for {name}_mapping: give one of them")
    warn_user(f"{name}_names is an old word for {name}_mapping", FutureWarning)
    return old


def _turned(file: h5py.File, name: str) -> Any:
    """Open a matrix of genes × cells, as one of cells × genes."""
    dataset = open_member(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise damaged(dataset, expected="a matrix", found="a group")
    return lazy.transpose(lazy.from_source(reader_of(dataset)))


@as_format_errors
def _members(file: h5py.File, name: str) -> list[str]:
    return list(open_member(file, name)) if has_member(file, name) else []


def read_attribute(file: h5py.File, name: str) -> Any:
    """Read an attribute of cells or genes; texts are objects."""
    dataset = open_member(file, name)
    values = read_values(dataset)
    if values.dtype.kind in "SO":
        return np.asarray(read_values(dataset, as_text=True)).astype(object)
    return values


def _tables(
    attributes: dict[str, Any], names: str, mapping: Mapping[str, Iterable[str]], length: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Columns, and arrays of several columns."""
    arrays = {}
    for key, names_of_columns in mapping.items():
        columns = list(names_of_columns)
        missing = [column for column in columns if column not in attributes]
        if missing:
            raise KeyError(f"no attribute {missing[0]!r}; there are {sorted(attributes)}")
        arrays[key] = np.array([attributes.pop(column) for column in columns]).T
    table = {}
    for key, values in attributes.items():
        if values.ndim > 1 and values.shape[1] > 1:
            arrays[key] = values
        else:
            table[key] = values.ravel()
    index = pd.Index(table.pop(names), name=names) if names in table else pd.RangeIndex(length)
    return pd.DataFrame(table, index=index.astype(str)), arrays


def _same_everywhere(table: pd.DataFrame) -> dict[str, Any]:
    """Take columns of one value out of a table."""
    same = [str(column) for column in table if table[column].nunique(dropna=False) == 1]
    return {column: table.pop(column).iloc[0] for column in same}
