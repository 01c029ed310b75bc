"""Rows of a block written out with their zeros, a few at a time, and values made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock

__all__ = ["dense_rows", "row_distances", "row_medians"]

DENSE_VALUES = 1 << 21


def row_distances(block: Any, *, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Euclidean distance of each row from a point, in float64.

    Parameters
    ----------
    block
        CSRBlock or ndarray, shape (n, n_vars).
    point
        Shape (n_vars,).

    Examples
    --------
    >>> row_distances(np.array([[1.0, 2.0], [0.0, 0.0]]), point=np.array([0.0, 2.0]))
    array([1., 4.])
    """
    found = np.empty(block.shape[0])
    for rows, dense in dense_rows(block, _rows_at_once(block)):
        apart = dense - point
        found[rows] = np.einsum("ij,ij->i", apart, apart)
    return found


def row_medians(block: Any) -> NDArray[np.float64]:
    """Median of each row without its NaN, in float64.

    Examples
    --------
    >>> row_medians(np.array([[1.0, 2.0, 5.0], [0.0, np.nan, 3.0]]))
    array([2. , 1.5])
    """
    found = np.empty(block.shape[0])
    for rows, dense in dense_rows(block, _rows_at_once(block)):
        found[rows] = np.nanmedian(dense, axis=1)
    return found


def dense_rows(block: Any, at_once: int) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Give some rows of a block after the others: which ones, and their values written out."""
    for start in range(0, block.shape[0], at_once):
        rows = slice(start, min(start + at_once, block.shape[0]))
        part = block[rows]
        yield rows, np.asarray(part.toarray() if isinstance(part, CSRBlock) else part)


def _rows_at_once(block: Any) -> int:
    return max(1, DENSE_VALUES // max(1, block.shape[1]))
