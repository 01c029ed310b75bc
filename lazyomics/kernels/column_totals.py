"""Totals of the columns of a block, as a state that adds up over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.kernels.block import CSRBlock

__all__ = ["column_log_totals", "column_totals"]


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


def _added(columns: Any, values: Any, size: int) -> NDArray[np.float64]:
    return np.bincount(columns, weights=values, minlength=size).astype(np.float64, copy=False)
