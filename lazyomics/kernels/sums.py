"""Row sums and column sums, and rows divided by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock
from lazyomics.compiled import compiled

__all__ = [
    "column_log_totals",
    "column_totals",
    "divided",
    "divided_columns",
    "moments_of_logs",
    "row_positives",
    "row_totals",
    "sums_between",
]


def sums_between(values: NDArray[Any], indptr: NDArray[Any]) -> NDArray[np.float64]:
    """Sum the values between successive pointers, in float64; shape (len(indptr) - 1,)."""
    out = np.empty(len(indptr) - 1)
    if values.dtype in (np.float16, np.longdouble):  # which numba does not know
        values = values.astype(np.float64)
    _sum_between(values, indptr, out)
    return out


def divided(block: CSRBlock, divisors: NDArray[np.floating[Any]]) -> CSRBlock:
    """Divide each row by its divisor, in the type of the divisors, none of which is 0."""
    dtype = divisors.dtype
    if len(block.data) == 0:  # also what a new step is tried on: not worth compiling for
        return block.like(block.data.astype(dtype))
    if np.float16 in (block.dtype, dtype):  # which numba does not know
        values = np.divide(block.data, np.repeat(divisors, np.diff(block.indptr)), dtype=dtype)
        return block.like(values)
    data = np.empty(len(block.data), dtype=dtype)
    _divide(block.data, block.indptr, divisors, data)
    return block.like(data)


def divided_columns(
    block: CSRBlock, divisors: NDArray[np.floating[Any]], columns: NDArray[np.int64]
) -> CSRBlock:
    """Divide each row by its divisor; keep some columns, ascending and without duplicates."""
    dtype = divisors.dtype
    if len(block.data) == 0 or np.float16 in (block.dtype, dtype):
        return divided(block, divisors)[:, columns]
    place = np.full(block.shape[1], -1, dtype=block.indices.dtype)
    place[columns] = np.arange(len(columns))
    # one place more than there are values: what is not kept is written, too, then overwritten
    data = np.empty(len(block.data) + 1, dtype=dtype)
    indices = np.empty(len(block.data) + 1, dtype=block.indices.dtype)
    indptr = np.zeros_like(block.indptr)
    kept = _divide_columns(
        block.data, block.indices, block.indptr, divisors, place, data, indices, indptr
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
def _divide(
    values: NDArray[Any], indptr: NDArray[Any], divisors: NDArray[Any], out: NDArray[Any]
) -> None:
    for row in range(len(divisors)):
        start, stop = indptr[row], indptr[row + 1]
        divisor, mine, to = divisors[row], values[start:stop], out[start:stop]
        for k in range(len(mine)):
            # NumPy's division: that of Python would ask each time whether the divisor is 0
            to[k] = np.true_divide(out.dtype.type(mine[k]), divisor)


@compiled
def _divide_columns(
    values: NDArray[Any],
    columns: NDArray[Any],
    indptr: NDArray[Any],
    divisors: NDArray[Any],
    place: NDArray[Any],
    data: NDArray[Any],
    indices: NDArray[Any],
    ends: NDArray[Any],
) -> np.int64:
    kept = np.uint64(0)
    for row in range(len(divisors)):
        start, stop = indptr[row], indptr[row + 1]
        divisor, mine, at = divisors[row], values[start:stop], columns[start:stop]
        for k in range(len(mine)):
            to = place[np.uint64(at[k])]
            # no branch on what is kept: it would be mispredicted
            data[kept] = np.true_divide(data.dtype.type(mine[k]), divisor)
            indices[kept] = to
            kept += np.uint64(to >= 0)
        ends[row + 1] = kept
    return np.int64(kept)


def row_totals(block: Any, *, exclude: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Total of each row, summed in float64.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, n_vars).
    exclude
        Columns left out of the total, shape (n_vars,).

    Returns
    -------
    float64 array, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.sums import row_totals
    >>> row_totals(np.array([[1, 2], [0, 5]]))
    array([3., 5.])
    >>> row_totals(np.array([[1, 2], [0, 5]]), exclude=np.array([False, True]))
    array([1., 0.])
    """
    if isinstance(block, CSRBlock):
        values = block.data
        if exclude is not None:
            values = np.where(exclude[block.indices], 0, values)
        return sums_between(values, block.indptr)
    if exclude is not None:
        return np.asarray(np.sum(block, axis=1, dtype=np.float64, where=~exclude))
    return np.asarray(np.sum(block, axis=1, dtype=np.float64))


def row_positives(block: Any) -> NDArray[np.float64]:
    """Count the values above zero in each row, as float64 (exact up to 2**53)."""
    if isinstance(block, CSRBlock):
        return sums_between(block.data > 0, block.indptr)
    return np.count_nonzero(block > 0, axis=1).astype(np.float64)


def column_totals(block: Any) -> NDArray[np.float64]:
    """Sum each column in float64.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, n_vars).

    Returns
    -------
    float64 array, shape (n_vars,).

    Examples
    --------
    >>> column_totals(np.array([[1, 2], [0, 5]]))
    array([1., 7.])
    """
    if isinstance(block, CSRBlock):
        return _added(block.indices, block.data, block.shape[1])
    return np.asarray(np.sum(block, axis=0, dtype=np.float64))


def column_log_totals(block: Any, *, pseudocount: bool) -> NDArray[np.float64]:
    """Sum the logarithms of each column, of ``x + 1`` or of ``x`` itself.

    Examples
    --------
    >>> column_log_totals(np.array([[0.0, 1.0]]), pseudocount=True).round(3)
    array([0.   , 0.693])
    """
    if pseudocount and isinstance(block, CSRBlock):
        return _added(block.indices, np.log1p(block.data, dtype=np.float64), block.shape[1])
    dense = np.asarray(block.toarray() if isinstance(block, CSRBlock) else block)
    with np.errstate(divide="ignore"):
        logs = (np.log1p if pseudocount else np.log)(dense, dtype=np.float64)
    return np.asarray(logs.sum(axis=0))


def moments_of_logs(block: Any, *, pseudocount: float) -> NDArray[np.float64]:
    """Sum log((x + pseudocount) / pseudocount) of each column, and its squares, shape (2, n_vars).

    Without a pseudocount they are of log(x).

    Examples
    --------
    >>> moments_of_logs(np.array([[0.0, 1.0]]), pseudocount=1).round(3)
    array([[0.   , 0.693],
           [0.   , 0.48 ]])
    """
    if pseudocount and isinstance(block, CSRBlock):
        logs = np.log1p(block.data / np.float64(pseudocount))
        n_vars = block.shape[1]
        return np.stack([_added(block.indices, part, n_vars) for part in (logs, logs**2)])
    dense = np.asarray(block.toarray() if isinstance(block, CSRBlock) else block, np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log1p(dense / pseudocount) if pseudocount else np.log(dense)
    return np.stack([logs.sum(axis=0), (logs**2).sum(axis=0)])


def _added(columns: Any, values: Any, size: int) -> NDArray[np.float64]:
    return np.bincount(columns, weights=values, minlength=size).astype(np.float64, copy=False)
