"""Universal functions of numpy on sparse blocks.

A function that leaves zero at zero needs the stored values only. Which those are is not listed but
tried: the function is called on a zero of the block's type. Everything else gets the dense block,
and returns a dense array.
"""

from __future__ import annotations

from numbers import Number
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import sparse
from numpy.typing import NDArray

from lazyomics.kernels.block_index import take_axis
from lazyomics.kernels.block_layout import BlockLayout
from lazyomics.kernels.block_moment import CenteredBlock, ElementCount
from lazyomics.kernels.block_pairs import combine
from lazyomics.kernels.block_product import matmul

__all__ = ["apply_ufunc", "dense"]

Array: TypeAlias = NDArray[Any]

# With a vector or matrix, these give a block even where single zeros do not stay zero.
SCALING = frozenset({np.multiply, np.true_divide, np.floor_divide})


def dense(value: Any) -> Any:
    """Return blocks, also those in lists and tuples, as dense arrays, and all else as it is."""
    if isinstance(value, BlockLayout):
        return value.toarray()
    if type(value) in (list, tuple):
        return type(value)(dense(item) for item in value)
    return value


def apply_ufunc(
    block: BlockLayout, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: Any
) -> Any:
    """Answer numpy's ``__array_ufunc__`` for ``block``, one of the inputs."""
    inputs = tuple(_operand(block, value) for value in inputs)
    if any(value is NotImplemented for value in inputs):
        return NotImplemented
    out = options.get("out")
    if any(isinstance(target, BlockLayout) for target in out or ()):
        raise TypeError("a block is never written into; assign the result instead of out=")
    if method == "reduce" and inputs[0] is block:
        target = out[0] if out else None
        return block.reduce(ufunc, **{"axis": 0, **options, "out": target})
    plain = not out and "where" not in options and not any(_is_extended(v) for v in inputs)
    if method == "__call__" and ufunc.nout == 1 and plain:
        if ufunc is np.matmul and not options:
            return matmul(*inputs)
        if ufunc.signature is None and len(inputs) == 1:
            return _unary(block, ufunc, options)
        if ufunc.signature is None and len(inputs) == 2:
            return _binary(ufunc, *inputs, options)
    return getattr(ufunc, method)(*(dense(value) for value in inputs), **options)


def _operand(block: BlockLayout, value: Any) -> Any:
    """Bring an operand to a block, an array or a scalar; leave other libraries' to them."""
    if isinstance(value, BlockLayout | np.ndarray | Number | np.generic | str):
        return value
    if np.ndim(value) == 2 and (sp.issparse(value) or isinstance(value, sparse.SparseArray)):
        return type(block)(value)
    if hasattr(value, "__array_ufunc__") or hasattr(value, "dask"):
        return NotImplemented
    return np.asarray(value)


def _is_extended(value: Any) -> bool:
    """Whether an operand has more than two dimensions or holds objects."""
    return isinstance(value, np.ndarray) and (value.ndim > 2 or value.dtype == object)


def _stays_zero(ufunc: np.ufunc, *zeros: Any, **options: Any) -> Array:
    """Where the function makes zero of zeros; NaN is none."""
    with np.errstate(all="ignore"):
        return np.asarray(ufunc(*zeros, **options) == 0)


def _unary(block: BlockLayout, ufunc: np.ufunc, options: Any) -> Any:
    if not _stays_zero(ufunc, np.zeros(1, block.dtype), **options).all():
        return ufunc(block.toarray(), **options)
    block = block.distinct()
    return block.like(ufunc(block.data, **options))


def _binary(ufunc: np.ufunc, a: Any, b: Any, options: Any) -> Any:
    if isinstance(a, BlockLayout) and isinstance(b, BlockLayout):
        if a.shape == b.shape:
            return combine(ufunc, a, b, options)
        # Broadcasting repeats the smaller one: a row or column, which is no burden when dense.
        a, b = (a.toarray(), b) if a.size < b.size else (a, b.toarray())
    block, other = (a, b) if isinstance(a, BlockLayout) else (b, a)
    if isinstance(other, ElementCount) and ufunc is np.subtract and block.dtype.kind in "biuf":
        return CenteredBlock(block, other.view(np.ndarray))
    if np.ndim(other) == 0:
        return _with_scalar(ufunc, a, b, options)
    fits = np.broadcast_shapes(other.shape, block.shape) == block.shape
    scales = ufunc in SCALING and (block is a or ufunc is np.multiply)
    if fits and scales:
        return _scaled(ufunc, block, other, options)
    return ufunc(dense(a), dense(b), **options)


def _with_scalar(ufunc: np.ufunc, a: Any, b: Any, options: Any) -> Any:
    block = a if isinstance(a, BlockLayout) else b

    def operands(values: Array) -> list[Any]:
        # Python's numbers take part as they are: they do not widen the type of the block.
        return [values if x is block else x for x in (a, b)]

    if not _stays_zero(ufunc, *operands(np.zeros(1, block.dtype)), **options).all():
        return ufunc(dense(a), dense(b), **options)
    block_values = block.distinct()
    return block_values.like(ufunc(*operands(block_values.data), **options))


def _scaled(ufunc: np.ufunc, block: BlockLayout, other: Array, options: Any) -> BlockLayout:
    """Scale by a row vector, a column vector or a matrix; the result is always a block.

    Where a zero of the block does not stay zero (times infinity, divided by zero) the result is
    stored, so that it equals numpy's.
    """
    other = other.reshape((1,) * (2 - other.ndim) + other.shape)
    block = block.distinct()
    ruined = ~_stays_zero(ufunc, np.zeros(1, block.dtype), other, **options)
    if ruined.any() and (other.shape == block.shape or other.size == 1):
        return type(block).from_dense(ufunc(block.toarray(), other, **options))
    scaled = block.like(ufunc(block.data, _at_stored(block, other), **options))
    if not ruined.any():
        return scaled
    axis = 0 if other.shape[1] == 1 else 1
    lines = np.flatnonzero(ruined)
    factors = other.take(lines, axis)
    full = ufunc(take_axis(block, lines, axis).toarray(), factors, **options)
    return _with_full_lines(scaled, lines, axis, full)


def _at_stored(block: BlockLayout, other: Array) -> Array:
    """Values of a row vector, column vector or matrix at the stored positions."""
    if other.size == 1:
        return other.reshape(1)
    if other.shape == block.shape and 1 not in other.shape:
        lines = other if block.major == 0 else other.T
        return lines[np.repeat(np.arange(block.n_major), block.counts()), block.indices]
    along_major = other.shape[1 - block.major] == 1 and other.shape[block.major] == block.n_major
    if along_major:
        return np.repeat(other.reshape(-1), block.counts())
    return other.reshape(-1)[block.indices]


def _with_full_lines(block: BlockLayout, lines: Array, axis: int, full: Array) -> BlockLayout:
    """Replace some rows (axis 0) or columns (axis 1) by dense ones."""
    marked = np.zeros((block.shape[0], 1) if axis == 0 else (1, block.shape[1]), bool)
    marked.reshape(-1)[lines] = True
    keep = ~_at_stored(block, marked)
    pointers = np.concatenate(([0], np.cumsum(keep)))[block.indptr]
    kept = block.from_arrays(block.data[keep], block.indices[keep], pointers, block.shape)
    across = np.arange(block.shape[1 - axis])
    rows, cols = (lines[:, None], across) if axis == 0 else (across[:, None], lines)
    rows, cols = np.broadcast_arrays(rows, cols)
    values = full.astype(kept.carrier().dtype)
    filled = sp.coo_array((values.reshape(-1), (rows.reshape(-1), cols.reshape(-1))), block.shape)
    merged = kept.carrier() + block.scipy_type(filled)
    return type(block).from_scipy(merged, block.dtype)
