"""Sum, scale and cut the rows of a sparse block, in one sweep over its values each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.c_loops import c_loops
from lazyomics.kernels.compiled import compiled, compiler_is_up

__all__ = ["scaled", "scaled_columns", "sums_between"]

LOOPED = 1 << 18  # values: it takes 0.02 s to make the loop for the first of them


def sums_between(values: NDArray[Any], indptr: NDArray[Any]) -> NDArray[np.float64]:
    """Sum the values between successive pointers, in float64; shape (len(indptr) - 1,)."""
    out = np.zeros(len(indptr) - 1)
    # numpy is as fast, but keeps other threads waiting
    if len(values) >= LOOPED and values.dtype == np.float32 and _summed(values, indptr, out):
        return out
    if compiler_is_up():
        _sum_between(values, indptr, out)
        return out
    # reduceat gives values[start] for an empty row, and cannot start behind the last value
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        starts = indptr[:-1][filled]
        out[filled] = np.add.reduceat(values, starts, dtype=np.float64)
    return out


def _summed(values: NDArray[Any], indptr: NDArray[Any], out: NDArray[np.float64]) -> bool:
    """Sum floats by a loop that believes its pointers; False if that is not possible."""
    loops = c_loops()
    values, pointers = np.ascontiguousarray(values), indptr.astype(np.int64)
    if loops is None or pointers[0] < 0 or pointers[-1] > len(values):
        return False
    if (pointers[1:] < pointers[:-1]).any():
        return False
    loops.call(loops.sum_rows, values.ctypes.data, pointers.ctypes.data, len(out), out.ctypes.data)
    return True


def scaled(block: CSRBlock, factors: NDArray[np.float64], dtype: np.dtype[Any]) -> CSRBlock:
    """Multiply each row by its factor, in the given floating type."""
    mine = factors.astype(dtype)
    if compiler_is_up():
        data = np.empty(len(block.data), dtype=dtype)
        _scale(block.data, block.indptr, mine, data)
    else:
        data = np.multiply(block.data, np.repeat(mine, np.diff(block.indptr)), dtype=dtype)
    return block.like(data)


def scaled_columns(
    block: CSRBlock,
    factors: NDArray[np.float64],
    dtype: np.dtype[Any],
    columns: NDArray[np.int64],
) -> CSRBlock:
    """Multiply each row by its factor and keep some columns, ascending and without duplicates."""
    if len(block.data) == 0:  # also what a new step is tried on: not worth compiling for
        empty = block.data.astype(dtype), block.indices, block.indptr
        return CSRBlock.from_arrays(*empty, (block.shape[0], len(columns)))
    place = np.full(block.shape[1], -1, dtype=block.indices.dtype)
    place[columns] = np.arange(len(columns))
    # one place more than there are values: what is not kept is written, too, then overwritten
    data = np.empty(len(block.data) + 1, dtype=dtype)
    indices = np.empty(len(block.data) + 1, dtype=block.indices.dtype)
    indptr = np.zeros_like(block.indptr)
    kept = _scale_columns(
        block.data, block.indices, block.indptr, factors.astype(dtype), place, data, indices, indptr
    )
    shape = (block.shape[0], len(columns))
    return CSRBlock.from_arrays(
        data[:kept].copy(), indices[:kept].copy(), indptr, shape, block._order
    )


@compiled
def _sum_between(values: NDArray[Any], indptr: NDArray[Any], out: NDArray[np.float64]) -> None:
    for row in range(len(out)):
        mine = values[indptr[row] : indptr[row + 1]]
        even, odd = 0.0, 0.0  # two sums, so that an addition need not wait for the one before
        for k in range(0, len(mine) - 1, 2):
            even += mine[k]
            odd += mine[k + 1]
        if len(mine) % 2:
            even += mine[len(mine) - 1]
        out[row] = even + odd


@compiled
def _scale(
    values: NDArray[Any], indptr: NDArray[Any], factors: NDArray[Any], out: NDArray[Any]
) -> None:
    for row in range(len(factors)):
        start, stop = indptr[row], indptr[row + 1]
        factor, mine, to = factors[row], values[start:stop], out[start:stop]
        for k in range(len(mine)):
            to[k] = mine[k] * factor


@compiled
def _scale_columns(
    values: NDArray[Any],
    columns: NDArray[Any],
    indptr: NDArray[Any],
    factors: NDArray[Any],
    place: NDArray[Any],
    data: NDArray[Any],
    indices: NDArray[Any],
    ends: NDArray[Any],
) -> np.int64:
    kept = np.uint64(0)
    for row in range(len(factors)):
        start, stop = indptr[row], indptr[row + 1]
        factor, mine, at = factors[row], values[start:stop], columns[start:stop]
        for k in range(len(mine)):
            to = place[np.uint64(at[k])]
            data[kept] = mine[k] * factor  # without a branch, that would be mispredicted
            indices[kept] = to
            kept += np.uint64(to >= 0)
        ends[row + 1] = kept
    return np.int64(kept)
