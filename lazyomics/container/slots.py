"""Slots of matrices, and what may be assigned to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.deferred import cut_value, defer_cut, is_deferred
from lazyomics.container.values import copied, normal_form
from lazyomics.errors import ShapeError
from lazyomics.lazy.indexer import Selector
from lazyomics.lazy.kinds import is_dask_array, is_in_memory

__all__ = [
    "MatrixSlot",
    "as_matrix",
    "assigned_matrix",
    "matrix_bytes",
]


class MatrixSlot:
    """Holds one matrix of shape (n_obs, n_vars), or None."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def value(self) -> Any:
        """The matrix: lazy when it is in a file. Opening it reads row pointers at most."""
        if is_deferred(self._value):
            self._value = self._value.load()
        return self._value

    @property
    def held(self) -> Any:
        """The matrix as it is held: deferred when it was not asked for yet."""
        return self._value

    @property
    def is_absent(self) -> bool:
        """Whether there is no matrix."""
        return self._value is None

    @property
    def is_in_memory(self) -> bool:
        """Whether the values are in memory."""
        return self._value is not None and is_in_memory(self._value)

    def take(self, rows: Selector, cols: Selector, sizes: tuple[int, int]) -> MatrixSlot:
        """Return the slot of a selection."""
        if self._value is None:
            return MatrixSlot(None)
        if is_deferred(self._value):
            return MatrixSlot(defer_cut(self._value, (rows, cols), sizes))
        return MatrixSlot(cut_value(self._value, (rows, cols)))

    def copy(self) -> MatrixSlot:
        """Return an independent slot; lazy values are not computed, stored ones not read."""
        if self._value is None or is_deferred(self._value):
            return MatrixSlot(self._value)
        return MatrixSlot(copied(self._value))

    @property
    def nbytes(self) -> int:
        """Bytes once in memory, as far as known without reading."""
        return matrix_bytes(self._value)


def as_matrix(value: Any, where: str = "X") -> Any:
    """Bring what a user assigns to X to a two-dimensional matrix (or None)."""
    if value is None or is_deferred(value):
        return value
    matrix = normal_form(value, where)
    if matrix.ndim != 2:
        raise ShapeError(f"{where} must have 2 dimensions, found shape {matrix.shape}")
    return matrix


def matrix_bytes(value: Any) -> int:
    """Bytes that a matrix takes once it is in memory."""
    if value is None:
        return 0
    if is_dask_array(value):
        recipe = lazy.recipe_of(value)
        if recipe is None:
            return int(value.nbytes)
        return recipe.bytes_in_memory()
    if is_deferred(value):
        return int(value.nbytes)
    if sp.issparse(value):
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    return int(value.nbytes)


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
