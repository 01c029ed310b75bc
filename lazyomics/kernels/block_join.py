"""Joining blocks along rows or columns; with dense arrays among them the result is dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import NDArray

from lazyomics.kernels.block_layout import BlockLayout

__all__ = ["concatenate", "hstack", "stack", "vstack"]

Array: TypeAlias = NDArray[Any]


def concatenate(arrays: Sequence[Any], axis: int | None = 0, **options: Any) -> Any:
    """``numpy.concatenate``: a block, of the first one's format, if all are blocks."""
    arrays = list(arrays)
    if axis is None or options or not all(isinstance(x, BlockLayout) for x in arrays):
        dense = [x.toarray() if isinstance(x, BlockLayout) else x for x in arrays]
        return np.concatenate(dense, axis=axis, **options)
    return join(arrays, normalize_axis_index(axis, 2))


def join(blocks: list[BlockLayout], axis: int) -> BlockLayout:
    """Join blocks along an axis."""
    lengths = {block.shape[1 - axis] for block in blocks}
    if len(lengths) != 1:
        raise ValueError(
            f"blocks joined along axis {axis} must agree along axis {1 - axis}, found lengths "
            f"{sorted(lengths)}"
        )
    first = blocks[0]
    dtype = np.result_type(*(block.dtype for block in blocks))
    blocks = [b if b.dtype == dtype else b.distinct() for b in blocks]
    blocks = [b if b.major == first.major else b.swapped() for b in blocks]
    if len(blocks) == 1:
        return first
    orders = {block._order for block in blocks}
    order = orders.pop() if len(orders) == 1 else None
    if axis == first.major:
        data = np.concatenate([block.data for block in blocks], dtype=dtype)
        indices = np.concatenate([block.indices for block in blocks])
        starts = np.cumsum([0, *(block.nnz for block in blocks)])
        pointers = [
            b.indptr[:-1].astype(np.int64) + start
            for b, start in zip(blocks, starts[:-1], strict=True)
        ]
        indptr = np.concatenate([*pointers, starts[-1:]])
        n_major = sum(block.n_major for block in blocks)
        shape = (n_major, first.n_minor) if axis == 0 else (first.n_minor, n_major)
        return type(first).from_arrays(data, indices, indptr, shape, order)
    carriers = [block.carrier() for block in blocks]
    joined = (sp.vstack if axis == 0 else sp.hstack)(carriers, format=carriers[0].format)
    return type(first).from_scipy(joined, dtype, order)


def vstack(arrays: Sequence[Any], **options: Any) -> Any:
    """``numpy.vstack``: below each other."""
    rows = [x if isinstance(x, BlockLayout) else np.atleast_2d(x) for x in arrays]
    return concatenate(rows, 0, **options)


def hstack(arrays: Sequence[Any], **options: Any) -> Any:
    """``numpy.hstack``: side by side."""
    return concatenate(arrays, 1, **options)


def stack(arrays: Sequence[Any], axis: int = 0, **options: Any) -> Array:
    """``numpy.stack``: three dimensions, therefore dense."""
    dense = [x.toarray() if isinstance(x, BlockLayout) else x for x in arrays]
    return np.stack(dense, axis=axis, **options)
