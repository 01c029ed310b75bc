"""Check what a file says about columns before any loop trusts it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["index_state", "keep_columns"]


def index_state(indices: NDArray[Any], indptr: NDArray[Any], size: int) -> str:
    """Say whether the indices of compressed lines can be trusted.

    Parameters
    ----------
    indices
        Positions inside each line, shape (nnz,).
    indptr
        Ends of the lines, shape (n + 1,), from 0 to nnz.
    size
        Length of a line.

    Returns
    -------
    ``"canonical"`` (ascending, no duplicates), ``"unsorted"`` (valid, but not canonical) or
    ``"outside"`` (a position that no line has).
    """
    if len(indices) == 0:
        return "canonical"
    if int(indices.min()) < 0 or int(indices.max()) >= size:
        return "outside"
    rising = indices[1:] > indices[:-1]
    starts = indptr[1:-1]
    starts = starts[(starts > 0) & (starts < len(indices))]
    rising[starts - 1] = True  # a new line may start anywhere
    return "canonical" if bool(rising.all()) else "unsorted"


def keep_columns(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], target: NDArray[np.int32]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Keep the values whose column has a place in the result.

    Parameters
    ----------
    data, indices, indptr
        A compressed block.
    target
        New position of each column, −1 for columns that are left out, shape (n columns,).

    Returns
    -------
    Data, indices and indptr of the kept values, in their old order inside each line.
    """
    moved = target[indices]
    kept = np.flatnonzero(moved >= 0)
    ends = np.searchsorted(kept, indptr)
    return data[kept], moved[kept], ends.astype(indptr.dtype, copy=False)
