"""Sums over the rows or columns of a sparse block, and the means and moments made of them.

Floating values are added in float64 whatever their own type, panel by panel, so that the widened
copy stays in the processor's cache. Zeros that are not stored enter by their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from lazyomics.kernels.block_layout import BlockLayout

__all__ = ["central_moment", "count_nonzero", "mean", "stored", "total", "variance"]

Array: TypeAlias = NDArray[Any]
Axis: TypeAlias = int | None  # None: both
# Values of one panel, from its first line, its last line, and where its values lie.
PanelValues: TypeAlias = Callable[[int, int, slice], Array]

MAJOR_PANEL = 1 << 15
MINOR_PANEL = 1 << 18


def widened(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which values of ``dtype`` are added."""
    if dtype.kind == "f" and dtype.itemsize < 8:
        return np.dtype(np.float64)
    if dtype.kind == "c" and dtype.itemsize < 16:
        return np.dtype(np.complex128)
    return dtype


def raw_sum(
    block: BlockLayout, axis: Axis, dtype: np.dtype[Any], values: PanelValues | None = None
) -> Array:
    """Add the values (or what ``values`` makes of them) in ``dtype``; an array of ndim 0 or 1."""

    def as_stored(first: int, last: int, part: slice) -> Array:
        return block.data[part].astype(dtype, copy=False)

    values = values or as_stored
    if axis is None:
        parts = [values(*panel).sum(dtype=dtype) for panel in block.panels(MAJOR_PANEL)]
        return np.asarray(np.sum(parts, dtype=dtype))
    if axis == block.major:  # one sum for each position of the minor axis
        out = np.zeros(block.n_minor, dtype)
        for first, last, part in block.panels(MINOR_PANEL):
            pointers = block.indptr[first : last + 1] - block.indptr[first]
            arrays = (values(first, last, part), block.indices[part], pointers)
            panel = sp.csr_array(arrays, shape=(last - first, block.n_minor))
            out += np.ones(last - first, dtype) @ panel
        return out
    out = np.zeros(block.n_major, dtype)
    for first, last, part in block.panels(MAJOR_PANEL):
        starts = block.indptr[first:last]
        filled = starts < block.indptr[first + 1 : last + 1]
        sums = np.add.reduceat(values(first, last, part), starts[filled] - part.start, dtype=dtype)
        out[first:last][filled] = sums
    return out


def stored(block: BlockLayout, axis: Axis) -> Array:
    """Number of stored values that a reduction along ``axis`` meets; block must be distinct."""
    if axis is None:
        return np.asarray(block.nnz)
    if axis == block.major:
        return np.bincount(block.indices, minlength=block.n_minor)
    return block.counts()


def length(block: BlockLayout, axis: Axis) -> int:
    """Number of values, zeros included, that a reduction along ``axis`` meets."""
    return int(block.size) if axis is None else block.shape[axis]


def total(block: BlockLayout, axis: Axis, dtype: DTypeLike | None = None) -> Array:
    """Sum along ``axis``, in the type that ``numpy.sum`` returns."""
    result = np.zeros(1, block.dtype).sum(dtype=dtype).dtype
    if result.kind == "b":
        return np.asarray(count_nonzero(block, axis) > 0)
    if block.dtype.kind not in "fc":  # the sum of two small integers may wrap around, as stored
        block = block.distinct()
    return raw_sum(block, axis, widened(result)).astype(result, copy=False)


def count_nonzero(block: BlockLayout, axis: Axis) -> Array:
    """Count values that are not zero (NaN is not)."""
    block = block.distinct()
    if axis is None:
        return np.asarray(np.count_nonzero(block.data), np.intp)
    marked = block.data != 0
    if axis != block.major and marked.all():
        return block.counts().astype(np.intp)
    return raw_sum(block.like(marked), axis, np.dtype(np.intp))


def mean(block: BlockLayout, axis: Axis, dtype: DTypeLike | None = None) -> Array:
    """Arithmetic mean along ``axis``, in the type that ``numpy.mean`` returns."""
    result = np.zeros(1, block.dtype).mean(dtype=dtype).dtype
    n = length(block, axis)
    if n == 0:
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=4)
    return np.asarray(raw_mean(block, axis)).astype(result, copy=False)


def raw_mean(block: BlockLayout, axis: Axis) -> Array:
    """Mean in float64 (or wider, or complex)."""
    if block.dtype.kind not in "fc":
        block = block.distinct()
    wide = widened(np.zeros(1, block.dtype).mean().dtype)
    with np.errstate(invalid="ignore"):
        return np.true_divide(raw_sum(block, axis, wide), length(block, axis))


def variance(
    block: BlockLayout, axis: Axis, dtype: DTypeLike | None = None, ddof: float = 0
) -> Array:
    """Variance along ``axis`` in two passes, in the type that ``numpy.var`` returns."""
    result = np.zeros(1, block.dtype).var(dtype=dtype).dtype
    n = length(block, axis)
    if n - ddof <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
    block = block.distinct()
    squares = central_moment(block, axis, raw_mean(block, axis), 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(squares / max(n - ddof, 0)).astype(result, copy=False)


def central_moment(block: BlockLayout, axis: Axis, center: Array, power: int) -> Array:
    """Sum of ``(x - center) ** power`` along ``axis``, in float64.

    Parameters
    ----------
    block
        Real values.
    axis
        0, 1 or None for both.
    center : ndarray of float64, shape (n,) or ()
        One value for each result.
    power
        At least 1.

    Returns
    -------
    ndarray of float64, shape (n,) or ()
    """
    block = block.distinct()
    wide = np.dtype(np.longdouble if block.dtype == np.longdouble else np.float64)
    center = center.astype(wide, copy=False)

    def deviations(first: int, last: int, part: slice) -> Array:
        if axis is None:
            centers: Array = center
        elif axis == block.major:
            centers = center[block.indices[part]]
        else:
            centers = np.repeat(center[first:last], np.diff(block.indptr[first : last + 1]))
        values = np.subtract(block.data[part], centers, dtype=wide)
        return np.power(values, power, out=values)

    with np.errstate(invalid="ignore", over="ignore"):
        moment = raw_sum(block, axis, wide, deviations)
        missing = length(block, axis) - stored(block, axis)
        return moment + np.where(missing > 0, missing * np.power(-center, power), 0)
