"""What verbs take: an AnnData, some of them a bare matrix, and numbers in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazyomics import graph
from lazyomics.container.normal_form import normal_form
from lazyomics.errors import ShapeError
from lazyomics.graph.kinds import is_dask_array, is_in_memory

__all__ = ["bare_matrix", "check_annotated", "check_numbers", "is_annotated"]

PARTS = ("X", "obs", "var", "layers", "obsm", "uns")
PARTS_OF_MODALITIES = ("mod", "obs", "var", "obsmap")


def is_annotated(data: Any) -> bool:
    """Whether an object has the parts of an AnnData."""
    return all(hasattr(type(data), part) for part in PARTS)


def _has_modalities(data: Any) -> bool:
    return all(hasattr(type(data), part) for part in PARTS_OF_MODALITIES)


def check_annotated(data: Any, verb: str) -> None:
    """Refuse what is no AnnData.

    Raises
    ------
    TypeError
        That names the verb, what it takes and what to do.

    Examples
    --------
    >>> check_annotated(np.ones((2, 3)), "pp.neighbors")
    Traceback (most recent call last):
    ...
    TypeError: pp.neighbors takes an AnnData, found ndarray: make one of it, lazyomics.AnnData(x)
    """
    if is_annotated(data):
        return
    if _has_modalities(data):
        names = ", ".join(f"mdata.mod[{name!r}]" for name in data.mod) or "it has none"
        raise TypeError(f"{verb} takes an AnnData, found a MuData: pass a modality, {names}")
    found = type(data).__name__
    if is_dask_array(data) or is_in_memory(data):
        raise TypeError(
            f"{verb} takes an AnnData, found {found}: make one of it, lazyomics.AnnData(x)"
        )
    raise TypeError(f"{verb} takes an AnnData, found {found}")


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
    if _has_modalities(data):
        check_annotated(data, verb)
    if not is_dask_array(data) and not is_in_memory(data):
        check = "an AnnData, or a matrix of numpy, scipy.sparse or dask"
        raise TypeError(f"{verb} takes {check}; found {type(data).__name__}")
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise TypeError(
            f"{verb}: {', '.join(given)} belong to an AnnData, found {type(data).__name__}"
        )
    if len(data.shape) != 2:
        raise ShapeError(f"{verb}: the matrix has shape {data.shape}, expected two dimensions")
    check_numbers(data, "the matrix")
    return graph.lazy(normal_form(data, "the matrix"))


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
