"""Matrix products of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.layout import BlockLayout

__all__ = [
    "dot",
    "matmul",
    "tensordot",
]


Array: TypeAlias = NDArray[Any]


def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` where at least one is a block; a block (of a's format) if both are."""
    both = isinstance(a, BlockLayout) and isinstance(b, BlockLayout)
    usual = 0 < np.ndim(a) <= 2 and 0 < np.ndim(b) <= 2
    fits = usual and a.shape[-1] == b.shape[0]
    # Zeros that are not stored take no part, which is right only against finite values.
    if not fits or not _is_finite(a, b):
        result = np.matmul(*(x.toarray() if isinstance(x, BlockLayout) else x for x in (a, b)))
        return type(a).from_dense(result) if both else result
    product = _operand(a) @ _operand(b)
    dtype = np.result_type(a.dtype, b.dtype)
    if both:
        return type(a).from_scipy(a.scipy_type(product), dtype)
    return product.astype(dtype, copy=False)


def _operand(x: Any) -> Any:
    if isinstance(x, BlockLayout):  # two small integers for a place may wrap around when added
        return x.carrier() if x.dtype.kind in "fc" else x.distinct().carrier()
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _is_finite(a: Any, b: Any) -> bool:
    arrays = (x.data if isinstance(x, BlockLayout) else x for x in (a, b))
    return all(array.dtype.kind not in "fc" or np.isfinite(array).all() for array in arrays)


def dot(a: Any, b: Any) -> Any:
    """``numpy.dot``: a product with a scalar, else the matrix product."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(*(x if isinstance(x, BlockLayout) else np.asarray(x) for x in (a, b)))
    if np.ndim(a) > 2 or np.ndim(b) > 2:
        return np.dot(*(x.toarray() if isinstance(x, BlockLayout) else x for x in (a, b)))
    return matmul(*(x if isinstance(x, BlockLayout) else np.asarray(x) for x in (a, b)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """``numpy.tensordot``; over one axis it is the matrix product of (transposed) operands."""
    left, right = _contracted(axes)
    if len(left) == 1 and len(right) == 1 and a.ndim <= 2 and b.ndim <= 2:
        a = a if left[0] % a.ndim == a.ndim - 1 else a.T
        b = b if right[0] % b.ndim == 0 else b.T
        return matmul(a, b)
    left_array, right_array = (x.toarray() if isinstance(x, BlockLayout) else x for x in (a, b))
    return np.tensordot(left_array, right_array, axes=axes)


def _contracted(axes: Any) -> tuple[Sequence[int], Sequence[int]]:
    """Contracted axes of the left and of the right operand."""
    if isinstance(axes, int | np.integer):
        return tuple(range(-int(axes), 0)), tuple(range(int(axes)))
    left, right = ([side] if np.ndim(side) == 0 else list(side) for side in axes)
    return left, right
