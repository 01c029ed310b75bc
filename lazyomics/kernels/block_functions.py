"""The functions of numpy that know a sparse block; all others work on the dense block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazyomics.kernels import block_join, block_product
from lazyomics.kernels.block_layout import BlockLayout
from lazyomics.kernels.block_ufuncs import dense

__all__ = ["apply_function"]

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
    np.concatenate: block_join.concatenate,
    np.vstack: block_join.vstack,
    np.hstack: block_join.hstack,
    np.stack: block_join.stack,
    np.dot: block_product.dot,
    np.tensordot: block_product.tensordot,
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
