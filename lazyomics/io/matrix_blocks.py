"""The blocks of a matrix in order, the next ones computed while others are written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np

from lazyomics import config, graph
from lazyomics.graph.filling import Lines
from lazyomics.graph.kinds import is_block, is_dask_array
from lazyomics.graph.loading import StoredBlocks
from lazyomics.graph.plan import bounds_by_bytes
from lazyomics.graph.recipe import Recipe
from lazyomics.graph.scheduler import workers
from lazyomics.io.transaction import raise_failures
from lazyomics.kernels.canonical import checked_arrays

__all__ = ["Kind", "MatrixBlocks"]

Kind: TypeAlias = Literal["csr", "csc", "dense"]

# While one window of blocks is written the next is computed: with blocks of half the size both
# take no more memory than any other pass.
BLOCKS_IN_ONE = 2


@dataclass(frozen=True, eq=False)
class MatrixBlocks:
    """A matrix as blocks of rows, or of columns if that is its ``kind``.

    Attributes
    ----------
    kind, shape, dtype
        Of the matrix.
    most
        Values that it stores, at most.
    windows
        Called with a number, it gives the blocks in order, so many at a time.
    """

    kind: Kind
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    most: int
    windows: Callable[[int], Iterator[list[Any]]]

    @classmethod
    def of(cls, x: Any) -> MatrixBlocks:
        """Cut a dask matrix, the recipe of a stored one, or an ndarray, CSR or CSC matrix."""
        if isinstance(x, Recipe):
            return _stored(x)
        return _lazy(x) if is_dask_array(x) else _in_memory(x)

    def in_order(self) -> Generator[Any]:
        """Give block after block; the next window is computed while this one is written."""
        made = self.windows(workers())
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(next, made, None)
            while (window := pending.result()) is not None:
                pending = ahead.submit(next, made, None)
                while window:
                    yield window.pop(0)
                    raise_failures()


def _stored(recipe: Recipe) -> MatrixBlocks:
    """A matrix that is read as it is stored."""
    recipe = _in_small_blocks(recipe)
    kind = _kind(recipe.by_columns, recipe.source.format == "dense")
    windows = StoredBlocks.of(recipe).windows
    return MatrixBlocks(kind, recipe.shape, recipe.source.dtype, _most_values(recipe), windows)


def _lazy(x: Any) -> MatrixBlocks:
    """A dask matrix."""
    recipe = graph.recipe_of(x)
    by_columns = recipe is not None and recipe.by_columns
    if recipe is not None and (small := _in_small_blocks(recipe)) is not recipe:
        x = graph.LazyMatrix.cook(small)
    if not by_columns:
        x = graph.lazy(x)
    axis, kind = int(by_columns), _kind(by_columns, not is_block(x._meta))
    most = prod(x.shape) if recipe is None else _most_values(recipe)
    return MatrixBlocks(kind, x.shape, x.dtype, most, lambda n: graph.windows(x, axis=axis, size=n))


def _in_memory(x: Any) -> MatrixBlocks:
    """A matrix in memory, of which blocks are views."""
    target = config.chunk_bytes() // BLOCKS_IN_ONE
    if isinstance(x, np.ndarray):
        rows = bounds_by_bytes(np.full(len(x), x[:1].nbytes), target)
        views: Iterator[Any] = (x[a:b] for a, b in pairwise(rows))
        return MatrixBlocks("dense", x.shape, x.dtype, x.size, lambda _: ([v] for v in views))
    data, indices, indptr = checked_arrays(x)
    bytes_of_value = data.itemsize + indices.itemsize
    bounds = bounds_by_bytes(np.diff(indptr) * bytes_of_value + indptr.itemsize, target)
    lines = (_lines(data, indices, indptr[a : b + 1]) for a, b in pairwise(bounds))
    kind = _kind(x.format == "csc", dense=False)
    return MatrixBlocks(kind, x.shape, x.dtype, len(data), lambda _: ([part] for part in lines))


def _lines(data: Any, indices: Any, indptr: Any) -> Lines:
    part = slice(int(indptr[0]), int(indptr[-1]))
    return Lines(data[part], indices[part], indptr - indptr[0])


def _kind(by_columns: bool, dense: bool) -> Kind:
    if dense:
        return "dense"
    return "csc" if by_columns else "csr"


def _in_small_blocks(recipe: Recipe) -> Recipe:
    if recipe.target_bytes is not None or recipe.lines_per_block is not None:
        return recipe
    return replace(recipe, target_bytes=config.chunk_bytes() // BLOCKS_IN_ONE)


def _most_values(recipe: Recipe) -> int:
    """Upper bound of what will be stored, so that small matrices get small chunks."""
    stored = recipe.source.stored_per_line()
    if stored is None or recipe.adds_values:
        return prod(recipe.shape)
    lines = recipe.cols if recipe.source.format == "csc" else recipe.rows
    return int(stored[lines].sum())
