"""Compare a matrix in memory with a stored one, a window of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lazyomics import graph
from lazyomics.io.readers import reader_of

__all__ = ["is_lazy_matrix", "is_stored_matrix"]


def is_stored_matrix(value: Any, stored: Any) -> bool:
    """Tell whether a matrix in memory has the type and the values of an open stored one."""
    return is_lazy_matrix(value, graph.lazy(graph.from_source(reader_of(stored))))


def is_lazy_matrix(value: Any, x: Any) -> bool:
    """Tell whether a matrix in memory has the type and the values of a lazy one.

    Parameters
    ----------
    value
        ndarray or scipy sparse matrix; of another kind, such as a table, it is not the same.
    x
        Lazy matrix.

    Notes
    -----
    Passes over the lazy matrix: 1. Peak memory: a window of blocks.
    """
    if not isinstance(value, np.ndarray) and not sp.issparse(value):
        return False
    if tuple(x.shape) != tuple(value.shape) or x.dtype != value.dtype:
        return False
    recipe = graph.recipe_of(x)
    if recipe is None or recipe.source.format != getattr(value, "format", "dense"):
        return False
    mine = value.tocsr() if hasattr(value, "tocsr") else value
    start = 0
    for window in graph.windows(x):
        for block in window:
            stop = start + block.shape[0]
            if not _same_block(block, mine[start:stop]):
                return False
            start = stop
    return True


def _same_block(block: Any, mine: Any) -> bool:
    if isinstance(block, np.ndarray):
        dense = mine.toarray() if hasattr(mine, "toarray") else np.asarray(mine)
        return bool(np.array_equal(block, dense, equal_nan=block.dtype.kind in "fc"))
    other = block.to_scipy()
    difference = other != mine if hasattr(mine, "tocsr") else other.toarray() != mine
    return int(difference.sum()) == 0
