"""Which matrix of an object a verb works on: X, a layer or an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from lazyomics import graph
from lazyomics.container.choose import get_matrix, set_matrix
from lazyomics.container.index import aligned_mask
from lazyomics.container.ragged import is_ragged
from lazyomics.container.verb_input import check_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["RowBlocks", "assign_matrix", "boolean_mask", "checked_mask", "choose_matrix"]

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
        raise KeyError(f"obsm[{obsm!r}] does not exist; there are {list(adata.obsm)}")
    values = adata.obsm[obsm]
    if isinstance(values, pd.DataFrame) or is_ragged(values) or values.ndim != 2:
        raise TypeError(
            f"obsm[{obsm!r}] is a {type(values).__name__}, expected a matrix; convert it first, "
            "e.g. with to_numpy()"
        )
    check_numbers(values, f"obsm[{obsm!r}]")
    return graph.lazy(values)


def assign_matrix(
    adata: AnnData, x: RowBlocks, *, layer: str | None = None, obsm: str | None = None
) -> None:
    """Put a changed matrix where it came from; what was in memory stays in memory."""
    if obsm is None:
        set_matrix(adata, x, layer=layer)
    else:
        adata.obsm[obsm] = graph.materialize(x)


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
                f"there are {list(frame.columns)}"
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
