"""Pick the matrix that a verb works on, and put its result back where it came from."""

from __future__ import annotations

from typing import Any

import dask.array as da

from lazyomics.container.anndata import AnnData
from lazyomics.container.verb_input import check_numbers
from lazyomics.graph import is_in_memory, lazy, materialize

__all__ = ["get_matrix", "set_matrix"]


def get_matrix(adata: AnnData, *, layer: str | None = None, use_raw: bool = False) -> da.Array:
    """Return X, a layer or raw.X as a dask array of row blocks. Reads nothing.

    Raises
    ------
    KeyError
        If the layer does not exist.
    ValueError
        If both or neither of what was asked for can be had.
    TypeError
        If it holds no numbers.
    """
    if use_raw and layer is not None:
        raise ValueError("use_raw and layer exclude each other")
    place = "raw.X" if use_raw else "X" if layer is None else f"layers[{layer!r}]"
    if layer is not None:
        x = adata.layers[layer]
    elif use_raw:
        if adata.raw is None:
            raise ValueError("use_raw=True, but the object has no raw")
        x = adata.raw.X
    else:
        x = adata.X
    if x is None:
        raise ValueError(f"the object has no {place}; name a layer: {list(adata.layers)}")
    check_numbers(x, place)
    return lazy(x)


def set_matrix(adata: AnnData, x: Any, *, layer: str | None = None) -> None:
    """Assign a matrix to X or a layer; where the replaced one was in memory, so is the new one."""
    old = adata.layers.get(layer) if layer is not None else adata.X
    if old is not None and is_in_memory(old):
        x = materialize(x)
    if layer is not None:
        adata.layers[layer] = x
    else:
        adata.X = x
