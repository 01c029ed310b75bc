"""What the verbs that integrate batches have in common: their input, and packages of others."""

from __future__ import annotations

import importlib
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import MissingDependencyError
from lazyomics.names import choices
from lazyomics.pp.representation import as_dense, choose_representation

__all__ = ["batch_column", "coordinates_of", "package"]


def coordinates_of(adata: AnnData, basis: str, verb: str) -> NDArray[Any]:
    """Return an entry of ``obsm`` as an ndarray.

    Raises
    ------
    KeyError
        If there is none of that name.
    ValueError
        If it is not finite.
    """
    check_annotated(adata, verb)
    if basis not in adata.obsm:
        raise KeyError(f"{verb}: adata.obsm has no {basis!r}; {choices(basis, adata.obsm)}")
    return as_dense(choose_representation(adata, use_rep=basis, finite=True))


def batch_column(adata: AnnData, key: str, verb: str) -> pd.Series[Any]:
    """Return a column of ``obs`` that has no missing values.

    Raises
    ------
    KeyError
        If there is none of that name.
    ValueError
        If values are missing.
    """
    if key not in adata.obs.columns:
        raise KeyError(f"{verb}: adata.obs has no {key!r}; {choices(key, adata.obs.columns)}")
    column = adata.obs[key]
    if column.isna().any():
        raise ValueError(f"{verb}: obs[{key!r}] has missing values; leave these cells out")
    return column


def package(module: str, *, verb: str) -> Any:
    """Import a package that no extra of lazyomics installs, since pip has to compile a part of it.

    Raises
    ------
    MissingDependencyError
        That says so.
    """
    name = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{verb} needs the package {name!r}, which could not be imported ({error}). Install it "
            f"with: pip install {name}. That compiles annoy, of which there are no wheels, and "
            "takes a C++ compiler. external.pp.harmony_integrate needs none"
        ) from error
