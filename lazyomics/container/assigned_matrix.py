"""What may be assigned to X: a matrix of its shape, a vector for one cell or gene, or a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazyomics.container.slots import MatrixSlot, as_matrix
from lazyomics.errors import ShapeError

__all__ = ["assigned_matrix"]

Number = bool | int | float | complex | np.number | np.bool_


def assigned_matrix(value: Any, shape: tuple[int, int], replaced: MatrixSlot) -> Any:
    """Return what is assigned to X as a matrix of the object's shape, or None.

    Parameters
    ----------
    value
        Matrix; values of the only cell or the only gene; a number, which fills the matrix; or
        None.
    shape
        Cells and genes.
    replaced
        What X was: where that is lazy, a matrix filled with a number is lazy too.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    TypeError
        If it is neither a matrix nor a number.
    """
    if isinstance(value, Number):
        return _filled(value, shape, lazily=not (replaced.is_absent or replaced.is_in_memory))
    if isinstance(value, list | tuple):
        value = np.asarray(value)
    found = np.shape(value)
    matrix = as_matrix(_in_one_row(value, shape))
    if matrix is not None and tuple(matrix.shape) != shape:
        raise ShapeError(f"X has shape {found}, expected {shape}")
    return matrix


def _filled(value: Any, shape: tuple[int, int], *, lazily: bool) -> Any:
    if not lazily:
        return np.full(shape, value)
    import dask.array as da

    return da.full(shape, value, chunks=("auto", -1))


def _in_one_row(value: Any, shape: tuple[int, int]) -> Any:
    """Lay a vector of values of all genes in a row, where there is one cell."""
    if getattr(value, "ndim", 0) == 1 and shape[0] == 1 and len(value) == shape[1]:
        return np.asarray(value).reshape(1, -1)
    return value
