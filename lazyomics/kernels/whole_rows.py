"""One value of each row that needs all its values, zeros too, in a few dense rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.blocks.block import CSRBlock

__all__ = ["row_distances", "row_medians"]

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
    for rows, dense in _dense_rows(block):
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
    for rows, dense in _dense_rows(block):
        found[rows] = np.nanmedian(dense, axis=1)
    return found


def _dense_rows(block: Any) -> Iterator[tuple[slice, NDArray[Any]]]:
    step = max(1, DENSE_VALUES // max(1, block.shape[1]))
    for start in range(0, block.shape[0], step):
        rows = slice(start, start + step)
        part = block[rows]
        yield rows, np.asarray(part.toarray() if isinstance(part, CSRBlock) else part)
