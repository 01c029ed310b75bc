"""NumPy's reductions of blocks: sums, moments and extremes along an axis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike, NDArray

from lazyomics.blocks.index import take_axis
from lazyomics.blocks.layout import BlockLayout

__all__ = [
    "BlockReductions",
    "CenteredBlock",
    "ElementCount",
    "arg_extreme",
    "central_moment",
    "count_elements",
    "count_nonzero",
    "extreme",
    "mean",
    "product",
    "stored",
    "total",
    "variance",
]


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
    return np.asarray(count_nonzero(block, axis) > 0)


def _all(block: BlockLayout, axis: int | None) -> NDArray[Any]:
    return np.asarray(count_nonzero(block, axis) == length(block, axis))


def _std(block: BlockLayout, axis: int | None, **options: Any) -> NDArray[Any]:
    return np.asarray(np.sqrt(variance(block, axis, **options)))


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
        compute = total
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
        compute = mean
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
        compute = variance
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
        compute = product
        return _reduce(self, "prod", compute, axis, out, keepdims, more, dtype=dtype)

    def max(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Largest value; NaN if there is one."""
        compute = partial(extreme, ufunc=np.maximum)
        return _reduce(self, "max", compute, axis, out, keepdims, more)

    def min(
        self, axis: AxisLike = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        """Smallest value; NaN if there is one."""
        compute = partial(extreme, ufunc=np.minimum)
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
        return _reduce(self, "count_nonzero", count_nonzero, axis, None, keepdims, {})

    def argmax(self, axis: int | None = None, out: Any = None, keepdims: Any = False) -> Any:
        """First position of the largest value."""
        compute = partial(arg_extreme, ufunc=np.maximum)
        return _reduce(self, "argmax", compute, axis, out, keepdims, {})

    def argmin(self, axis: int | None = None, out: Any = None, keepdims: Any = False) -> Any:
        """First position of the smallest value."""
        compute = partial(arg_extreme, ufunc=np.minimum)
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


class ElementCount(np.ndarray):
    """Number of elements reduced, or a sum divided by it; any other use gives a plain array."""

    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(value, BlockLayout) for value in inputs):
            return NotImplemented  # the block takes it
        plain = (np.asarray(v) if isinstance(v, ElementCount) else v for v in inputs)
        result = getattr(ufunc, method)(*plain, **options)
        divided = ufunc is np.true_divide and inputs[1] is self and not options
        return result.view(ElementCount) if divided and result.ndim else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return func(*_plain(args), **_plain(kwargs))


def _plain(value: Any) -> Any:
    if isinstance(value, ElementCount):
        return value.view(np.ndarray)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def count_elements(
    block: BlockLayout,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    dtype: DTypeLike = np.float64,
    **_: Any,
) -> Any:
    """Number of elements, zeros included, for each result of a reduction along ``axis``."""
    axes = (0, 1) if axis is None else normalize_axis_tuple(axis, 2)
    count = np.prod([block.shape[i] for i in axes], dtype=dtype)
    if keepdims:
        shape = [1 if i in axes else n for i, n in enumerate(block.shape)]
        return np.full(shape, count, dtype).view(ElementCount)
    return np.full([n for i, n in enumerate(block.shape) if i not in axes], count, dtype)[()]


@dataclass(frozen=True)
class CenteredBlock:
    """``(block - center) ** power``, of which only sums can be had."""

    block: BlockLayout
    center: NDArray[Any]
    power: int = 1

    def __pow__(self, power: int) -> CenteredBlock:
        return replace(self, power=self.power * power)

    def sum(
        self,
        axis: tuple[int, ...],
        dtype: DTypeLike | None = None,
        out: None = None,
        keepdims: bool = False,
    ) -> Any:
        """Sum along the axes along which the block was centred."""
        which = None if len(axis) == 2 else axis[0]
        center = self.center.reshape(() if which is None else -1)
        sums = central_moment(self.block, which, center, self.power)
        if keepdims:
            sums = sums.reshape(self.center.shape)
        return sums.astype(np.float64 if dtype is None else dtype)
