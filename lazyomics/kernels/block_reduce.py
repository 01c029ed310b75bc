"""The reductions of a block as methods, with numpy's arguments; their results are dense."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike, NDArray

from lazyomics.kernels import block_extremes, block_sums
from lazyomics.kernels.block_layout import BlockLayout

__all__ = ["BlockReductions"]

AxisLike: TypeAlias = int | tuple[int, ...] | None


def _reduce(
    block: BlockLayout,
    name: str,
    compute: Callable[..., NDArray[Any]],
    axis: AxisLike,
    out: Any,
    keepdims: Any,
    more: dict[str, Any],
    **options: Any,
) -> Any:
    """Reduce by ``compute(block, axis, **options)`` and bring the result to numpy's shape.

    Complex values, no axis at all and numpy's rarer arguments in ``more`` (where, initial) are
    left to numpy's function of that name, on the dense block.
    """
    more = {key: value for key, value in more.items() if value is not np._NoValue}
    if more or axis == () or block.dtype.kind not in "biuf":
        given = {"out": out, "keepdims": keepdims, **options, **more}
        given = {key: value for key, value in given.items() if value is not None}
        return getattr(np, name)(block.toarray(), axis=axis, **given)
    axes = (0, 1) if axis is None else normalize_axis_tuple(axis, 2)
    which = None if len(axes) == 2 else axes[0]
    values = compute(block, which, **options)
    if keepdims is not np._NoValue and keepdims:
        values = values.reshape(1, 1) if which is None else np.expand_dims(values, which)
    if out is not None:
        out[...] = values
        return out
    return values if values.ndim else values[()]


def _any(block: BlockLayout, axis: int | None) -> NDArray[Any]:
    return np.asarray(block_sums.count_nonzero(block, axis) > 0)


def _all(block: BlockLayout, axis: int | None) -> NDArray[Any]:
    return np.asarray(block_sums.count_nonzero(block, axis) == block_sums.length(block, axis))


def _std(block: BlockLayout, axis: int | None, **options: Any) -> NDArray[Any]:
    return np.asarray(np.sqrt(block_sums.variance(block, axis, **options)))


class BlockReductions(BlockLayout):
    """Sums, means, extremes and logical reductions along rows, columns or both.

    Every method takes numpy's arguments in numpy's order: ``axis`` (None for both), ``dtype``,
    ``out``, ``keepdims``.
    """

    def sum(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Sum; float32 is added in float64."""
        compute = block_sums.total
        return _reduce(self, "sum", compute, axis, out, keepdims, more, dtype=dtype)

    def nansum(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Sum that takes NaN as zero."""
        block = self.distinct()
        if self.dtype.kind in "fc":
            block = block.like(np.where(np.isnan(block.data), self.dtype.type(0), block.data))
        return block.sum(axis, dtype, out, keepdims, **more)

    def mean(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Arithmetic mean, computed in float64."""
        compute = block_sums.mean
        return _reduce(self, "mean", compute, axis, out, keepdims, more, dtype=dtype)

    def var(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Variance in two passes in float64: first the mean, then the squared deviations."""
        compute = block_sums.variance
        return _reduce(self, "var", compute, axis, out, keepdims, more, dtype=dtype, ddof=ddof)

    def std(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Square root of the variance."""
        return _reduce(self, "std", _std, axis, out, keepdims, more, dtype=dtype, ddof=ddof)

    def prod(
        self,
        axis: AxisLike = None,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        """Product."""
        compute = block_extremes.product
        return _reduce(self, "prod", compute, axis, out, keepdims, more, dtype=dtype)

    def max(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Largest value; NaN if there is one."""
        compute = partial(block_extremes.extreme, ufunc=np.maximum)
        return _reduce(self, "max", compute, axis, out, keepdims, more)

    def min(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Smallest value; NaN if there is one."""
        compute = partial(block_extremes.extreme, ufunc=np.minimum)
        return _reduce(self, "min", compute, axis, out, keepdims, more)

    def any(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Whether some value is not zero."""
        return _reduce(self, "any", _any, axis, out, keepdims, more)

    def all(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Whether no value is zero."""
        return _reduce(self, "all", _all, axis, out, keepdims, more)

    def count_nonzero(self, axis: AxisLike = None, keepdims: Any = False) -> Any:
        """Number of values that are not zero."""
        return _reduce(self, "count_nonzero", block_sums.count_nonzero, axis, None, keepdims, {})

    def argmax(self, axis: int | None = None, out: Any = None, keepdims: Any = False) -> Any:
        """First position of the largest value."""
        compute = partial(block_extremes.arg_extreme, ufunc=np.maximum)
        return _reduce(self, "argmax", compute, axis, out, keepdims, {})

    def argmin(self, axis: int | None = None, out: Any = None, keepdims: Any = False) -> Any:
        """First position of the smallest value."""
        compute = partial(block_extremes.arg_extreme, ufunc=np.minimum)
        return _reduce(self, "argmin", compute, axis, out, keepdims, {})

    def reduce(self, method: np.ufunc, axis: AxisLike = 0, **options: Any) -> Any:
        """``method.reduce`` of the block, e.g. ``np.add.reduce``."""
        name = METHODS.get(method)
        if name is None:
            return method.reduce(self.toarray(), axis=axis, **options)
        if name not in ("sum", "prod") and options.get("dtype") is None:
            options.pop("dtype", None)
        return getattr(self, name)(axis=axis, **options)


METHODS: dict[Any, str] = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_or: "any",
    np.logical_and: "all",
}
