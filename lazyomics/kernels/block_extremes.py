"""Largest and smallest values of a sparse block, where they are, and products.

A line with fewer stored values than positions holds zeros besides them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lazyomics.kernels.block_index import take_axis
from lazyomics.kernels.block_layout import BlockLayout
from lazyomics.kernels.block_sums import Axis, length, stored

__all__ = ["arg_extreme", "extreme", "product"]

Array: TypeAlias = NDArray[Any]


def extreme(block: BlockLayout, axis: Axis, ufunc: np.ufunc) -> Array:
    """Reduce by ``np.maximum`` or ``np.minimum``; NaN wins, as in numpy."""
    if length(block, axis) == 0:
        name = ufunc.__name__
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    block = block.distinct()
    if axis is None or axis != block.major:
        start = block.dtype.type(0)  # lines without values
    else:
        start = _neutral(block.dtype, ufunc)
    found = _reduce_stored(block, axis, ufunc, start, block.dtype)
    with_zeros = stored(block, axis) < length(block, axis)
    return np.where(with_zeros, ufunc(found, block.dtype.type(0)), found)


def _neutral(dtype: np.dtype[Any], ufunc: np.ufunc) -> Any:
    """A value that every other one replaces."""
    lowest = ufunc is np.maximum
    if dtype.kind == "b":
        return not lowest
    if dtype.kind == "f":
        return dtype.type(-np.inf if lowest else np.inf)
    limits = np.iinfo(dtype)
    return limits.min if lowest else limits.max


def _reduce_stored(
    block: BlockLayout, axis: Axis, ufunc: np.ufunc, start: Any, dtype: np.dtype[Any]
) -> Array:
    """Reduce the stored values only; ``start`` stands where there are none."""
    data = block.data.astype(dtype, copy=False)
    if axis is None:
        return np.asarray(ufunc.reduce(data) if len(data) else start, dtype)
    if axis == block.major:
        out = np.full(block.n_minor, start, dtype)
        ufunc.at(out, block.indices, data)
        return out
    out = np.full(block.n_major, start, dtype)
    filled = block.counts() > 0
    if len(data):
        out[filled] = ufunc.reduceat(data, block.indptr[:-1][filled])
    return out


def product(block: BlockLayout, axis: Axis, dtype: DTypeLike | None = None) -> Array:
    """Product along ``axis``, in the type that ``numpy.prod`` returns.

    A zero makes the product zero, unless it meets NaN or infinity, which make it NaN.
    """
    result = np.ones(1, block.dtype).prod(dtype=dtype).dtype
    block = block.distinct()
    with_zeros = stored(block, axis) < length(block, axis)
    with np.errstate(all="ignore"):
        found = _reduce_stored(block, axis, np.multiply, 1, result)
        if result.kind in "fc":
            finite = block.like(np.isfinite(block.data))
            sound = _reduce_stored(finite, axis, np.logical_and, True, np.dtype(bool))
            return np.where(with_zeros, np.where(sound, 0, np.nan), found).astype(result)
    return np.where(with_zeros, 0, found).astype(result)


def arg_extreme(block: BlockLayout, axis: Axis, ufunc: np.ufunc) -> Array:
    """First position of the largest (``np.maximum``) or smallest value, as ``numpy.argmax``."""
    n = length(block, axis)
    if n == 0:
        name = "argmax" if ufunc is np.maximum else "argmin"
        raise ValueError(f"attempt to get {name} of an empty sequence")
    if axis == block.major or (axis is None and block.major != 0):
        block = block.swapped()  # positions are looked for within major lines
    block = block.canonical()
    best = extreme(block, 1 - block.major, ufunc)
    if axis is not None:
        return _first_in_lines(block, best)
    row = int(np.argmax(best) if ufunc is np.maximum else np.argmin(best))
    line = take_axis(block, slice(row, row + 1), 0)
    return np.asarray(row * block.n_minor + _first_in_lines(line, best[row : row + 1])[0])


def _first_in_lines(block: BlockLayout, best: Array) -> Array:
    """First position in each major line of the value ``best``; block must be canonical."""
    per_value = np.repeat(best, block.counts())
    hits = block.data == per_value
    if block.dtype.kind in "fc":
        hits |= np.isnan(block.data) & np.isnan(per_value)
    first = _first_where(block, hits, block.indices)
    zeros = (best == 0) & (block.counts() < block.n_minor)
    if not zeros.any():
        return first
    # The k-th stored position is k as long as no zero was left out before it.
    within = np.arange(block.nnz) - np.repeat(block.indptr[:-1], block.counts())
    gap = _first_where(block, block.indices != within, within)
    gap = np.minimum(gap, block.counts())
    return np.where(zeros, np.minimum(first, gap), first)


def _first_where(block: BlockLayout, marked: Array, values: Array) -> Array:
    """Smallest of the marked values in each major line, or the length of a line."""
    candidates = np.where(marked, values, block.n_minor)
    axis, n = 1 - block.major, block.n_minor
    return _reduce_stored(block.like(candidates), axis, np.minimum, n, np.dtype(np.intp))
