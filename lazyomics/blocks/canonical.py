"""Check what a file or a user says about columns before any loop trusts it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import compiled
from lazyomics.errors import ShapeError

__all__ = [
    "checked_lines",
    "index_dtype",
    "index_state",
    "positions_of",
]


LOOPED = 1 << 18  # positions: fewer are not worth compiling a loop for
AT_ONCE = 1 << 17  # which stay in the caches of a processor
NARROW = 8  # columns that span less than this part of all are looked for by their limits first


def index_dtype(largest: int) -> np.dtype[Any]:
    """Type of positions and pointers up to a number: int32 as long as it can hold them."""
    return np.dtype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)


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
    rising = indices[1:] > indices[:-1]
    starts = indptr[1:-1]
    starts = starts[(starts > 0) & (starts < len(indices))]
    rising[starts - 1] = True  # a new line may start anywhere
    is_canonical = bool(rising.all())
    lowest = highest = indices
    if is_canonical:  # the ends of lines are their extremes
        lowest = indices[np.append(0, starts)]
        highest = indices[np.append(starts, len(indices)) - 1]
    if int(lowest.min()) < 0 or int(highest.max()) >= size:
        return "outside"
    return "canonical" if is_canonical else "unsorted"


def checked_arrays(matrix: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return data, indices and indptr of scipy's CSR or CSC; see `checked_lines`."""
    major = 1 if matrix.format == "csc" else 0
    lines = len(matrix.indptr) - 1
    if lines != matrix.shape[major]:
        raise ShapeError(
            f"a sparse matrix of shape {matrix.shape} has {matrix.shape[major] + 1} "
            f"pointers, found {lines + 1}"
        )
    return checked_lines(matrix.data, matrix.indices, matrix.indptr, matrix.shape[1 - major])


def checked_lines(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], size: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the arrays of a compressed matrix for loops that write where these say.

    Parameters
    ----------
    data, indices
        Stored values and their positions inside the lines, shape (nnz,) or longer.
    indptr
        Ends of the lines, shape (n + 1,).
    size
        Length of a line.

    Returns
    -------
    The same arrays, or views of them without what lies behind the last line.

    Raises
    ------
    ShapeError
        If a pointer or a position leads out of the arrays, as in a scipy matrix whose arrays were
        assigned one by one.

    Examples
    --------
    >>> import numpy as np
    >>> _, indices, _ = checked_lines(np.ones(3), np.array([0, 1, 9]), np.array([0, 1, 2]), 2)
    >>> indices
    array([0, 1])
    """
    used = int(indptr[-1]) if len(indptr) else -1
    if used < 0 or indptr[0] != 0 or bool((indptr[1:] < indptr[:-1]).any()):
        raise ShapeError(
            f"the pointers of a sparse matrix rise from 0, found {indptr[:5].tolist()}…"
        )
    if used > min(len(data), len(indices)):
        raise ShapeError(
            f"the pointers of a sparse matrix end at {used}, but it has {len(data)} values and "
            f"{len(indices)} positions"
        )
    data, indices = data[:used], indices[:used]
    if used and (int(indices.min()) < 0 or int(indices.max()) >= size):
        raise ShapeError(
            f"the positions in a sparse matrix go from 0 to {size - 1}, found "
            f"{int(indices.min())} to {int(indices.max())}: it was made of arrays that do not fit"
        )
    return data, indices, indptr


def positions_of(indices: NDArray[Any], columns: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Say where the wanted columns are.

    Parameters
    ----------
    indices
        Column of each stored value, shape (nnz,), each in ``[0, size)``.
    columns
        Wanted columns, ascending, without duplicates.
    size
        Number of columns.

    Returns
    -------
    Ascending positions in ``indices``, shape (number of values in these columns,).

    Examples
    --------
    >>> import numpy as np
    >>> positions_of(np.array([0, 3, 1, 3]), np.array([1, 3]), 4)
    array([1, 2, 3])
    """
    if len(columns) == 0 or len(indices) == 0:
        return np.empty(0, np.int64)
    low, high = int(columns[0]), int(columns[-1])
    if low == high:
        return np.flatnonzero(indices == low)
    wanted = np.zeros(size, bool)
    wanted[columns] = True
    if high - low < size // NARROW:  # comparing is several times faster than looking up
        near = np.flatnonzero((indices >= low) & (indices <= high))
        return near if high - low == len(columns) - 1 else near[wanted[indices[near]]]
    if len(indices) < LOOPED:
        return np.flatnonzero(wanted[indices])
    indices, found = np.ascontiguousarray(indices), []
    room = np.empty(AT_ONCE + 1, np.int64)
    for start in range(0, len(indices), AT_ONCE):
        count = _find(indices[start : start + AT_ONCE], wanted.view(np.uint8), start, room)
        found.append(room[:count].copy())
    return np.concatenate(found)


@compiled
def _find(
    indices: NDArray[Any], wanted: NDArray[np.uint8], start: int, places: NDArray[np.int64]
) -> np.int64:
    """Write ``start + k`` for each k whose index is wanted, and return how many there are.

    Every k is written, the next one over it if its index is not wanted: a branch would be
    mispredicted. So there must be room for one more than there are indices.
    """
    found = np.uint64(0)
    for k in range(len(indices)):
        places[found] = start + k
        found += np.uint64(wanted[np.uint64(indices[k])])
    return np.int64(found)
