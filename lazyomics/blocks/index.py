"""Selections from a block, and blocks put side by side."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import NDArray

from lazyomics.blocks.layout import BlockLayout

__all__ = [
    "concatenate",
    "hstack",
    "select",
    "stack",
    "take_axis",
    "values_at",
    "vstack",
]


Positions: TypeAlias = NDArray[np.intp]
Selector: TypeAlias = "int | slice | Positions"


def select(block: BlockLayout, key: Any) -> Any:
    """Return ``block[key]``: a block if two axes remain, else an ndarray or a scalar."""
    if isinstance(key, BlockLayout):
        key = _where_true(key, block.shape)
    elif isinstance(key, np.ndarray) and key.dtype == bool and key.shape == block.shape:
        key = np.nonzero(key)
    mesh = _open_mesh(key)
    parts = _per_axis(mesh or key, block.shape)
    if parts is None:  # new axes, or index arrays of several dimensions
        return block.toarray()[key]
    rows, cols = parts
    if isinstance(rows, int):
        return _line(block, rows, 0)[cols]
    if isinstance(cols, int):
        return _line(block, cols, 1)[rows]
    if mesh is None and isinstance(rows, np.ndarray) and isinstance(cols, np.ndarray):
        return values_at(block, *_same_length(rows, cols))
    if isinstance(rows, np.ndarray) and len(rows) > block.shape[0]:  # the one that shrinks first
        return take_axis(take_axis(block, cols, 1), rows, 0)
    return take_axis(take_axis(block, rows, 0), cols, 1)


def _open_mesh(key: Any) -> tuple[Positions, Positions] | None:
    """Rows and columns of a key as ``np.ix_`` makes it: all rows combined with all columns."""
    if not isinstance(key, tuple) or len(key) != 2:
        return None
    rows, cols = key
    if np.ndim(rows) != 2 or np.ndim(cols) != 2 or rows.shape[1] != 1 or cols.shape[0] != 1:
        return None
    return rows[:, 0], cols[0]


def take_axis(block: BlockLayout, selector: slice | Positions, axis: int) -> BlockLayout:
    """Select along one axis; ``selector`` is a slice, or positions that are not negative."""
    if not isinstance(selector, slice) and _is_run(selector):
        selector = slice(int(selector[0]), int(selector[-1]) + 1)
    if isinstance(selector, slice):
        first, stop, step = selector.indices(block.shape[axis])
        if (first, stop, step) == (0, block.shape[axis], 1):
            return block
        if axis == block.major and step == 1:
            return _run_of_lines(block, first, max(first, stop))
    matrix = block.carrier()
    picked = matrix[selector, :] if axis == 0 else matrix[:, selector]
    order = block._order
    if axis != block.major and order == "canonical" and not _is_increasing(selector):
        order = "unique"
    return type(block).from_scipy(picked, block.dtype, order)


def _is_run(positions: Positions) -> bool:
    """Whether positions follow each other: a slice, which selects faster."""
    if len(positions) == 0 or positions[-1] - positions[0] != len(positions) - 1:
        return False
    return bool((np.diff(positions) == 1).all())


def _is_increasing(selector: slice | Positions) -> bool:
    if isinstance(selector, slice):
        return selector.step is None or selector.step > 0
    return bool((np.diff(selector) > 0).all())


def _run_of_lines(block: BlockLayout, first: int, stop: int) -> BlockLayout:
    """Lines ``first`` to ``stop`` of the compressed axis.

    They share the memory of the block, unless that would keep more than twice of it alive.
    """
    begin, end = int(block.indptr[first]), int(block.indptr[stop])
    data, indices = block.data[begin:end], block.indices[begin:end]
    if 2 * (end - begin) < block.nnz:
        data, indices = data.copy(), indices.copy()
    indptr = block.indptr[first : stop + 1] - begin
    shape = [stop - first, stop - first]
    shape[1 - block.major] = block.n_minor
    return type(block).from_arrays(data, indices, indptr, tuple(shape), block._order)


def _line(block: BlockLayout, position: int, axis: int) -> NDArray[Any]:
    """One row (axis 0) or column (axis 1) as a dense vector."""
    return take_axis(block, np.array([position]), axis).toarray().reshape(-1)


def _same_length(rows: Positions, cols: Positions) -> tuple[Positions, Positions]:
    n = len(cols) if len(rows) == 1 else len(rows)
    if len(cols) not in (1, n):
        raise IndexError(
            f"row and column positions are taken pairwise, found {len(rows)} and {len(cols)}; "
            "np.ix_(rows, cols) selects all combinations"
        )
    return np.resize(rows, n), np.resize(cols, n)


def values_at(block: BlockLayout, rows: Positions, cols: Positions) -> NDArray[Any]:
    """Values at single positions, as an array of the shape of ``rows`` and ``cols``."""
    if rows.size == 0:
        return np.zeros(rows.shape, block.dtype)
    picked: Any = block.carrier()[rows.reshape(-1), cols.reshape(-1)]
    if hasattr(picked, "toarray"):  # so in some versions of scipy
        picked = picked.toarray()
    return np.asarray(picked).reshape(rows.shape).astype(block.dtype, copy=False)


def _where_true(mask: BlockLayout, shape: tuple[int, int]) -> tuple[Positions, Positions]:
    """Positions, row by row, that a mask given as a block marks."""
    if mask.dtype != bool or mask.shape != shape:
        raise IndexError(
            f"a block that indexes a block of shape {shape} must be a mask of that shape, "
            f"found shape {mask.shape}, dtype {mask.dtype}"
        )
    if mask.major != 0:
        mask = mask.swapped()
    mask = mask.canonical()
    rows = np.repeat(np.arange(shape[0]), mask.counts())
    return rows[mask.data], mask.indices[mask.data].astype(np.intp)


def _per_axis(key: Any, shape: tuple[int, int]) -> list[Any] | None:
    """Split a key into one selector for each axis, or None if it does more than that."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(part is None for part in parts):
        return None
    dots = [position for position, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = [slice(None)] * (2 - len(parts) + len(dots))
    at = dots[0] if dots else len(parts)
    parts[at : at + 1] = missing
    if len(parts) > 2:
        raise IndexError(f"too many indices for a block of two dimensions: {len(parts)}")
    selectors = [_selector(parts[axis], shape[axis], axis) for axis in (0, 1)]
    return None if any(selector is None for selector in selectors) else selectors


def _selector(part: Any, n: int, axis: int) -> Selector | None:
    """Check one selector; positions come out not negative. None if it is not one-dimensional."""
    if isinstance(part, slice):
        return part
    if isinstance(part, np.ndarray | list | tuple | range) or hasattr(part, "__array__"):
        array = np.asarray(part)
        if array.size == 0 and not isinstance(part, np.ndarray):
            array = array.astype(np.intp)
    else:
        array = np.asarray(operator.index(part))
    if array.dtype == bool:
        return _positions_of_mask(array, n, axis)
    if array.dtype.kind not in "iu":
        raise IndexError(f"a block is indexed by integers, booleans and slices, not {array.dtype}")
    if array.ndim > 1:
        return None
    positions = array.astype(np.intp)
    bad = (positions < -n) | (positions >= n)
    if bad.any():
        wrong = int(positions[bad].flat[0])
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {n}")
    positions = np.where(positions < 0, positions + n, positions)
    return positions if positions.ndim else int(positions)


def _positions_of_mask(mask: NDArray[np.bool_], n: int, axis: int) -> Positions | None:
    if mask.ndim != 1:
        return None
    if len(mask) != n:
        raise IndexError(
            f"boolean index does not match axis {axis}: its length is {len(mask)}, not {n}"
        )
    return np.flatnonzero(mask)


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
