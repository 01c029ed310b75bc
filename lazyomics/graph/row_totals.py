"""A total of each row: where positions do not matter, only the stored values are read."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray

from lazyomics.graph.matrix import Piece, Shared, pieces, recipe_of
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.rows import collect_rows, row_bounds
from lazyomics.graph.selection import is_whole
from lazyomics.kernels.row_scaling import sums_between
from lazyomics.kernels.totals import row_totals

__all__ = ["collect_row_totals"]


def collect_row_totals(x: da.Array, *, exclude: NDArray[np.bool_] | None = None) -> da.Array:
    """Sum each row in float64, lazily.

    Parameters
    ----------
    x
        Matrix as ``lazy`` returns it, shape (n, m).
    exclude
        Columns left out of the totals, shape (m,).

    Returns
    -------
    Dask array of shape (n,). Of a stored sparse matrix that is summed over all its columns, only
    the values are read, not their positions: about half of the bytes.
    """
    recipe = recipe_of(x)
    if exclude is None and recipe is not None and _has_values(recipe):
        return _from_values(recipe, x)
    return collect_rows(x, row_totals, dtype=np.float64, exclude=exclude)


def _has_values(recipe: Recipe) -> bool:
    whole = is_whole(recipe.cols, recipe.source.shape[1])
    by_rows = recipe.source.format == "csr" and hasattr(recipe.source, "read_values")
    return by_rows and whole and not recipe.steps


def _from_values(recipe: Recipe, x: da.Array) -> da.Array:
    name = f"totals-{uuid4().hex}"
    shared, cut = pieces(recipe, row_bounds(x))
    layer: dict[Any, Any] = {f"recipe-{name}": shared}
    for k, piece in enumerate(cut):
        layer[name, k] = (_totals, f"recipe-{name}", piece)
    graph = HighLevelGraph({name: layer}, {name: set()})
    return da.Array(graph, name, (x.chunks[0],), meta=np.empty(0, dtype=np.float64))


def _totals(shared: Shared, piece: Piece) -> NDArray[np.float64]:
    source: Any = shared.source
    return sums_between(*source.read_values(piece.selector))
