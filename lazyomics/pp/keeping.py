"""Which rows of a matrix fit a memory budget, before any of them is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lazyomics import graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["allowances"]

LARGEST_ROW_NUMBER = 4  # bytes; usually 2
EACH_ROW = 64  # bytes, for what else a block holds


def allowances(x: RowBlocks, budget: int) -> tuple[NDArray[np.float64], bool]:
    """Bytes that each row may take of a budget, and whether all rows surely fit.

    Where the sizes are known, the leading rows that fit get what they need and the others nothing.
    Otherwise (columns were selected, or an ordinary dask array) every row gets its share, and a
    block is kept if it takes no more than its rows may. Nothing is kept for workers elsewhere,
    which would have to send it.
    """
    n = x.shape[0]
    if not graph.runs_here() or budget <= 0:
        return np.zeros(n), n == 0
    sizes, exact = _row_bytes(x)
    ends = np.cumsum(sizes)
    if n == 0 or ends[-1] <= budget:
        return sizes, True
    if exact:
        return np.where(ends <= budget, sizes, 0.0), False
    return sizes * (budget / ends[-1]), False


def _row_bytes(x: RowBlocks) -> tuple[NDArray[np.float64], bool]:
    """At most this many bytes for each row, and whether it is close to that."""
    n, p = x.shape
    itemsize = max(4, x.dtype.itemsize)
    dense = np.full(n, float(p * itemsize))
    recipe = graph.recipe_of(x)
    if recipe is None:
        return dense, False
    stored = recipe.source.stored_per_line()
    keeps_zeros = not isinstance(x._meta, np.ndarray)
    if stored is None or not keeps_zeros:
        return dense, True
    if recipe.adds_values:
        return dense, False
    if recipe.source.format == "csr":
        values = stored[recipe.rows].astype(np.float64)
        selected = p < recipe.source.shape[1]
    else:
        values = np.full(n, float(stored.sum()) / max(1, recipe.source.shape[0]))
        selected = True
    return values * (itemsize + LARGEST_ROW_NUMBER) + EACH_ROW, not selected
