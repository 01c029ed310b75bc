"""NumPy's element-wise functions of blocks, kept sparse where zero stays zero."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import sparse
from numpy.typing import NDArray

from lazyomics.blocks import index, product
from lazyomics.blocks.index import take_axis
from lazyomics.blocks.layout import BlockLayout
from lazyomics.blocks.product import matmul
from lazyomics.blocks.reduce import CenteredBlock, ElementCount

__all__ = [
    "apply_function",
    "apply_ufunc",
    "combine",
    "dense",
]


Array: TypeAlias = NDArray[Any]


def combine(ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, options: Any) -> Any:
    """Apply ``ufunc`` to two blocks; the format of the result is that of ``a``.

    A block if the function makes zero of two zeros, else a dense array.
    """
    with np.errstate(all="ignore"):
        zero = ufunc(np.zeros(1, a.dtype), np.zeros(1, b.dtype), **options)
    if not (zero == 0).all():
        return ufunc(a.toarray(), b.toarray(), **options)
    if b.major != a.major:
        b = b.swapped()
    a, b = a.distinct(), b.distinct()
    if a.indices is b.indices and a.indptr is b.indptr:  # such as x * (x > 1)
        return a.like(ufunc(a.data, b.data, **options))
    result = None if options else _in_scipy(ufunc, a, b, zero.dtype)
    return _on_union(ufunc, a, b, options) if result is None else result


def _in_scipy(
    ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, dtype: np.dtype[Any]
) -> BlockLayout | None:
    """Add, subtract or multiply in scipy, where its result is numpy's; else None."""
    if np.float16 in (a.dtype, b.dtype):
        return None
    if ufunc is np.add:
        matrix = a.to_scipy() + b.to_scipy()
    elif ufunc is np.subtract:
        matrix = a.to_scipy() - b.to_scipy()
    elif ufunc is np.multiply and _is_finite(a) and _is_finite(b):
        matrix = a.to_scipy().multiply(b.to_scipy())
    else:
        return None
    both = a._order == b._order == "canonical"
    return type(a).from_scipy(matrix, dtype, "canonical" if both else "unique")


def _is_finite(block: BlockLayout) -> bool:
    return block.dtype.kind not in "fc" or bool(np.isfinite(block.data).all())


def _on_union(ufunc: np.ufunc, a: BlockLayout, b: BlockLayout, options: Any) -> BlockLayout:
    """Apply the function wherever one of the blocks stores a value.

    Where the stored values of each stand in the union is found by adding the two patterns as
    complex numbers: the real part counts through the values of ``a``, the imaginary part through
    those of ``b``.
    """
    real = a.like(np.arange(1, a.nnz + 1, dtype=np.complex128)).to_scipy()
    imaginary = b.like(np.arange(1, b.nnz + 1) * 1j).to_scipy()
    union = real + imaginary
    values = [
        np.concatenate((np.zeros(1, block.dtype), block.data))[place.astype(np.intp)]
        for block, place in ((a, union.data.real), (b, union.data.imag))
    ]
    data = ufunc(*values, **options)
    return type(a).from_arrays(data, union.indices, union.indptr, a.shape, "unique")


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


# Functions that are methods of the block with the same arguments.
METHODS: dict[Any, str] = {
    np.sum: "sum", np.nansum: "nansum", np.mean: "mean", np.var: "var", np.std: "std",
    np.prod: "prod", np.max: "max", np.amax: "max", np.min: "min", np.amin: "min",
    np.any: "any", np.all: "all", np.count_nonzero: "count_nonzero",
    np.argmax: "argmax", np.argmin: "argmin",
    np.round: "round", np.around: "round", np.clip: "clip", np.copy: "copy",
    np.transpose: "transpose", np.matrix_transpose: "transpose", np.reshape: "reshape",
    np.ravel: "ravel", np.squeeze: "squeeze", np.nonzero: "nonzero",
}  # fmt: skip


def take(a: Any, indices: Any, axis: int | None = None, **options: Any) -> Any:
    """``numpy.take`` along rows or columns."""
    if axis is None or options or not isinstance(a, BlockLayout):
        return np.take(dense(a), dense(indices), axis=axis, **options)
    return a[indices] if axis in (0, -2) else a[:, indices]


def nan_to_num(x: Any, copy: bool = True, **options: Any) -> Any:
    """``numpy.nan_to_num``; zeros are not touched by it."""
    block = x.distinct()
    return block.like(np.nan_to_num(block.data, **options))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """``numpy.swapaxes``: the transpose, or nothing."""
    return a if axis1 % 2 == axis2 % 2 else a.transpose()


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any
) -> Any:
    """``numpy.zeros_like``: a block without stored values if it has two dimensions."""
    dtype = a.dtype if dtype is None else dtype
    shape = a.shape if shape is None else shape
    is_block = isinstance(shape, tuple) and len(shape) == 2
    return type(a)(shape=shape, dtype=dtype) if is_block else np.zeros(shape, dtype)


def _like_dense(func: Callable[..., Any]) -> Callable[..., Any]:
    """Functions that ask an array for its shape and type only."""

    def call(prototype: Any, *args: Any, **options: Any) -> Any:
        model = np.broadcast_to(np.zeros((), prototype.dtype), prototype.shape)
        return func(model, *args, **options)

    return call


def _on_dtypes(func: Callable[..., Any]) -> Callable[..., Any]:
    """Functions of types, to which a block is its dtype."""

    def call(*args: Any) -> Any:
        return func(*(a.dtype if isinstance(a, BlockLayout) else a for a in args))

    return call


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.concatenate: index.concatenate,
    np.vstack: index.vstack,
    np.hstack: index.hstack,
    np.stack: index.stack,
    np.dot: product.dot,
    np.tensordot: product.tensordot,
    np.take: take,
    np.nan_to_num: nan_to_num,
    np.swapaxes: swapaxes,
    np.zeros_like: zeros_like,
    np.empty_like: _like_dense(np.empty_like),
    np.ones_like: _like_dense(np.ones_like),
    np.full_like: _like_dense(np.full_like),
    np.result_type: _on_dtypes(np.result_type),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: 2,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    np.iscomplexobj: lambda x: x.dtype.kind == "c",
    np.isrealobj: lambda x: x.dtype.kind != "c",
}


def apply_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer numpy's ``__array_function__``."""
    if func in FUNCTIONS:
        return FUNCTIONS[func](*args, **kwargs)
    if func in METHODS and args and isinstance(args[0], BlockLayout):
        return getattr(args[0], METHODS[func])(*args[1:], **kwargs)
    return func(*dense(args), **{key: dense(value) for key, value in kwargs.items()})
