"""Choice of a matrix, or of a modality, by the arguments of a verb."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np

from lazyomics.container.anndata import AnnData
from lazyomics.container.given import found_instead, has_modalities
from lazyomics.container.mudata.mudata import MuData
from lazyomics.container.values import normal_form
from lazyomics.errors import ShapeError
from lazyomics.lazy import as_lazy, is_in_memory, materialize
from lazyomics.lazy.kinds import is_dask_array

__all__ = [
    "bare_matrix",
    "check_annotated",
    "check_numbers",
    "choose_modality",
    "get_matrix",
    "has_modalities",
    "is_annotated",
    "set_matrix",
]


def choose_modality(data: Any, name: str) -> AnnData:
    """Return an AnnData itself, or the modality of that name of a MuData.

    Raises
    ------
    TypeError
        For anything else, or a MuData without the modality.
    """
    if isinstance(data, AnnData):
        return data
    if isinstance(data, MuData) and name in data.mod:
        return data.mod[name]
    raise TypeError(
        f"expected an AnnData, or a MuData with the modality {name!r}; found {found_instead(data)}"
    )


PARTS = ("X", "obs", "var", "layers", "obsm", "uns")


def is_annotated(data: Any) -> bool:
    """Whether an object has the parts of an AnnData."""
    return all(hasattr(type(data), part) for part in PARTS)


def check_annotated(data: Any, verb: str, *, or_modalities: bool = False) -> None:
    """Refuse what is no AnnData.

    Parameters
    ----------
    data
        What was given.
    verb
        For messages.
    or_modalities
        A MuData is taken, too.

    Raises
    ------
    TypeError
        That names the verb, what it takes and what to do.

    Examples
    --------
    >>> check_annotated(np.ones((2, 3)), "pp.combat")
    Traceback (most recent call last):
    ...
    TypeError: pp.combat takes an AnnData, found ndarray: make one of it, lazyomics.AnnData(x)
    """
    if is_annotated(data) or (or_modalities and has_modalities(data)):
        return
    taken = f"{verb} takes an AnnData{' or a MuData' if or_modalities else ''}"
    found = found_instead(data)
    if not has_modalities(data) and (is_dask_array(data) or is_in_memory(data)):
        raise TypeError(f"{taken}, found {found}: make one of it, lazyomics.AnnData(x)")
    raise TypeError(f"{taken}, found {found}")


def bare_matrix(data: Any, verb: str, **options: Any) -> Any:
    """Return a matrix that is given instead of an AnnData as a dask array of row blocks.

    Parameters
    ----------
    data
        Of numpy, scipy.sparse or dask.
    verb
        For messages.
    options
        Arguments that belong to an AnnData, so that they must be None.

    Raises
    ------
    TypeError
        If it is no matrix of numbers, has masked values, or one of the options is given.
    ShapeError
        If it has not two dimensions.
    """
    if has_modalities(data):
        check_annotated(data, verb)
    if not is_dask_array(data) and not is_in_memory(data):
        check = "an AnnData, or a matrix of numpy, scipy.sparse or dask"
        raise TypeError(f"{verb} takes {check}; found {found_instead(data)}")
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise TypeError(
            f"{verb}: {', '.join(given)} belong to an AnnData, found {type(data).__name__}"
        )
    if len(data.shape) != 2:
        raise ShapeError(f"{verb}: the matrix has shape {data.shape}, expected two dimensions")
    check_numbers(data, "the matrix")
    return as_lazy(normal_form(data, "the matrix"))


def check_numbers(x: Any, name: str) -> None:
    """Refuse matrices of text, objects, dates or complex numbers.

    Raises
    ------
    TypeError
        If a matrix holds anything but real numbers or booleans.
    """
    dtype = np.dtype(x.dtype)
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name} holds {dtype}, expected real numbers; convert it, e.g. with astype('float32')"
        )


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
    return as_lazy(x)


def set_matrix(adata: AnnData, x: Any, *, layer: str | None = None) -> None:
    """Assign a matrix to X or a layer; where the replaced one was in memory, so is the new one."""
    old = adata.layers.get(layer) if layer is not None else adata.X
    if old is not None and is_in_memory(old):
        x = materialize(x)
    if layer is not None:
        adata.layers[layer] = x
    else:
        adata.X = x
