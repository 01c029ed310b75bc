"""The annotation of an AnnData as text files that other programs read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.errors import warn_user
from lazyomics.graph.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["write_csvs"]

TABLES = ("obs", "var", "obsm", "varm")


def write_csvs(
    adata: AnnData, dirname: str | os.PathLike[str], *, skip_data: bool, sep: str
) -> None:
    """Write obs, var, obsm, varm and uns of an object, and X if it is not to be skipped."""
    folder = Path(dirname)
    if folder.suffix == ".csv":
        folder = folder.with_suffix("")
    (folder / "uns").mkdir(parents=True, exist_ok=True)
    adata.obs.to_csv(folder / "obs.csv", sep=sep)
    adata.var.to_csv(folder / "var.csv", sep=sep)
    for name in ("obsm", "varm"):
        getattr(adata, name).to_df().to_csv(folder / f"{name}.csv", sep=sep, index=False)
    if not skip_data:
        _write_matrix(adata, folder / "X.csv", sep)
    for key, value in adata.uns.items():
        within = folder if key in (*TABLES, "X") else folder / "uns"
        _write_value(key, value, within / f"{key}.csv", sep)


def _write_matrix(adata: AnnData, path: Path, sep: str) -> None:
    with path.open("w", newline="") as file:
        for rows, _, _ in adata.chunked_X():
            dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
            pd.DataFrame(dense).to_csv(file, sep=sep, header=False, index=False)


def _write_value(key: str, value: Any, path: Path, sep: str) -> None:
    if sp.issparse(value) or is_dask_array(value):
        warn_user(f"uns[{key!r}] is a matrix that is not written as text; it is left out")
        return
    try:
        table = value
        if not isinstance(value, pd.DataFrame):
            table = pd.DataFrame(np.atleast_1d(np.asarray(value)))
    except ValueError:
        warn_user(f"uns[{key!r}] of type {type(value).__name__} is no table; it is left out")
        return
    table.to_csv(path, sep=sep, header=False, index=False)
