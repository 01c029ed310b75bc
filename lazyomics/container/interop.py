"""Conversion from and to the package anndata."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.anndata_parts import AnnDataParts
from lazyomics.errors import UnsupportedError, require
from lazyomics.lazy import as_scipy_blocks, materialize
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "in_memory",
    "nested_from_anndata",
    "nested_to_anndata",
    "parts_of_anndata",
    "to_anndata",
]


def to_anndata(adata: AnnDataParts, *, lazy: bool = False) -> Any:
    """Return an ``anndata.AnnData``, with everything loaded or with lazy matrices.

    Parameters
    ----------
    adata
        What is converted.
    lazy
        Leave lazy matrices lazy: as dask arrays with blocks of ``scipy.sparse.csr_matrix`` or
        ndarray.
    """
    anndata = require("anndata", extra="scverse", purpose="to_anndata")
    whole = adata if lazy else adata.to_memory(copy=True)
    frame, matrix = (_shared_frame, _foreign_matrix) if lazy else (_as_it_is, _as_it_is)
    raw, x = whole._raw, whole.X
    return anndata.AnnData(
        X=matrix(x),
        obs=frame(whole.obs),
        var=frame(whole.var),
        uns=nested_to_anndata(whole.uns),
        obsm={key: frame(value) for key, value in whole.obsm.items()},
        varm={key: frame(value) for key, value in whole.varm.items()},
        layers={key: matrix(value) for key, value in whole.layers.items()},
        obsp=in_memory(whole.obsp),
        varp=in_memory(whole.varp),
        raw=None
        if raw is None
        else {
            "X": matrix(raw.x.value),
            "var": frame(raw.var.frame),
            "varm": dict(raw.varm.follow(raw.var)),
        },
        shape=None if x is not None else whole.shape,
    )


def _as_it_is(value: Any) -> Any:
    return value


def _shared_frame(value: Any) -> Any:
    """A table of its own, which shares its columns where pandas copies them when they change."""
    if not isinstance(value, pd.DataFrame):
        return value
    return value.copy(deep=int(pd.__version__.partition(".")[0]) < 3)


def _foreign_matrix(value: Any) -> Any:
    """A matrix as anndata and scanpy take it."""
    return as_scipy_blocks(value) if is_dask_array(value) else value


def in_memory(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Values of obsp or varp: what scanpy does with graphs needs them in memory."""
    return {key: materialize(value) for key, value in mapping.items()}


def parts_of_anndata(
    other: Any, convert: Callable[[Any], AnnDataParts], open_file: Callable[[Path], AnnDataParts]
) -> dict[str, Any]:
    """Arguments of our constructor, taken from an ``anndata.AnnData``.

    ``convert`` makes objects of ours of those in uns, ``open_file`` opens a file.

    Matrices that anndata left in an HDF5 file are read lazily from there; tables that it left on
    disk (``read_lazy``) are loaded.
    """
    opened = _opened_file(other, open_file)
    raw = other.raw
    return {
        "X": other.X if opened is None else opened.X,
        "obs": other.obs,
        "var": other.var,
        "uns": nested_from_anndata(other.uns, convert),
        "obsm": dict(other.obsm),
        "varm": dict(other.varm),
        # anndata 0.13 lists X among the layers, under None
        "layers": {k: v for k, v in other.layers.items() if k is not None},
        "obsp": dict(other.obsp),
        "varp": dict(other.varp),
        "raw": None
        if raw is None
        else {
            "X": raw.X if opened is None or opened._raw is None else opened._raw.x.value,
            "var": raw.var,
            "varm": dict(raw.varm),
        },
        "shape": other.shape,
    }


def _opened_file(other: Any, open_file: Callable[[Path], AnnDataParts]) -> AnnDataParts | None:
    """The file of an object that anndata opened with ``backed=``, with the same cells and genes."""
    if not getattr(other, "isbacked", False):
        return None
    path = other.filename
    if path is None or not os.path.exists(path):
        raise UnsupportedError(
            "from_anndata: a backed object whose file is gone; call its to_memory() first"
        )
    opened = open_file(Path(path))
    if opened.shape == other.shape:
        return opened
    if not (opened.obs_names.is_unique and opened.var_names.is_unique):
        raise UnsupportedError(
            f"from_anndata: a selection of the backed object {path}, whose names repeat: what was "
            "selected cannot be told. Call its to_memory() first, or open the file with lazyomics "
            "and select there"
        )
    return opened[np.asarray(other.obs_names), np.asarray(other.var_names)]


def nested_to_anndata(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Values of uns, those that are objects of ours as objects of anndata."""
    return _converted(uns, lambda v: isinstance(v, AnnDataParts), to_anndata)


def nested_from_anndata(
    uns: Mapping[str, Any], convert: Callable[[Any], AnnDataParts]
) -> dict[str, Any]:
    """Values of uns, those that are objects of anndata as objects of ours."""
    return _converted(uns, _is_of_anndata, convert)


def _is_of_anndata(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "AnnData" and kind.__module__.partition(".")[0] == "anndata"


def _converted(
    values: Mapping[str, Any], chosen: Callable[[Any], bool], convert: Callable[[Any], Any]
) -> dict[str, Any]:
    """Convert the chosen values, also in dicts of dicts."""
    made = dict(values)
    for key, value in made.items():
        if chosen(value):
            made[key] = convert(value)
        elif isinstance(value, dict):
            made[key] = _converted(value, chosen, convert)
    return made
