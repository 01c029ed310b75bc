"""Take entries by position where some of the asked ones do not exist."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lazyomics.container.ragged import is_ragged
from lazyomics.errors import require
from lazyomics.graph.selection import Positions

__all__ = ["take_with_gaps"]


def take_with_gaps(value: Any, positions: Positions, axis: int = 0) -> Any:
    """Take entries of an array or sparse matrix along an axis, leaving gaps.

    Parameters
    ----------
    value
        Array, sparse matrix or awkward array, in memory.
    positions
        Positions to take, shape (n,), −1 for a gap: NaN in arrays, which become floats for that,
        nothing in sparse matrices, None in awkward arrays.
    axis
        Axis to take along.

    Examples
    --------
    >>> take_with_gaps(np.array([5, 6]), np.array([1, -1]))
    array([ 6., nan])
    """
    gaps = positions < 0
    if sp.issparse(value):
        present = np.flatnonzero(~gaps)
        ones = np.ones(len(present), dtype=value.dtype)
        shape = (len(positions), value.shape[axis])
        pick = sp.csr_matrix((ones, (present, positions[present])), shape=shape)
        return (pick @ value if axis == 0 else value @ pick.T).asformat(value.format)
    if is_ragged(value):
        return _ragged_with_gaps(value, positions, gaps) if gaps.any() else value[positions]
    if not value.shape[axis]:
        return np.full((*value.shape[:axis], len(positions), *value.shape[axis + 1 :]), np.nan)
    taken = np.take(value, np.where(gaps, 0, positions), axis=axis)
    if gaps.any():
        taken = taken.astype(np.result_type(taken.dtype, np.nan))
        taken[(slice(None),) * axis + (gaps,)] = np.nan
    return taken


def _ragged_with_gaps(value: Any, positions: Positions, gaps: NDArray[np.bool_]) -> Any:
    ak = require("awkward", extra="awkward", purpose="rows that an awkward array lacks")
    if not len(value):
        return ak.Array([None] * len(positions))
    return ak.mask(value[np.where(gaps, 0, positions)], ~gaps)
