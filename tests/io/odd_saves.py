"""Files and changes for tests of saves that go wrong easily."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
md = pytest.importorskip("mudata", reason="mudata is the reference of these tests")

__all__ = ["SAVES", "TABLES", "N", "put", "read_by_all", "saved", "table_of", "write"]

N = 4
TABLES = (
    *("h5ad:obs", "h5ad:var", "h5ad:raw/var", "h5ad:obsm/table", "h5ad:varm/table"),
    "h5ad:uns/table",
    *("h5mu:mod/rna/obs", "h5mu:mod/rna/var", "h5mu:mod/rna/raw/var", "h5mu:mod/rna/obsm/table"),
    *("h5mu:obs", "h5mu:var", "h5mu:obsm/table"),
)
"""Kinds of files, and the tables in them."""


def adata_of(names: list[str], prefix: str = "g") -> Any:
    adata = ad.AnnData(np.arange(N * N, dtype="f4").reshape(N, N))
    adata.obs["n"] = np.arange(N)
    adata.obs["text"] = [f"t{k}" for k in range(N)]
    adata.obs_names = names
    adata.var["n"] = np.arange(N)
    adata.var_names = names if len(set(names)) < N else [f"{prefix}{k}" for k in range(N)]
    adata.raw = adata
    adata.obsm["e"], adata.varm["e"] = np.eye(N, 2), np.eye(N, 3)
    for mapping, index in ((adata.obsm, adata.obs_names), (adata.varm, adata.var_names)):
        mapping["table"] = pd.DataFrame({"n": np.arange(N)}, index=index)
    adata.uns["table"] = pd.DataFrame({"n": np.arange(N)}, index=list("wxyz"))
    adata.layers["l"] = adata.X * 2
    adata.obsp["p"], adata.varp["p"] = np.eye(N), np.eye(N)
    adata.uns["a"] = np.arange(5)
    return adata


def write(folder: Path, kind: str, names: list[str] | None = None) -> Path:
    """Put a file of a kind into a folder, as anndata or mudata writes it."""
    path = folder / f"file.{kind}"
    path.write_bytes(_content(kind, "".join(names or "abcd")))
    return path


@cache
def _content(kind: str, letters: str) -> bytes:
    with TemporaryDirectory() as folder:
        return _written(Path(folder) / f"file.{kind}", kind, list(letters)).read_bytes()


def _written(path: Path, kind: str, names: list[str]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "h5ad":
            adata_of(names).write_h5ad(path)
            return path
        other = adata_of(names, "p")
        del other.var["n"]  # mudata takes columns of all modalities for those of the whole
        mdata = md.MuData({"rna": adata_of(names), "adt": other})
        mdata.obs["n"] = np.arange(N)
        mdata.var["n"] = np.arange(2 * N)
        mdata.obsm["table"] = pd.DataFrame({"n": np.arange(N)}, index=mdata.obs_names)
        mdata.write_h5mu(path)
    return path


def table_of(data: Any, name: str) -> Any:
    """Return a table by its name in the file, of any package's object."""
    holder, key = _holder(data, name)
    return holder[key] if _is_mapping(name) else getattr(holder, key)


def put(data: Any, name: str, table: Any) -> None:
    """Assign a table by its name in the file; raw.var can only be changed in place."""
    holder, key = _holder(data, name)
    if _is_mapping(name):
        holder[key] = table
    elif "raw" in name:
        held = getattr(holder, key)
        for column in [c for c in held if c not in table]:
            del held[column]
    else:
        setattr(holder, key, table)


def _is_mapping(name: str) -> bool:
    return name.endswith("/table")


def _holder(data: Any, name: str) -> tuple[Any, str]:
    parts = name.split("/")
    if parts[0] == "mod":
        data, parts = data.mod[parts[1]], parts[2:]
    for part in parts[:-1]:
        data = getattr(data, part)
    return data, parts[-1]


def in_place(data: Any, path: Path) -> Path:
    data.write()
    return path


def new_file(data: Any, path: Path) -> Path:
    other = path.with_name(f"new{path.suffix}")
    data.write(other)
    return other


def replaced(data: Any, path: Path) -> Path:
    """Write the whole file anew, as X changed."""
    for adata in getattr(data, "mod", {"": data}).values():
        adata.X = adata.X + 0
    data.write(overwrite_x=True)
    return path


SAVES: dict[str, Callable[[Any, Path], Path]] = {
    "in place": in_place,
    "new file": new_file,
    "replaced": replaced,
}


def saved(data: Any, path: Path, how: str) -> Path:
    """Save by a route; returns where."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SAVES[how](data, path)


def read_by_all(path: Path) -> list[Any]:
    """Read a file by lazyomics, and whole by the package it belongs to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".h5ad":
            return [lo.read_h5ad(path), ad.read_h5ad(path)]
        return [lo.read_h5mu(path), md.read_h5mu(path)]


def change(path: Path, work: Callable[[h5py.File], Any]) -> None:
    """Change a file with h5py."""
    with h5py.File(path, "r+") as file:
        work(file)
