"""Sum of the n largest values of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.compiled import compiled

__all__ = ["top_sums"]

# Counts below this are put into bins, which costs a tenth of sorting them.
BINS = 4096


def top_sums(block: Any, tops: tuple[int, ...]) -> NDArray[np.float64]:
    """Sum of the largest values of each row, zeros that are not stored included.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, p).
    tops
        Ascending numbers of values to sum, each from 1 to p.

    Returns
    -------
    float64 array, shape (n, len(tops)).

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.top_values import top_sums
    >>> top_sums(np.array([[1, 5, 3]]), (1, 2))
    array([[5., 8.]])
    """
    if not isinstance(block, CSRBlock):
        return _sorted_sums(block, tops)
    out = np.zeros((block.shape[0], len(tops)))
    indptr = block.indptr.astype(np.int64, copy=False)
    binned = np.zeros(block.shape[0], dtype=np.bool_)
    bins = np.zeros(BINS, dtype=np.int64)
    _binned_sums(block.data, indptr, np.array(tops, dtype=np.int64), bins, out, binned)
    for row in np.flatnonzero(~binned):
        values = block.data[indptr[row] : indptr[row + 1]]
        zeros = np.zeros(min(tops[-1], block.shape[1] - len(values)), dtype=values.dtype)
        out[row] = _sorted_sums(np.concatenate([values, zeros])[None], tops)
    return out


def _sorted_sums(rows: NDArray[Any], tops: tuple[int, ...]) -> NDArray[np.float64]:
    width = rows.shape[1]
    last = min(tops[-1], width)
    largest = rows
    if last < width:
        largest = np.partition(rows, width - last, axis=1)[:, width - last :]
    descending = np.sort(largest, axis=1)[:, ::-1]
    sums = np.cumsum(descending, axis=1, dtype=np.float64)
    return np.asarray(sums[:, [min(top, width) - 1 for top in tops]])


@compiled
def _binned_sums(
    data: NDArray[Any],
    indptr: NDArray[np.int64],
    tops: NDArray[np.int64],
    bins: NDArray[np.int64],
    out: NDArray[np.float64],
    binned: NDArray[np.bool_],
) -> None:
    """Rows of whole numbers from 0 to below len(bins); others are left with binned False."""
    for row in range(len(indptr) - 1):
        whole = True
        highest = 0
        for k in range(indptr[row], indptr[row + 1]):
            value = np.float64(data[k])
            if not 0 <= value < len(bins) or value != np.floor(value):
                whole = False
                break
            count = int(value)
            bins[count] += 1
            highest = max(highest, count)
        if whole:
            binned[row] = True
            taken = 0
            total = 0.0
            which = 0
            for count in range(highest, 0, -1):
                while which < len(tops) and taken + bins[count] >= tops[which]:
                    out[row, which] = total + (tops[which] - taken) * count
                    which += 1
                taken += bins[count]
                total += bins[count] * count
                if which == len(tops):
                    break
            while which < len(tops):
                out[row, which] = total
                which += 1
            bins[: highest + 1] = 0
        else:
            bins[:] = 0
