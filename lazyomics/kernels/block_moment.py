"""How the variance that dask computes from blocks stays sparse.

For ``x.var()`` dask subtracts from each block the mean of the block and sums the squares. The mean
is the block's sum divided by its number of elements, and dask asks the block type for that number.
It gets it as an `ElementCount`: a number that marks what is divided by it, so that a block knows
that it is being centred, and answers with a `CenteredBlock`, which stores no difference but sums
their powers from the stored values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike, NDArray

from lazyomics.kernels.block_layout import BlockLayout
from lazyomics.kernels.block_sums import central_moment

__all__ = ["CenteredBlock", "ElementCount", "count_elements"]


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
