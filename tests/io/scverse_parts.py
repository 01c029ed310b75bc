"""Files and objects taken apart: what anndata, mudata and lazyomics make of each element."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

import lazyomics as lo
from tests.container.mudata_cases import read_with_mudata

__all__ = [
    "element_parts",
    "lazyomics_parts",
    "object_parts",
    "read_by_scverse",
    "rewritten_by_scverse",
]

ALIGNED = ("layers", "obsm", "varm", "obsp", "varp")


@contextmanager
def silent() -> Iterator[None]:
    """Old files and coming changes are announced by warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_by_scverse(path: Path) -> Any:
    """The object that the installed anndata, mudata or scanpy reads."""
    with silent():
        if path.suffix == ".h5mu":
            return read_with_mudata(path)
        if path.suffix == ".h5":
            import scanpy as sc

            return sc.read_10x_h5(path, gex_only=False)
        import anndata as ad

        return ad.read_h5ad(path)


def rewritten_by_scverse(theirs: Any, target: Path) -> Any:
    """What the installed anndata or mudata reads after it wrote the object itself."""
    with silent():
        theirs.write(target)
    return read_by_scverse(target)


def object_parts(x: Any) -> dict[str, Any]:
    """All parts of an AnnData or MuData of the scverse packages, in plain dicts."""
    parts: dict[str, Any] = {
        "obs": _text_labels(x.obs),
        "var": _text_labels(x.var),
        "uns": _plain(x.uns),
    }
    names = ALIGNED[1:] if hasattr(x, "mod") else ALIGNED
    for name in (*names, *(("obsmap", "varmap") if hasattr(x, "mod") else ())):
        parts[name] = {k: v for k, v in getattr(x, name).items() if k is not None}
    if hasattr(x, "mod"):
        parts["axis"] = int(x.axis)
        parts["mod"] = {name: object_parts(modality) for name, modality in x.mod.items()}
        parts["order"] = list(x.mod)
        return parts
    parts["X"] = x.X
    if x.raw is not None:
        raw = {"X": x.raw.X, "var": _text_labels(x.raw.var), "varm": dict(x.raw.varm)}
        parts["raw"] = raw
    return parts


def lazyomics_parts(path: Path) -> dict[str, Any]:
    """All that lazyomics reads of a file, lazily opened and then computed, as scverse objects."""
    if path.suffix == ".h5mu":
        mdata = lo.read_h5mu(path)
        parts = {"mod": {k: object_parts(v.to_anndata()) for k, v in mdata.mod.items()}}
        tables = {"obs": pd.DataFrame(mdata.obs), "var": _text_labels(pd.DataFrame(mdata.var))}
        return {**parts, **tables, "order": list(mdata.mod)}
    if path.suffix == ".h5":
        return object_parts(lo.read_10x_h5(path, gex_only=False).to_anndata())
    with silent():
        return object_parts(lo.read_h5ad(path).to_anndata())


def element_parts(path: Path) -> dict[str, Any]:
    """The elements of a file that the installed mudata cannot read as a whole, by anndata."""
    with h5py.File(path, "r") as file, silent():
        made: dict[str, Any] = {"mod": {k: _elements(file["mod"][k]) for k in file["mod"]}}
        made["obs"], made["var"] = _elements(file, "obs")["obs"], _elements(file, "var")["var"]
    return made


def _elements(group: h5py.Group, *only: str) -> dict[str, Any]:
    from anndata.io import read_elem

    made = {k: read_elem(group[k]) for k in only or group}
    made = {k: v for k, v in made.items() if not (isinstance(v, dict) and not v)}
    return {k: _text_labels(v) for k, v in made.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _text_labels(value: Any) -> Any:
    """A frame without columns has labels of numbers in anndata, of text in lazyomics."""
    if isinstance(value, pd.DataFrame) and value.shape[1] == 0:
        return pd.DataFrame(index=value.index, columns=pd.Index([], dtype=object))
    if isinstance(value, Mapping):
        return {k: _text_labels(v) for k, v in value.items()}
    return np.asarray(value) if type(value) is np.matrix else value
