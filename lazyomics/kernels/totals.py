"""Totals of the rows of a block: what normalisation and filtering of cells need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.row_scaling import sums_between

__all__ = ["row_positives", "row_totals"]


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
    >>> from lazyomics.kernels.totals import row_totals
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
