"""Rows taken in any order, and transposed matrices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from lazyomics.lazy.indexer import Selector, is_whole
from lazyomics.lazy.matrix import BlockArray, LazyMatrix, known_blocks
from lazyomics.lazy.recipe import Recipe, Source, recipe_of
from lazyomics.lazy.reduction import row_bounds

__all__ = [
    "TransposedDense",
    "take",
    "transpose",
]


def take(matrix: Any, rows: Selector, cols: Selector) -> Any:
    """Select rows and columns (each on its own) of a lazy or in-memory matrix.

    Parameters
    ----------
    matrix
        Dask array, ndarray, DataFrame-free scipy matrix or block, shape (n, m).
    rows, cols
        Selectors as ``positions`` makes them.
    """
    n, m = matrix.shape
    recipe = recipe_of(matrix)
    if recipe is not None:
        return LazyMatrix.cook(recipe.select(rows, cols))
    if isinstance(matrix, da.Array):
        return BlockArray.of(_taken(known_blocks(matrix), rows, cols))
    if not is_whole(cols, m):
        matrix = matrix[:, cols]
    return matrix if is_whole(rows, n) else matrix[rows, :]


def _taken(x: da.Array, rows: Selector, cols: Selector) -> da.Array:
    n, m = x.shape
    if not is_whole(cols, m):
        x = x[:, cols]
    if is_whole(rows, n):
        return x
    return x[rows, :] if isinstance(rows, slice) or not len(rows) else _gather(x, rows)


def _gather(x: da.Array, rows: Any) -> da.Array:
    """Pick rows in any order, each source block being cut once for each output block.

    Output blocks are as long as the source's, so memory stays at what the blocks already need.
    """
    if x.numblocks[1] > 1:
        x = x.rechunk({1: -1})
    bounds = np.asarray(row_bounds(x))
    step = max(1, int(np.max(x.chunks[0])))
    starts = range(0, len(rows), step)
    name = f"gather-{uuid4().hex}"
    layer: dict[Any, Any] = {}
    sizes = []
    for k, start in enumerate(starts):
        part = rows[start : start + step]
        sizes.append(len(part))
        layer[(name, k, 0)] = _gather_task(x.name, part, bounds)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    return da.Array(graph, name, (tuple(sizes), x.chunks[1]), meta=x._meta)


def _gather_task(name: str, part: Any, bounds: Any) -> tuple[Any, ...]:
    owner = np.searchsorted(bounds, part, side="right") - 1
    blocks = np.unique(owner)
    order = np.argsort(owner, kind="stable")
    pieces = []
    cuts = np.searchsorted(owner[order], [*blocks, blocks[-1] + 1])
    for block, (a, b) in zip(blocks, pairwise(cuts), strict=True):
        local = part[order[a:b]] - bounds[block]
        pieces.append((_pick, (name, int(block), 0), local))
    back = np.empty(len(part), dtype=np.int64)
    back[order] = np.arange(len(part))
    return (_assemble, pieces, back)


def _pick(block: Any, local: Any) -> Any:
    return block[local, :]


def _assemble(pieces: list[Any], back: Any) -> Any:
    joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=0)
    return joined[back, :]


def transpose(x: da.Array) -> da.Array:
    """Return a lazy matrix with rows and columns interchanged. Reads nothing.

    Parameters
    ----------
    x
        Dask matrix. One without recorded steps, whose source has ``transposed()``, becomes a lazy
        matrix of that; any other one a plain dask array of transposed blocks.
    """
    recipe = recipe_of(x)
    turn = None if recipe is None or recipe.steps else getattr(recipe.source, "transposed", None)
    if recipe is None or turn is None:
        return x.T
    source = turn()
    return LazyMatrix.cook(
        Recipe(
            source,
            rows=recipe.cols,
            cols=recipe.rows,
            by_columns=source.format == "csc",
            target_bytes=recipe.target_bytes,
            lines_per_block=recipe.lines_per_block,
        )
    )


@dataclass(frozen=True, eq=False)
class TransposedDense:
    """A dense source of which the rows are read as columns."""

    base: Source

    format: Literal["dense"] = "dense"

    @property
    def shape(self) -> tuple[int, int]:
        return self.base.shape[1], self.base.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    def stored_per_line(self) -> None:
        return None

    def read(self, rows: Selector, cols: Selector) -> Any:
        return np.ascontiguousarray(self.base.read(cols, rows).T)

    def read_columns(self, rows: Selector, cols: Selector) -> Any:
        raise TypeError("a dense matrix has no compressed columns")

    def transposed(self) -> Source:
        """The source as it is stored."""
        return self.base
